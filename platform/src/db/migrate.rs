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
use super::postgres::Connector;
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

/// How long a replica waits while another one migrates.
const LOCK_ATTEMPTS: u32 = 1_500;
const LOCK_PAUSE: Duration = Duration::from_millis(200);

impl Database {
    /// Brings the database to what this program needs, and tells which migrations it applied.
    ///
    /// # Errors
    /// [`Error::Setup`] when the database holds migrations that are not among the given ones, because then a newer
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
        let steps = in_order(needed);
        lock(connection).await?;
        connection.batch(bookkeeping(connection.dialect())).await?;
        let applied = applied(connection).await?;
        refuse_newer(&applied, &in_order(known))?;
        let mut names = Vec::new();
        for step in steps {
            if !applied.contains(step.name) && apply(connection, step).await? {
                tracing::info!(migration = step.name, "applied a migration");
                names.push(step.name.to_owned());
            }
        }
        Ok(names)
    }
}

/// A connection of its own: migrations may take longer than statements may, and it is closed with its lock.
async fn connect(settings: &Settings) -> Result<DbConn> {
    match settings.url.target()? {
        Target::Postgres(url) => {
            let connector = Connector::new(&url, settings)?.patient();
            Ok(DbConn::postgres(connector.connect().await?))
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

fn bookkeeping(dialect: Db) -> &'static str {
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

/// Asks again and again instead of waiting inside of a statement: a waiting statement is a transaction, and would
/// hold up what the replica that migrates is doing.
async fn lock(connection: &mut DbConn) -> Result<()> {
    #[derive(QueryableByName)]
    struct Lock {
        #[diesel(sql_type = Bool)]
        taken: bool,
    }
    if connection.dialect() == Db::Sqlite {
        return Ok(());
    }
    for _ in 0..LOCK_ATTEMPTS {
        let lock: Lock = diesel::sql_query("SELECT pg_try_advisory_lock($1) AS taken")
            .bind::<BigInt, _>(LOCK)
            .get_result(connection)
            .await?;
        if lock.taken {
            return Ok(());
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Err(Error::Unavailable("another process has been migrating it for five minutes".into()))
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

pub(super) fn refuse_newer(applied: &BTreeSet<String>, steps: &[Migration]) -> Result<()> {
    let unknown = applied.iter().rfind(|name| steps.iter().all(|step| step.name != name.as_str()));
    match unknown {
        None => Ok(()),
        Some(name) => Err(Error::Setup(format!(
            "The database was made by a newer version of Doorward: it holds the migration {name}, which this \
             program does not know. Run that version, or go back to a backup made before it."
        ))),
    }
}

/// Applies one migration unless another process just did, and tells whether it was this one.
async fn apply(connection: &mut DbConn, step: Migration) -> Result<bool> {
    let applied = connection
        .transaction(async |tx| {
            if applied(tx).await?.contains(step.name) {
                return Ok(false);
            }
            match tx.dialect() {
                Db::Postgres => tx.batch_words(step.postgres).await?,
                Db::Sqlite => {
                    tx.batch_words(step.sqlite).await?;
                    check_foreign_keys(tx).await?;
                }
            }
            let insert = match tx.dialect() {
                Db::Postgres => "INSERT INTO platform_migrations (name) VALUES ($1)",
                Db::Sqlite => "INSERT INTO platform_migrations (name) VALUES (?)",
            };
            diesel::sql_query(insert).bind::<Text, _>(step.name).execute(tx).await?;
            Ok::<_, Error>(true)
        })
        .await;
    applied.map_err(|error| match error {
        Error::Unavailable(_) => error,
        error => Error::Setup(format!("The migration {} failed and was rolled back: {error}.", step.name)),
    })
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
