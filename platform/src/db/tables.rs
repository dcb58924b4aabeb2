//! What the tables of a database are made of, as the two engines tell it, and the SQL that reads and writes any of them.
//!
//! PostgreSQL knows what its columns hold; SQLite knows in which order tables need each other. The dialects stand side by
//! side here, because nothing else writes SQL for tables that it does not know.

use std::collections::BTreeSet;

use diesel::deserialize::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl as _;
use serde_json::Value;

use super::conn::DbConn;
use super::database::Database;
use super::dialect::Db;
use super::error::{Error, Result};

/// Tables that belong to one database and are not moved.
const STAY: [&str; 3] = ["platform_migrations", "platform_replicas", "platform_cache_epoch"];

/// One table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    columns: Vec<Column>,
    /// The columns of the primary key, as positions among all of them.
    key: Vec<usize>,
}

#[derive(Debug)]
struct Column {
    name: String,
    holds: Holds,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Uuid,
    Bytes,
    Instant,
    Json,
    Truth,
    Number,
    Text,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

async fn words(c: &mut DbConn, sql: &str, about: &str) -> Result<Vec<String>> {
    let words: Vec<Word> = diesel::sql_query(sql).bind::<Text, _>(about).load(c).await?;
    Ok(words.into_iter().map(|word| word.word).collect())
}

/// Every table that is moved, those that others point at first.
///
/// # Errors
/// [`Error::Setup`] when the two databases don't have the same tables; [`Error::Unavailable`].
pub(super) async fn tables(one: &Database, other: &Database) -> Result<Vec<Table>> {
    let (sqlite, postgres) = if one.dialect() == Db::Sqlite { (one, other) } else { (other, one) };
    let (mut sqlite, mut postgres) = (sqlite.read().await?, postgres.read().await?);
    let mut tables = Vec::new();
    for name in in_order(&mut sqlite).await? {
        let columns = columns(&mut postgres, &name).await?;
        let sql = "SELECT name AS word FROM pragma_table_info(?) ORDER BY cid";
        let same: BTreeSet<_> = words(&mut sqlite, sql, &name).await?.into_iter().collect();
        if same != columns.iter().map(|column| column.name.clone()).collect() {
            return Err(Error::Setup(format!(
                "The table {name} is not made of the same columns on both sides."
            )));
        }
        let sql = "SELECT name AS word FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk";
        let key = words(&mut sqlite, sql, &name).await?;
        let key =
            key.iter().filter_map(|key| columns.iter().position(|column| column.name == *key)).collect();
        tables.push(Table { name, columns, key });
    }
    Ok(tables)
}

/// The names of the tables that are there and are moved.
pub(super) async fn movable(c: &mut DbConn) -> Result<Vec<String>> {
    let (all, kind) = match c.dialect() {
        Db::Postgres => (
            "SELECT table_name::text AS word FROM information_schema.tables
             WHERE table_schema = current_schema() AND table_type = $1 ORDER BY table_name",
            "BASE TABLE",
        ),
        Db::Sqlite => (
            "SELECT name AS word FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite_%' ORDER BY name",
            "table",
        ),
    };
    let mut names = words(c, all, kind).await?;
    names.retain(|name| !STAY.contains(&name.as_str()));
    Ok(names)
}

/// Whether there is no row in any table that is moved.
pub(super) async fn hold_nothing(c: &mut DbConn) -> Result<bool> {
    for name in movable(c).await? {
        let some: Vec<Word> =
            diesel::sql_query(format!("SELECT CAST('some' AS text) AS word FROM \"{name}\" LIMIT 1"))
                .load(c)
                .await?;
        if !some.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The names of the tables; one comes after those that it points at.
async fn in_order(sqlite: &mut DbConn) -> Result<Vec<String>> {
    let mut left = movable(sqlite).await?;
    let mut order: Vec<String> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let before = order.len();
        for name in std::mem::take(&mut left) {
            let sql = "SELECT \"table\" AS word FROM pragma_foreign_key_list(?)";
            let needs = words(sqlite, sql, &name).await?;
            if needs.iter().all(|need| *need == name || order.contains(need)) {
                order.push(name);
            } else {
                left.push(name);
            }
        }
        if order.len() == before {
            return Err(Error::Setup("Tables point at each other in a circle.".to_owned()));
        }
    }
    Ok(order)
}

async fn columns(postgres: &mut DbConn, table: &str) -> Result<Vec<Column>> {
    #[derive(QueryableByName)]
    struct Described {
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Text)]
        kind: String,
    }
    let sql = "SELECT column_name::text AS name, data_type::text AS kind FROM information_schema.columns
               WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position";
    let described: Vec<Described> = diesel::sql_query(sql).bind::<Text, _>(table).load(postgres).await?;
    described
        .into_iter()
        .map(|Described { name, kind }| {
            let holds = match kind.as_str() {
                "uuid" => Holds::Uuid,
                "bytea" => Holds::Bytes,
                "timestamp with time zone" => Holds::Instant,
                "jsonb" => Holds::Json,
                "boolean" => Holds::Truth,
                "smallint" | "integer" | "bigint" => Holds::Number,
                "text" => Holds::Text,
                other => {
                    return Err(Error::Setup(format!(
                        "The column {table}.{name} holds {other}, which can't travel."
                    )));
                }
            };
            Ok(Column { name, holds })
        })
        .collect()
}

impl Column {
    /// The column in the form in which it travels.
    fn read(&self, dialect: Db) -> String {
        let name = format!("\"{}\"", self.name);
        match (dialect, self.holds) {
            (Db::Postgres, Holds::Uuid) => format!("replace({name}::text, '-', '')"),
            (Db::Postgres, Holds::Bytes) => format!("encode({name}, 'hex')"),
            (Db::Postgres, Holds::Instant) => format!("(extract(epoch FROM {name}) * 1000000)::bigint"),
            (Db::Postgres, Holds::Json) => format!("{name}::text"),
            (Db::Postgres, Holds::Truth) => format!("{name}::int"),
            (Db::Sqlite, Holds::Uuid | Holds::Bytes) => {
                format!("iif({name} IS NULL, NULL, lower(hex({name})))")
            }
            (_, Holds::Number | Holds::Text) | (Db::Sqlite, _) => name,
        }
    }

    /// The column out of an element of a JSON array.
    fn write(&self, dialect: Db, array: &str, position: usize) -> String {
        let word = format!("({array} ->> {position})");
        match (dialect, self.holds) {
            (Db::Postgres, Holds::Uuid) => format!("{word}::uuid"),
            (Db::Postgres, Holds::Bytes) => format!("decode({word}, 'hex')"),
            (Db::Postgres, Holds::Instant) => {
                // Intervals are multiplied in floating point, which is exact for whole seconds, of which the calendar has
                // few enough, and for less than a second; for all the microseconds since 1970 it ends in 2255.
                format!(
                    "(timestamptz 'epoch' + {word}::bigint / 1000000 * interval '1 second' \
                     + {word}::bigint % 1000000 * interval '1 microsecond')"
                )
            }
            (Db::Postgres, Holds::Json) => format!("{word}::jsonb"),
            (Db::Postgres, Holds::Truth) => format!("{word}::int::boolean"),
            (Db::Postgres, Holds::Number) => format!("{word}::bigint"),
            (Db::Sqlite, Holds::Uuid | Holds::Bytes) => format!("unhex({word})"),
            (_, Holds::Text) | (Db::Sqlite, _) => word,
        }
    }

    /// The column as rows are put in order by it: by bytes, whatever the language of the database is.
    fn order(&self, dialect: Db) -> String {
        match (dialect, self.holds) {
            (Db::Postgres, Holds::Text) => format!("\"{}\" COLLATE \"C\"", self.name),
            _ => format!("\"{}\"", self.name),
        }
    }
}

impl Table {
    fn row(&self, dialect: Db) -> String {
        let columns: Vec<_> = self.columns.iter().map(|column| column.read(dialect)).collect();
        match dialect {
            Db::Postgres => format!("jsonb_build_array({})::text AS row", columns.join(", ")),
            Db::Sqlite => format!("json_array({}) AS row", columns.join(", ")),
        }
    }

    fn keys(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().filter_map(|position| self.columns.get(*position))
    }

    fn order(&self, dialect: Db, direction: &str) -> String {
        self.keys().map(|key| format!("{} {direction}", key.order(dialect))).collect::<Vec<_>>().join(", ")
    }

    /// Reads the last row.
    pub(super) fn newest(&self, dialect: Db) -> String {
        let (row, order) = (self.row(dialect), self.order(dialect, "DESC"));
        format!("SELECT {row} FROM \"{}\" ORDER BY {order} LIMIT 1", self.name)
    }

    /// Reads rows from the first one on. Bind: how many.
    pub(super) fn first_page(&self, dialect: Db) -> String {
        let (row, order) = (self.row(dialect), self.order(dialect, "ASC"));
        let limit = if dialect == Db::Postgres { "$1" } else { "?1" };
        format!("SELECT {row} FROM \"{}\" ORDER BY {order} LIMIT {limit}", self.name)
    }

    /// Reads rows after one. Binds: how many, and the key of that row.
    pub(super) fn next_page(&self, dialect: Db) -> String {
        let (row, order) = (self.row(dialect), self.order(dialect, "ASC"));
        let (limit, key) = if dialect == Db::Postgres { ("$1", "$2::jsonb") } else { ("?1", "?2") };
        let columns: Vec<_> = self.keys().map(|column| column.order(dialect)).collect();
        let after = self.keys().enumerate().map(|(position, column)| column.write(dialect, key, position));
        let (columns, after) = (columns.join(", "), after.collect::<Vec<_>>().join(", "));
        format!(
            "SELECT {row} FROM \"{}\" WHERE ({columns}) > ({after}) ORDER BY {order} LIMIT {limit}",
            self.name
        )
    }

    /// Writes rows. Bind: an array of them.
    pub(super) fn insert(&self, dialect: Db) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let values = self.columns.iter().enumerate();
        let values: Vec<_> = values.map(|(at, column)| column.write(dialect, "value", at)).collect();
        let rows = match dialect {
            Db::Postgres => "jsonb_array_elements($1::jsonb) AS rows (value)",
            Db::Sqlite => "json_each(?1)",
        };
        format!(
            "INSERT INTO \"{}\" ({}) SELECT {} FROM {rows}",
            self.name,
            names.join(", "),
            values.join(", ")
        )
    }

    /// Reads a row that arrived; JSON within it gets the one notation.
    pub(super) fn parse(&self, text: &str) -> Result<Value> {
        let unread = |_| Error::Setup(format!("A row of the table {} can't be read.", self.name));
        let mut row: Vec<Value> = serde_json::from_str(text).map_err(unread)?;
        for (value, column) in row.iter_mut().zip(&self.columns) {
            if let (Holds::Json, Value::String(text)) = (column.holds, &*value) {
                let json: Value = serde_json::from_str(text).map_err(unread)?;
                *value = Value::String(json.to_string());
            }
        }
        Ok(Value::Array(row))
    }

    /// The key of a row.
    pub(super) fn key_of(&self, row: &Value) -> Value {
        self.key.iter().map(|position| row.get(*position).cloned().unwrap_or_default()).collect()
    }
}
