//! Bound values, kept in a form that neither engine owns, and how each engine wants them.
//!
//! `ToSql` of a column type sets a [`Value`]; it is turned into PostgreSQL's binary format or SQLite's storage
//! classes only when the statement is sent.

use diesel::QueryResult;
use diesel::query_builder::BindCollector;
use diesel::result::Error as DieselError;
use diesel::serialize::{IsNull, Output, ToSql};
use diesel::sql_types::HasSqlType;
use diesel::sqlite::SqliteType;

use super::dialect::Db;

/// The kind of a column, or of the items of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A type that diesel makes every backend name, and that no column here may have.
    Unsupported,
    /// 16 bits.
    SmallInt,
    /// 32 bits.
    Integer,
    /// 64 bits.
    BigInt,
    /// IEEE 754, 64 bits.
    Double,
    /// True or false; an INTEGER of 0 or 1 on SQLite.
    Bool,
    /// UTF-8.
    Text,
    /// Bytes: `bytea` or BLOB.
    Binary,
    /// `uuid` or a BLOB of 16 bytes.
    Uuid,
    /// `timestamptz` or an INTEGER of microseconds since 1970.
    Timestamptz,
    /// `jsonb` or TEXT.
    Jsonb,
}

impl Kind {
    /// PostgreSQL's object ids of the type and of its array type, as fixed in its `pg_type.dat`.
    pub(super) const fn oids(self) -> (u32, u32) {
        match self {
            Self::Unsupported => (0, 0),
            Self::SmallInt => (21, 1005),
            Self::Integer => (23, 1007),
            Self::BigInt => (20, 1016),
            Self::Double => (701, 1022),
            Self::Bool => (16, 1000),
            Self::Text => (25, 1009),
            Self::Binary => (17, 1001),
            Self::Uuid => (2950, 2951),
            Self::Timestamptz => (1184, 1185),
            Self::Jsonb => (3802, 3807),
        }
    }

    pub(super) const fn sqlite(self) -> SqliteType {
        match self {
            Self::Unsupported | Self::SmallInt | Self::Integer | Self::Bool => SqliteType::Integer,
            Self::BigInt | Self::Timestamptz => SqliteType::Long,
            Self::Double => SqliteType::Double,
            Self::Text | Self::Jsonb => SqliteType::Text,
            Self::Binary | Self::Uuid => SqliteType::Binary,
        }
    }
}

/// A bound value.
#[derive(Clone, Debug)]
pub enum Value {
    /// No value, of a column of this kind.
    Null(Kind),
    /// 16 bits.
    SmallInt(i16),
    /// 32 bits.
    Integer(i32),
    /// 64 bits.
    BigInt(i64),
    /// IEEE 754, 64 bits.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// UTF-8.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A UUID.
    Uuid(uuid::Uuid),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Micros(i64),
    /// A JSON document, as text.
    Json(String),
    /// Values of one kind, none of them null: the right side of `eq_any`.
    Array(Kind, Vec<Value>),
}

/// Microseconds from 1970-01-01, our epoch, to 2000-01-01, PostgreSQL's.
pub(super) const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl Value {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Null(kind) | Self::Array(kind, _) => *kind,
            Self::SmallInt(_) => Kind::SmallInt,
            Self::Integer(_) => Kind::Integer,
            Self::BigInt(_) => Kind::BigInt,
            Self::Double(_) => Kind::Double,
            Self::Bool(_) => Kind::Bool,
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
            Self::Uuid(_) => Kind::Uuid,
            Self::Micros(_) => Kind::Timestamptz,
            Self::Json(_) => Kind::Jsonb,
        }
    }

    /// The value in PostgreSQL's binary format; `None` is NULL.
    pub(super) fn postgres_bytes(&self) -> QueryResult<Option<Vec<u8>>> {
        Ok(Some(match self {
            Self::Null(_) => return Ok(None),
            Self::SmallInt(value) => value.to_be_bytes().to_vec(),
            Self::Integer(value) => value.to_be_bytes().to_vec(),
            Self::BigInt(value) => value.to_be_bytes().to_vec(),
            Self::Double(value) => value.to_be_bytes().to_vec(),
            Self::Bool(value) => vec![u8::from(*value)],
            Self::Text(value) => value.as_bytes().to_vec(),
            Self::Binary(value) => value.clone(),
            Self::Uuid(value) => value.as_bytes().to_vec(),
            Self::Micros(value) => value.saturating_sub(POSTGRES_EPOCH_MICROS).to_be_bytes().to_vec(),
            Self::Json(value) => {
                // jsonb is sent as its version, 1, and the text.
                let mut bytes = Vec::with_capacity(value.len() + 1);
                bytes.push(1);
                bytes.extend_from_slice(value.as_bytes());
                bytes
            }
            Self::Array(kind, items) => array_bytes(*kind, items)?,
        }))
    }

    /// The value as SQLite can take it in a list: SQLite has no arrays, `json_each` unpacks a JSON array.
    /// Bytes travel as hexadecimal digits.
    pub(super) fn json(&self) -> serde_json::Value {
        match self {
            Self::Null(_) => serde_json::Value::Null,
            Self::SmallInt(value) => (*value).into(),
            Self::Integer(value) => (*value).into(),
            Self::BigInt(value) | Self::Micros(value) => (*value).into(),
            Self::Double(value) => (*value).into(),
            Self::Bool(value) => u8::from(*value).into(),
            Self::Text(value) | Self::Json(value) => value.as_str().into(),
            Self::Binary(value) => hexadecimal(value).into(),
            Self::Uuid(value) => hexadecimal(value.as_bytes()).into(),
            Self::Array(_, items) => items.iter().map(Self::json).collect(),
        }
    }
}

/// One dimension without nulls: dimensions, null flag, item type, length, lower bound, then each item with its size.
fn array_bytes(kind: Kind, items: &[Value]) -> QueryResult<Vec<u8>> {
    let (item_oid, _) = kind.oids();
    let mut bytes = Vec::with_capacity(20 + items.len() * 20);
    bytes.extend_from_slice(&1_i32.to_be_bytes());
    bytes.extend_from_slice(&0_i32.to_be_bytes());
    bytes.extend_from_slice(&item_oid.to_be_bytes());
    bytes.extend_from_slice(&length(items.len())?.to_be_bytes());
    bytes.extend_from_slice(&1_i32.to_be_bytes());
    for item in items {
        let item = item.postgres_bytes()?.unwrap_or_default();
        bytes.extend_from_slice(&length(item.len())?.to_be_bytes());
        bytes.extend_from_slice(&item);
    }
    Ok(bytes)
}

fn length(items: usize) -> QueryResult<i32> {
    i32::try_from(items).map_err(|error| DieselError::SerializationError(error.into()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Where `ToSql` leaves its value.
#[derive(Debug, Default)]
pub struct Slot(Option<Value>);

impl Slot {
    pub(super) fn into_value(self) -> Option<Value> {
        self.0
    }
}

impl From<Value> for Slot {
    fn from(value: Value) -> Self {
        Self(Some(value))
    }
}

/// The binds of one query, in order.
#[derive(Debug, Default)]
pub struct Binds(pub(super) Vec<Value>);

impl<'a> BindCollector<'a, Db> for Binds {
    type Buffer = Slot;

    fn push_bound_value<T, U>(&mut self, bind: &'a U, lookup: &mut ()) -> QueryResult<()>
    where
        Db: HasSqlType<T>,
        U: ToSql<T, Db> + ?Sized + 'a,
    {
        let mut out = Output::<Db>::new(Slot::default(), lookup);
        let is_null = bind.to_sql(&mut out).map_err(DieselError::SerializationError)?;
        let value = match (is_null, out.into_inner().into_value()) {
            (IsNull::No, Some(value)) => value,
            _ => Value::Null(<Db as HasSqlType<T>>::metadata(&mut ())),
        };
        self.0.push(value);
        Ok(())
    }

    fn push_null_value(&mut self, kind: Kind) -> QueryResult<()> {
        self.0.push(Value::Null(kind));
        Ok(())
    }
}
