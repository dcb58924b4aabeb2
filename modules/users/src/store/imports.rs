//! The rows of imports.

use contracts::Time;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Json, Result};

use crate::model::{Import, ImportFormat, ImportId, RowError};
use crate::schema::users_imports as imports;

/// An import as a row.
#[derive(Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = imports, check_for_backend(Db), treat_none_as_default_value = false, treat_none_as_null = true)]
struct Row {
    id: ImportId,
    dry_run: bool,
    format: ImportFormat,
    rows: i64,
    created: i64,
    present: i64,
    refused: i64,
    errors: Json<Vec<RowError>>,
    checksum: Vec<u8>,
    started_at: Time,
    updated_at: Time,
    finished_at: Option<Time>,
}

impl From<&Import> for Row {
    fn from(import: &Import) -> Self {
        Self {
            id: import.id,
            dry_run: import.dry_run,
            format: import.format,
            rows: import.rows,
            created: import.created,
            present: import.present,
            refused: import.refused,
            errors: Json(import.errors.clone()),
            checksum: import.checksum.clone(),
            started_at: import.started_at,
            updated_at: import.updated_at,
            finished_at: import.finished_at,
        }
    }
}

impl From<Row> for Import {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            dry_run: row.dry_run,
            format: row.format,
            rows: row.rows,
            created: row.created,
            present: row.present,
            refused: row.refused,
            errors: row.errors.0,
            checksum: row.checksum,
            started_at: row.started_at,
            updated_at: row.updated_at,
            finished_at: row.finished_at,
        }
    }
}

/// Adds an import.
pub(crate) async fn insert(tx: &mut DbConn, import: &Import) -> Result<()> {
    diesel::insert_into(imports::table).values(Row::from(import)).execute(tx).await?;
    Ok(())
}

/// One import.
pub(crate) async fn find(c: &mut DbConn, id: ImportId) -> Result<Option<Import>> {
    let row = imports::table.find(id).select(Row::as_select()).first(c).await.optional()?;
    Ok(row.map(Import::from))
}

/// At most `limit` imports, the newest first, after this one.
pub(crate) async fn page(c: &mut DbConn, after: Option<ImportId>, limit: i64) -> Result<Vec<Import>> {
    let mut query = imports::table.select(Row::as_select()).into_boxed();
    if let Some(after) = after {
        query = query.filter(imports::id.lt(after));
    }
    let rows: Vec<Row> = query.order(imports::id.desc()).limit(limit).load(c).await?;
    Ok(rows.into_iter().map(Import::from).collect())
}

/// Notes how far an import is, unless it is somewhere else than it was; false then.
pub(crate) async fn advance(tx: &mut DbConn, before: &Import, after: &Import) -> Result<bool> {
    let same = imports::table.find(before.id).filter(imports::rows.eq(before.rows));
    let open = same.filter(imports::finished_at.is_null());
    Ok(diesel::update(open).set(Row::from(after)).execute(tx).await? == 1)
}
