//! The one way to a database: ordinary diesel queries, written once, run on PostgreSQL and on SQLite.
//!
//! [`Db`] is a diesel backend of our own. Its dialect is a value, looked at only when SQL text and binds are
//! produced, so application code has no generics and no engine in its types. [`DbConn`] is the one connection
//! type: natively async on PostgreSQL; on SQLite, blocking threads for whatever may wait. [`Database`] hands out
//! connections and runs transactions.
//!
//! Left out on purpose: `float`, `date` and `timestamp` without a zone (such a column does not compile),
//! `DEFAULT` in inserts (say `treat_none_as_default_value = false`), row locks other than
//! [`SkipLockedExt::skip_locked_rows`], and streaming (read in keyset batches). `docs/decisions/` tells why the
//! backend is our own.

mod binds;
mod clauses;
mod collected;
mod columns;
mod conn;
mod database;
mod dialect;
mod encryption;
mod error;
mod fragments;
mod group;
mod listen;
mod migrate;
mod postgres;
mod rows;
mod settings;
mod snapshot;
mod sql_text;
mod sqlite;
mod tables;
mod transaction;
mod transfer;
mod types;
mod values;

pub use binds::{Binds, Kind, Slot, Value};
pub use conn::DbConn;
pub use database::{Conn, Database, PoolUse};
pub use dialect::Db;
pub use error::{Error, Result};
pub use fragments::{SkipLocked, SkipLockedExt, TextContains, text_contains};
pub use migrate::{Migration, Migrations};
pub use rows::{DbField, DbRow};
pub use settings::{DatabaseUrl, Settings, Synchronous};
pub use sql_text::DbQueryBuilder;
pub use transaction::Work;
pub use transfer::Arrived;
pub use types::Json;
pub use values::DbValue;

/// What the macros of this room expand to; not for use by hand.
#[doc(hidden)]
pub mod expansion {
    pub use diesel::deserialize::{FromSql, FromSqlRow, Result as FromSqlResult};
    pub use diesel::expression::AsExpression;
    pub use diesel::serialize::{IsNull, Output, Result as ToSqlResult, ToSql};
    pub use diesel::sql_types;
    pub use uuid::Uuid;
}
