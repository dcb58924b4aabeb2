//! Rows of either engine, looked at through diesel's one `Row` trait.

use std::ops::Range;

use diesel::SqliteConnection;
use diesel::connection::LoadConnection;
use diesel::pg::Pg;
use diesel::row::{Field, IntoOwnedRow, PartialRow, Row, RowIndex, RowSealed};
use diesel::sqlite::Sqlite;
use diesel_async::{AsyncConnectionCore, AsyncPgConnection};

use super::dialect::Db;
use super::values::DbValue;

pub(super) type PostgresRow = <AsyncPgConnection as AsyncConnectionCore>::Row<'static, 'static>;
pub(super) type BorrowedSqliteRow<'conn, 'query> = <SqliteConnection as LoadConnection>::Row<'conn, 'query>;
pub(super) type SqliteRow = <BorrowedSqliteRow<'static, 'static> as IntoOwnedRow<'static, Sqlite>>::OwnedRow;

/// One row of an answer. No `Debug`, for it may hold a secret.
pub enum DbRow {
    /// From PostgreSQL.
    Postgres(PostgresRow),
    /// From SQLite.
    Sqlite(SqliteRow),
}

/// One field of a row.
pub enum DbField<'a> {
    /// From PostgreSQL.
    Postgres(<PostgresRow as Row<'a, Pg>>::Field<'a>),
    /// From SQLite.
    Sqlite(<SqliteRow as Row<'a, Sqlite>>::Field<'a>),
}

impl RowSealed for DbRow {}

impl RowIndex<usize> for DbRow {
    fn idx(&self, index: usize) -> Option<usize> {
        match self {
            Self::Postgres(row) => row.idx(index),
            Self::Sqlite(row) => row.idx(index),
        }
    }
}

impl<'n> RowIndex<&'n str> for DbRow {
    fn idx(&self, name: &'n str) -> Option<usize> {
        match self {
            Self::Postgres(row) => row.idx(name),
            Self::Sqlite(row) => row.idx(name),
        }
    }
}

impl<'a> Row<'a, Db> for DbRow {
    type Field<'f>
        = DbField<'f>
    where
        'a: 'f,
        Self: 'f;
    type InnerPartialRow = Self;

    fn field_count(&self) -> usize {
        match self {
            Self::Postgres(row) => Row::<Pg>::field_count(row),
            Self::Sqlite(row) => Row::<Sqlite>::field_count(row),
        }
    }

    fn get<'b, I>(&'b self, index: I) -> Option<DbField<'b>>
    where
        'a: 'b,
        Self: RowIndex<I>,
    {
        let index = self.idx(index)?;
        match self {
            Self::Postgres(row) => Row::<Pg>::get(row, index).map(DbField::Postgres),
            Self::Sqlite(row) => Row::<Sqlite>::get(row, index).map(DbField::Sqlite),
        }
    }

    fn partial_row(&self, range: Range<usize>) -> PartialRow<'_, Self> {
        PartialRow::new(self, range)
    }
}

impl<'a> Field<'a, Db> for DbField<'a> {
    fn field_name(&self) -> Option<&str> {
        match self {
            Self::Postgres(field) => field.field_name(),
            Self::Sqlite(field) => field.field_name(),
        }
    }

    fn value(&self) -> Option<DbValue<'_>> {
        match self {
            Self::Postgres(field) => field.value().map(DbValue::Postgres),
            Self::Sqlite(field) => field.value().map(DbValue::Sqlite),
        }
    }
}
