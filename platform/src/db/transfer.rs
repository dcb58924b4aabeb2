//! Moving everything from one engine to the other: the rows of every table, in their natural order, in one form that
//! both engines read and write, so that what arrived can be compared with what was sent.
//!
//! A row travels as a JSON array: uuids and bytes in hexadecimal, instants in microseconds, JSON columns as text in one
//! notation. What a table is made of is asked of the engines themselves, so that no table can be forgotten.
//!
//! The target is marked before anything is made in it, so that wherever a move is cut off, it can go on, and nobody else
//! uses what is not complete. What migrations bring along is taken out of the new tables before the first row arrives; until
//! then a second mark stands beside the first one.
//!
//! Left out: moving between two databases of one engine, which they do better themselves; and a source that changes
//! meanwhile, which the comparison at the end finds.

use diesel::deserialize::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl as _;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::conn::DbConn;
use super::database::Database;
use super::dialect::Db;
use super::error::{Error, Result};
use super::migrate::{Migrations, UNFINISHED, UNPREPARED, applied, bookkeeping, lock};
use super::settings::Settings;
use super::tables::{Table, hold_nothing, tables};

/// Rows that travel together.
const BATCH: usize = 500;

/// What arrived of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 over all of them, the same on both sides.
    pub sha256: String,
}

impl Database {
    /// Moves everything into an empty database of the other engine, and compares the two. Begun and not finished, it goes
    /// on where it ended; until it is finished, the target is refused by everything else.
    ///
    /// # Errors
    /// [`Error::Setup`] with a sentence when the engines are the same, the source is not up to date, the target holds
    /// something else, or the two differ at the end; [`Error::Unavailable`] when one of them does not answer.
    pub async fn transfer(
        from: &Settings,
        to: &Settings,
        needed: &[Migrations],
        known: &[Migrations],
    ) -> Result<Vec<Arrived>> {
        Self::migrate_part(from, needed, known).await?;
        let (source, target) = (Self::open(from).await?, Self::open(to).await?);
        if source.dialect() == target.dialect() {
            return Err(Error::Setup(
                "Both databases are of the same engine. Move SQLite with `doorward backup` and `doorward restore`, and \
                 PostgreSQL with pg_dump and pg_restore."
                    .to_owned(),
            ));
        }
        if !target.transaction(async |tx| claim(tx).await).await? {
            Self::migrate_marked(to, needed, known).await?;
            prepare(&target, &tables(&source, &target).await?).await?;
        }
        let tables = tables(&source, &target).await?;
        for table in &tables {
            send(&source, &target, table).await?;
        }
        let mut arrived = Vec::with_capacity(tables.len());
        for table in &tables {
            arrived.push(compare(&source, &target, table).await?);
        }
        target.transaction(async |tx| unmark(tx, UNFINISHED).await).await?;
        Ok(arrived)
    }
}

/// Marks a database as one into which everything is moved; tells whether rows may have arrived in it already. An error when
/// something else is in it.
async fn claim(tx: &mut DbConn) -> Result<bool> {
    if !lock(tx).await? {
        return Err(Error::Unavailable("another process is bringing it up to date".into()));
    }
    tx.batch(bookkeeping(tx.dialect())).await?;
    let names = applied(tx).await?;
    if names.contains(UNFINISHED) {
        return Ok(!names.contains(UNPREPARED));
    }
    // Tables alone are nothing that could get lost.
    if !names.is_empty() && !hold_nothing(tx).await? {
        return Err(Error::Setup(
            "The target is no empty database: Doorward is in it already. Name one that is empty.".to_owned(),
        ));
    }
    mark(tx, UNFINISHED).await?;
    mark(tx, UNPREPARED).await?;
    Ok(false)
}

/// Empties the new tables of what comes with them.
async fn prepare(target: &Database, tables: &[Table]) -> Result<()> {
    target
        .transaction(async |tx| {
            for table in tables.iter().rev() {
                tx.batch(&format!("DELETE FROM \"{}\"", table.name)).await?;
            }
            unmark(tx, UNPREPARED).await
        })
        .await
}

async fn mark(tx: &mut DbConn, word: &str) -> Result<()> {
    let sql = match tx.dialect() {
        Db::Postgres => "INSERT INTO platform_migrations (name) VALUES ($1)",
        Db::Sqlite => "INSERT INTO platform_migrations (name) VALUES (?)",
    };
    diesel::sql_query(sql).bind::<Text, _>(word).execute(tx).await?;
    Ok(())
}

async fn unmark(tx: &mut DbConn, word: &str) -> Result<()> {
    let sql = match tx.dialect() {
        Db::Postgres => "DELETE FROM platform_migrations WHERE name = $1",
        Db::Sqlite => "DELETE FROM platform_migrations WHERE name = ?",
    };
    diesel::sql_query(sql).bind::<Text, _>(word).execute(tx).await?;
    Ok(())
}

/// A row in the form in which it travels.
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    row: String,
}

/// Sends what has not arrived yet: rows arrive in the order of their keys, so what comes after the last one is missing.
async fn send(source: &Database, target: &Database, table: &Table) -> Result<()> {
    let mut last = last(target, table).await?;
    loop {
        let rows = page(source, table, last.as_ref()).await?;
        let Some(newest) = rows.last() else { return Ok(()) };
        last = Some(table.key_of(newest));
        let full = rows.len() == BATCH;
        let insert = table.insert(target.dialect());
        let rows = Value::Array(rows).to_string();
        target
            .transaction(async |tx| {
                diesel::sql_query(insert).bind::<Text, _>(rows).execute(tx).await?;
                Ok::<_, Error>(())
            })
            .await?;
        if !full {
            return Ok(());
        }
    }
}

/// The key of the last row that is there.
async fn last(db: &Database, table: &Table) -> Result<Option<Value>> {
    let sql = table.newest(db.dialect());
    let rows: Vec<Row> = diesel::sql_query(sql).load(&mut *db.read().await?).await?;
    rows.as_slice().first().map(|row| table.parse(&row.row).map(|row| table.key_of(&row))).transpose()
}

/// The next rows after a key.
async fn page(db: &Database, table: &Table, after: Option<&Value>) -> Result<Vec<Value>> {
    let mut c = db.read().await?;
    let rows: Vec<Row> = match after {
        None => {
            diesel::sql_query(table.first_page(db.dialect()))
                .bind::<BigInt, _>(BATCH as i64)
                .load(&mut *c)
                .await?
        }
        Some(key) => {
            diesel::sql_query(table.next_page(db.dialect()))
                .bind::<BigInt, _>(BATCH as i64)
                .bind::<Text, _>(key.to_string())
                .load(&mut *c)
                .await?
        }
    };
    rows.iter().map(|row| table.parse(&row.row)).collect()
}

/// Reads both sides to their ends, side by side.
async fn compare(source: &Database, target: &Database, table: &Table) -> Result<Arrived> {
    let (mut hasher, mut rows, mut after) = (Sha256::new(), 0, None);
    loop {
        let (sent, got) =
            (page(source, table, after.as_ref()).await?, page(target, table, after.as_ref()).await?);
        if sent != got {
            return Err(Error::Setup(format!(
                "The table {} is not the same on both sides. Nothing may write to the source meanwhile: stop every \
                 process that uses it, empty the target, and begin again.",
                table.name
            )));
        }
        for row in &sent {
            hasher.update(row.to_string());
            hasher.update(b"\n");
        }
        rows += sent.len() as u64;
        after = sent.last().map(|row| table.key_of(row));
        if sent.len() < BATCH {
            let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok(Arrived { table: table.name.clone(), rows, sha256 });
        }
    }
}
