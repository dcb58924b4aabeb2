//! Migrations: each in one transaction, once, in the order of their stamps over all modules.
//!
//! Replicas may start at once: on PostgreSQL one of them holds an advisory lock, on SQLite one holds the write lock.
//! Going back is left out, here: `down.sql` is for people. So is `CREATE INDEX CONCURRENTLY`, which can't run in a
//! transaction.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::deserialize::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::RunQueryDsl;

use super::conn::DbConn;
use super::database::Database;
use super::dialect::Db;
use super::error::{Error, Result};
use super::postgres::{Connector, look_over};
use super::settings::{Settings, Target};
use super::sqlite::{Purpose, SqliteLink, create_file};

/// The migrations of one module, made by [`migrations!`](crate::migrations).
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// The module, which is also the prefix of its tables.
    pub module: &'static str,
    /// In the order of their stamps.
    pub steps: &'static [Migration],
}

/// One migration: the same change in the words of each engine.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its stamp and name, such as `2026-11-22-000101_outbox`; the folder's name.
    pub name: &'static str,
    /// What PostgreSQL runs.
    pub postgres: &'static str,
    /// What SQLite runs.
    pub sqlite: &'static str,
}

/// Embeds a module's migrations, named one by one so that none is added without a rebuild:
/// `platform::migrations!("auth", ["2026-11-22-000201_accounts"])`.
///
/// Each name is a folder with an `up.sql` below `migrations/postgres/auth` and `migrations/sqlite/auth`.
#[macro_export]
macro_rules! migrations {
    ($module:literal) => {
        compile_error!(
            "name the migrations in order: platform::migrations!(\"module\", [\"2026-11-22-000201_accounts\"])"
        )
    };
    ($module:literal, [$($name:literal),* $(,)?]) => {
        $crate::migrations!(@ "/../../migrations/", $module, [$($name),*])
    };
    (@ $root:literal, $module:literal, [$($name:literal),*]) => {
        $crate::db::Migrations {
            module: $module,
            steps: &[$($crate::db::Migration {
                name: $name,
                postgres: include_str!(concat!(
                    env!("CARGO_MANIFEST_DIR"), $root, "postgres/", $module, "/", $name, "/up.sql"
                )),
                sqlite: include_str!(concat!(
                    env!("CARGO_MANIFEST_DIR"), $root, "sqlite/", $module, "/", $name, "/up.sql"
                )),
            }),*],
        }
    };
}

/// PostgreSQL's advisory locks have numbers; this one is ours ("doorward" in ASCII).
const LOCK: i64 = 0x646f_6f72_7761_7264;

/// Stands among the migrations of a database into which everything is being moved: see `transfer.rs`.
pub(super) const UNFINISHED: &str = "unfinished transfer";

/// Stands beside it until the tables are made and nothing is in them.
pub(super) const UNPREPARED: &str = "unfinished transfer, not prepared";

/// How the name of a migration ends that the version before can't live with, such as one that drops a column. Every other
/// one leaves the version before working: it adds, with defaults.
const BREAKING: &str = "_breaking";

/// How long a replica waits while another one migrates.
const LOCK_ATTEMPTS: u32 = 1_500;
const LOCK_PAUSE: Duration = Duration::from_millis(200);

impl Database {
    /// Brings the database to what this program needs, and tells which migrations it applied.
    ///
    /// # Errors
    /// [`Error::Setup`] when the database holds a breaking migration that is not among the given ones, because then a newer
    /// program made it, or when a migration fails; [`Error::Unavailable`] when the database does not answer.
    pub async fn migrate(settings: &Settings, migrations: &[Migrations]) -> Result<Vec<String>> {
        Self::migrate_part(settings, migrations, migrations).await
    }

    /// The same for a process that needs only some of the tables that this program knows: others may be there, as in the
    /// copy of a database that had all of them, and stay as they are.
    ///
    /// # Errors
    /// As [`Database::migrate`], where newer is what is not among the known ones.
    pub async fn migrate_part(
        settings: &Settings,
        needed: &[Migrations],
        known: &[Migrations],
    ) -> Result<Vec<String>> {
        let connection = &mut connect(settings).await?;
        let done = locked(connection, None).await?;
        bring_up(connection, &done, needed, known).await
    }

    /// The same for a database that is marked, because everything is about to be moved into it.
    ///
    /// # Errors
    /// As [`Database::migrate_part`].
    pub(super) async fn migrate_marked(
        settings: &Settings,
        needed: &[Migrations],
        known: &[Migrations],
    ) -> Result<Vec<String>> {
        let connection = &mut connect(settings).await?;
        let mut done = locked(connection, None).await?;
        done.retain(|name| name != UNFINISHED && name != UNPREPARED);
        bring_up(connection, &done, needed, known).await
    }
}

async fn bring_up(
    connection: &mut DbConn,
    done: &BTreeSet<String>,
    needed: &[Migrations],
    known: &[Migrations],
) -> Result<Vec<String>> {
    refuse_breaking(done, &in_order(known))?;
    let mut names = Vec::new();
    for step in in_order(needed) {
        if !done.contains(step.name) && !locked(connection, Some(step)).await?.contains(step.name) {
            tracing::info!(migration = step.name, "applied a migration");
            names.push(step.name.to_owned());
        }
    }
    Ok(names)
}

/// A connection of its own: migrations may take longer than statements may, and it is closed with its lock.
async fn connect(settings: &Settings) -> Result<DbConn> {
    match settings.url.target()? {
        Target::Postgres(url) => {
            let connector = Connector::new(&url, settings)?.patient();
            if connector.is_open_to_others() {
                tracing::warn!(
                    "PostgreSQL is elsewhere, and nothing says that it is the right one: use sslmode=verify-full in \
                     database.url"
                );
            }
            let mut connection = connector.connect().await?;
            look_over(&mut connection, settings).await?;
            Ok(connection)
        }
        Target::Sqlite(path) => {
            create_file(&path)?;
            Ok(DbConn::sqlite(SqliteLink::open(&path, settings, Purpose::Migrate).await?))
        }
    }
}

pub(super) fn in_order(migrations: &[Migrations]) -> Vec<Migration> {
    let mut steps: Vec<Migration> = migrations.iter().flat_map(|module| module.steps).copied().collect();
    steps.sort_unstable_by_key(|step| step.name);
    steps
}

pub(super) fn bookkeeping(dialect: Db) -> &'static str {
    match dialect {
        Db::Postgres => {
            "CREATE TABLE IF NOT EXISTS platform_migrations (
                name text PRIMARY KEY,
                applied_at timestamptz NOT NULL DEFAULT now()
            )"
        }
        Db::Sqlite => {
            "CREATE TABLE IF NOT EXISTS platform_migrations (
                name TEXT PRIMARY KEY NOT NULL,
                applied_at INTEGER NOT NULL DEFAULT (unixepoch() * 1000000)
            ) STRICT, WITHOUT ROWID"
        }
    }
}

/// Applies a migration unless it is applied already, while no other replica migrates; tells what was applied before.
///
/// Asks for the lock again and again instead of waiting inside of a statement, so that no transaction is open meanwhile.
/// The lock ends with its transaction: a pooler may give the next one another connection.
async fn locked(connection: &mut DbConn, step: Option<Migration>) -> Result<BTreeSet<String>> {
    for _ in 0..LOCK_ATTEMPTS {
        if let Some(before) = apply(connection, step).await? {
            return Ok(before);
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Err(Error::Unavailable("another process has been migrating it for five minutes".into()))
}

/// Whether this transaction has the lock. SQLite gives it with every transaction that writes.
pub(super) async fn lock(tx: &mut DbConn) -> Result<bool> {
    #[derive(QueryableByName)]
    struct Lock {
        #[diesel(sql_type = Bool)]
        taken: bool,
    }
    if tx.dialect() == Db::Sqlite {
        return Ok(true);
    }
    let lock = diesel::sql_query("SELECT pg_try_advisory_xact_lock($1) AS taken").bind::<BigInt, _>(LOCK);
    let lock: Lock = lock.get_result(tx).await?;
    Ok(lock.taken)
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    name: String,
}

pub(super) async fn applied(connection: &mut DbConn) -> Result<BTreeSet<String>> {
    let names: Vec<Applied> =
        diesel::sql_query("SELECT name FROM platform_migrations").load(connection).await?;
    Ok(names.into_iter().map(|applied| applied.name).collect())
}

/// Refuses a database that this program could damage: one that is not complete, or one in which a newer version has made a
/// change that breaks the version before it. Other changes of a newer version leave this one working: that is what lets the
/// two run side by side while one takes the other's place.
fn refuse_breaking(applied: &BTreeSet<String>, steps: &[Migration]) -> Result<()> {
    if applied.contains(UNFINISHED) {
        return Err(Error::Setup(
            "Not everything has arrived in this database yet: a move into it was begun and did not end. Run `doorward \
             storage copy` once more; it goes on where it ended."
                .to_owned(),
        ));
    }
    match unknown(applied, steps).rfind(|name| name.ends_with(BREAKING)) {
        Some(name) => Err(newer(name)),
        None => {
            if let Some(name) = unknown(applied, steps).next_back() {
                tracing::warn!(
                    migration = name,
                    "the database was made by a newer version, beside which this one still works"
                );
            }
            Ok(())
        }
    }
}

/// Refuses everything that a newer version has made: for what is kept, not for what is served.
pub(super) fn refuse_newer(applied: &BTreeSet<String>, steps: &[Migration]) -> Result<()> {
    unknown(applied, steps).next_back().map_or(Ok(()), |name| Err(newer(name)))
}

/// The migrations in a database that this program does not know.
fn unknown<'a>(
    applied: &'a BTreeSet<String>,
    steps: &'a [Migration],
) -> impl DoubleEndedIterator<Item = &'a String> {
    applied.iter().filter(|name| steps.iter().all(|step| step.name != name.as_str()))
}

fn newer(name: &str) -> Error {
    Error::Setup(format!(
        "The database was made by a newer version of Doorward: it holds the migration {name}, which this program does not \
         know. Run that version, or go back to a backup made before it."
    ))
}

/// The same, once: none while another replica has the lock.
async fn apply(connection: &mut DbConn, step: Option<Migration>) -> Result<Option<BTreeSet<String>>> {
    let before = connection
        .transaction(async |tx| {
            if !lock(tx).await? {
                return Ok(None);
            }
            tx.batch(bookkeeping(tx.dialect())).await?;
            let before = applied(tx).await?;
            if let Some(step) = step.filter(|step| !before.contains(step.name)) {
                run(tx, step).await?;
            }
            Ok::<_, Error>(Some(before))
        })
        .await;
    before.map_err(|error| match (error, step) {
        (Error::Unavailable(words), _) => Error::Unavailable(words),
        (error, None) => error,
        (error, Some(step)) => {
            Error::Setup(format!("The migration {} failed and was rolled back: {error}.", step.name))
        }
    })
}

async fn run(tx: &mut DbConn, step: Migration) -> Result<()> {
    let insert = match tx.dialect() {
        Db::Postgres => {
            tx.batch_words(step.postgres).await?;
            "INSERT INTO platform_migrations (name) VALUES ($1)"
        }
        Db::Sqlite => {
            tx.batch_words(step.sqlite).await?;
            check_foreign_keys(tx).await?;
            "INSERT INTO platform_migrations (name) VALUES (?)"
        }
    };
    diesel::sql_query(insert).bind::<Text, _>(step.name).execute(tx).await?;
    Ok(())
}

/// Foreign keys are off while SQLite migrates, so that tables can be rebuilt; what came of it is checked here.
async fn check_foreign_keys(tx: &mut DbConn) -> Result<()> {
    #[derive(QueryableByName)]
    struct Dangling {
        #[diesel(sql_type = Text)]
        table: String,
    }
    let dangling: Vec<Dangling> =
        diesel::sql_query("SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1").load(tx).await?;
    match dangling.as_slice() {
        [] => Ok(()),
        [row, ..] => Err(Error::Setup(format!("rows of the table {} point at nothing", row.table))),
    }
}

impl DbConn {
    /// Runs a migration's SQL; unlike elsewhere, the engine's words are told, for they are about our SQL alone.
    async fn batch_words(&mut self, sql: &str) -> Result<()> {
        self.batch(sql).await.map_err(|error| match error {
            Error::Other(error) => Error::Setup(error.to_string()),
            error => error,
        })
    }
}
