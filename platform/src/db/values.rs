//! Values as they come back, and the basic column types.

use std::fmt;

use diesel::deserialize::{self, FromSql};
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{self as st, HasSqlType};
use diesel::sqlite::{Sqlite, SqliteValue};

use super::binds::{Kind, Slot, Value};
use super::dialect::Db;

/// One value of a row, still as the engine sent it. No `Debug`, for it may be a secret.
pub enum DbValue<'a> {
    /// In PostgreSQL's binary format.
    Postgres(PgValue<'a>),
    /// In one of SQLite's storage classes.
    Sqlite(SqliteValue<'a, 'a, 'a>),
}

impl DbValue<'_> {
    /// Reads the value with diesel's own reader for the engine that sent it.
    fn read<ST, T>(self) -> deserialize::Result<T>
    where
        T: FromSql<ST, Pg> + FromSql<ST, Sqlite>,
    {
        match self {
            Self::Postgres(value) => <T as FromSql<ST, Pg>>::from_sql(value),
            Self::Sqlite(value) => <T as FromSql<ST, Sqlite>>::from_sql(value),
        }
    }
}

macro_rules! scalars {
    ($($sql_type:ident: $bound:ty, $read:ty, |$value:ident| $to_value:expr;)*) => {$(
        impl HasSqlType<st::$sql_type> for Db {
            fn metadata(_: &mut ()) -> Kind {
                Kind::$sql_type
            }
        }

        impl ToSql<st::$sql_type, Db> for $bound {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Db>) -> serialize::Result {
                let $value = self;
                out.set_value($to_value);
                Ok(IsNull::No)
            }
        }

        impl FromSql<st::$sql_type, Db> for $read {
            fn from_sql(value: DbValue<'_>) -> deserialize::Result<Self> {
                value.read::<st::$sql_type, _>()
            }
        }
    )*};
}

scalars! {
    SmallInt: i16, i16, |value| Value::SmallInt(*value);
    Integer: i32, i32, |value| Value::Integer(*value);
    BigInt: i64, i64, |value| Value::BigInt(*value);
    Double: f64, f64, |value| Value::Double(*value);
    Bool: bool, bool, |value| Value::Bool(*value);
    Text: str, String, |value| Value::Text(value.to_owned());
    Binary: [u8], Vec<u8>, |value| Value::Binary(value.to_vec());
}

macro_rules! kinds {
    ($($sql_type:ident => $kind:ident;)*) => {$(
        impl HasSqlType<st::$sql_type> for Db {
            fn metadata(_: &mut ()) -> Kind {
                Kind::$kind
            }
        }
    )*};
}

kinds! {
    Uuid => Uuid;
    Timestamptz => Timestamptz;
    Jsonb => Jsonb;
    // `Backend` demands these four. Without ToSql and FromSql, a column of such a type does not compile.
    Float => Unsupported;
    Date => Unsupported;
    Time => Unsupported;
    Timestamp => Unsupported;
}

impl ToSql<st::Uuid, Db> for uuid::Uuid {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Db>) -> serialize::Result {
        out.set_value(Value::Uuid(*self));
        Ok(IsNull::No)
    }
}

impl FromSql<st::Uuid, Db> for uuid::Uuid {
    fn from_sql(value: DbValue<'_>) -> deserialize::Result<Self> {
        Ok(match value {
            DbValue::Postgres(value) => Self::from_slice(value.as_bytes())?,
            DbValue::Sqlite(mut value) => Self::from_slice(value.read_blob())?,
        })
    }
}

impl<ST> HasSqlType<st::Array<ST>> for Db
where
    Db: HasSqlType<ST>,
{
    fn metadata(lookup: &mut ()) -> Kind {
        <Db as HasSqlType<ST>>::metadata(lookup)
    }
}

impl<ST, T> ToSql<st::Array<ST>, Db> for Vec<T>
where
    T: ToSql<ST, Db> + fmt::Debug,
    ST: 'static,
    Db: HasSqlType<ST>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Db>) -> serialize::Result {
        let mut items = Vec::with_capacity(self.len());
        for item in self {
            let mut lookup = ();
            let mut slot = Output::<Db>::new(Slot::default(), &mut lookup);
            // Nothing equals NULL, so a null item is left out.
            if matches!(item.to_sql(&mut slot)?, IsNull::No) {
                items.extend(slot.into_inner().into_value());
            }
        }
        out.set_value(Value::Array(<Db as HasSqlType<ST>>::metadata(&mut ()), items));
        Ok(IsNull::No)
    }
}
