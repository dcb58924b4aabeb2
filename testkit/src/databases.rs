//! A fresh, migrated database for each test, on both engines.
//!
//! SQLite is a file in a folder that goes away. PostgreSQL is a copy of a template, which is made once for each set
//! of migrations; the server is named by `DOORWARD_TEST_POSTGRES_URL` (`./dev services up postgres` starts one).
//! Without it those tests say that they are skipped, or fail when `DOORWARD_TEST_REQUIRE_POSTGRES` is `1`.
//! A failing test leaves its PostgreSQL database behind, to be looked at.

use std::env;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use platform::db::{Database, Migrations, Settings, Synchronous};
use tempfile::TempDir;
use tokio::task::LocalSet;
use tokio_postgres::{Client, NoTls};

const POSTGRES_URL: &str = "DOORWARD_TEST_POSTGRES_URL";
const REQUIRE_POSTGRES: &str = "DOORWARD_TEST_REQUIRE_POSTGRES";

/// Writes each test once and runs it on both engines, as `name::sqlite` and `name::postgres`.
///
/// The test takes a [`Database`](platform::db::Database) or a [`TestDatabase`]; the crate says with
/// `fn migrations() -> Vec<Migrations>`, at its root, what is in it.
#[macro_export]
#[allow(clippy::crate_in_macro_def, reason = "the migrations are those of the crate under test")]
macro_rules! both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($database:ident: $kind:ty) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports, reason = "a test may need nothing from around it")]
            use super::*;

            async fn body($database: $kind) $body

            $(#[$meta])*
            #[test]
            fn sqlite() {
                $crate::databases::run($crate::databases::Engine::Sqlite, &crate::migrations(), async |database| {
                    body(<$kind>::from(database)).await;
                });
            }

            $(#[$meta])*
            #[test]
            fn postgres() {
                $crate::databases::run($crate::databases::Engine::Postgres, &crate::migrations(), async |database| {
                    body(<$kind>::from(database)).await;
                });
            }
        }
    )+};
}

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// The server that `DOORWARD_TEST_POSTGRES_URL` names.
    Postgres,
}

/// A database of one test.
#[derive(Clone, Debug)]
pub struct TestDatabase {
    engine: Engine,
    settings: Settings,
    database: Database,
    /// Only kept: dropping the last one removes the folder.
    folder: Option<Arc<TempDir>>,
}

impl TestDatabase {
    /// Makes one and migrates it; `None` when there is no PostgreSQL and none is required.
    pub async fn create(engine: Engine, migrations: &[Migrations]) -> Option<Self> {
        let (url, folder) = match engine {
            Engine::Sqlite => {
                let folder = TempDir::with_prefix("doorward-test-").expect("a folder for the test");
                (format!("sqlite:{}", folder.path().join("test.db").display()), Some(Arc::new(folder)))
            }
            Engine::Postgres => (postgres_copy(&postgres_server()?, migrations).await, None),
        };
        let settings = Settings {
            url: url.into(),
            max_connections: 5,
            synchronous: Synchronous::Off,
            accept_losing_acknowledged_writes: true,
            ..Settings::default()
        };
        Database::migrate(&settings, migrations).await.expect("migrations apply");
        let database = Database::open(&settings).await.expect("the database opens");
        Some(Self { engine, settings, database, folder })
    }

    /// Which engine it is on.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Where it is, for tests that start processes.
    #[must_use]
    pub fn url(&self) -> &str {
        self.settings.url.expose()
    }

    /// How it was opened, to open it once more in another way.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> Database {
        self.database.clone()
    }

    /// Removes it, also when something is still connected.
    pub async fn remove(self) {
        self.database.close();
        if self.engine == Engine::Postgres {
            let (server, name) = (postgres_server().expect("there was one"), database_name(self.url()));
            let client = connect(&server).await;
            client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
        }
        drop(self.folder);
    }
}

impl From<&TestDatabase> for TestDatabase {
    fn from(database: &TestDatabase) -> Self {
        database.clone()
    }
}

impl From<&TestDatabase> for Database {
    fn from(database: &TestDatabase) -> Self {
        database.database()
    }
}

/// Runs one test on one engine, on a runtime with two threads; what [`both_engines!`](crate::both_engines) calls.
pub fn run(engine: Engine, migrations: &[Migrations], test: impl AsyncFnOnce(&TestDatabase)) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    // Inside of a LocalSet, because parts of actix-web spawn onto the thread they are on.
    runtime.block_on(LocalSet::new().run_until(async {
        if let Some(database) = TestDatabase::create(engine, migrations).await {
            test(&database).await;
            database.remove().await;
        }
    }));
}

/// The server to make databases on.
fn postgres_server() -> Option<String> {
    let url = env::var(POSTGRES_URL).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        assert!(
            env::var(REQUIRE_POSTGRES).as_deref() != Ok("1"),
            "{REQUIRE_POSTGRES}=1, but {POSTGRES_URL} names no server"
        );
        eprintln!("skipped: {POSTGRES_URL} names no server; `./dev services up postgres` starts one");
    }
    url
}

/// A new database with all the migrations in it.
async fn postgres_copy(server: &str, migrations: &[Migrations]) -> String {
    let client = connect(server).await;
    let template = template(server, &client, migrations).await;
    let name = format!("doorward_test_{}", unique());
    client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await.expect("a copy");
    with_database(server, &name)
}

/// The template for these migrations. The first test that needs it makes it while the others, in other processes,
/// wait; it gets its name when it is complete.
async fn template(server: &str, client: &Client, migrations: &[Migrations]) -> String {
    let mut hasher = DefaultHasher::new();
    for step in migrations.iter().flat_map(|module| module.steps) {
        (step.name, step.postgres).hash(&mut hasher);
    }
    let hash = hasher.finish();
    let (name, draft) = (format!("doorward_template_{hash:016x}"), format!("doorward_draft_{hash:016x}"));
    let lock = hash.cast_signed();
    client.execute("SELECT pg_advisory_lock($1)", &[&lock]).await.expect("the template's lock");
    let made =
        client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await.expect("an answer");
    if made.is_none() {
        client
            .batch_execute(&format!("DROP DATABASE IF EXISTS {draft} WITH (FORCE)"))
            .await
            .expect("dropped");
        client.batch_execute(&format!("CREATE DATABASE {draft}")).await.expect("a draft");
        let settings = Settings {
            url: with_database(server, &draft).into(),
            accept_losing_acknowledged_writes: true,
            ..Settings::default()
        };
        Database::migrate(&settings, migrations).await.expect("migrations apply");
        rename_when_free(client, &draft, &name).await;
    }
    client.execute("SELECT pg_advisory_unlock($1)", &[&lock]).await.expect("unlocked");
    name
}

/// A database can't be renamed until the server has noticed that the migrator's connection is gone.
async fn rename_when_free(client: &Client, draft: &str, name: &str) {
    let rename = format!("ALTER DATABASE {draft} RENAME TO {name}");
    for _ in 0..100 {
        if client.batch_execute(&rename).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    client.batch_execute(&rename).await.expect("renamed");
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL for tests");
    tokio::spawn(connection);
    client
}

fn with_database(server: &str, name: &str) -> String {
    let (server, query) =
        server.split_once('?').map_or((server, None), |(server, query)| (server, Some(query)));
    let (host, _) = server.rsplit_once('/').expect("a url with a database");
    query.map_or_else(|| format!("{host}/{name}"), |query| format!("{host}/{name}?{query}"))
}

fn database_name(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

fn unique() -> String {
    contracts::EventId::new().uuid().simple().to_string()
}
