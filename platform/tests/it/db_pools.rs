//! Connections: who may write, what happens when there are none, and how files and servers are opened.

use std::time::{Duration, Instant};

use diesel::deserialize::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use platform::db::{Database, Db, DbConn, Error, Settings, Synchronous};
use testkit::databases::{Engine, TestDatabase};

use crate::db_support::{count, insert, person};

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

async fn number(c: &mut DbConn, pragma: &str) -> i64 {
    let sql = format!("SELECT {pragma} AS number FROM pragma_{pragma}");
    diesel::sql_query(sql).get_result::<Number>(c).await.unwrap().number
}

async fn word(c: &mut DbConn, sql: &str) -> String {
    diesel::sql_query(sql).get_result::<Word>(c).await.unwrap().word
}

testkit::both_engines! {
    async fn a_caller_does_not_wait_for_ever_for_a_connection(test: TestDatabase) {
        let settings = Settings { max_connections: 1, acquire_timeout_ms: 50, ..test.settings().clone() };
        let db = Database::open(&settings).await.unwrap();
        let held = (db.write().await.unwrap(), Instant::now());
        let error = db.write().await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(held.1.elapsed() < Duration::from_secs(3));
        let told = contracts::Error::from(error);
        assert_eq!((told.kind, told.retry_after), (contracts::Kind::Unavailable, Some(1)));
        assert_eq!(told.code, "platform.database_unavailable");
        drop(held);
        db.write().await.unwrap();
    }

    async fn a_closed_database_gives_no_connection(test: TestDatabase) {
        let db = Database::open(test.settings()).await.unwrap();
        db.read().await.unwrap();
        db.close();
        assert!(matches!(db.read().await, Err(Error::Unavailable(_))));
    }

    async fn the_dialect_is_known(test: TestDatabase) {
        let expected = match test.engine() {
            Engine::Sqlite => Db::Sqlite,
            Engine::Postgres => Db::Postgres,
        };
        let db = test.database();
        assert_eq!((db.dialect(), db.read().await.unwrap().dialect()), (expected, expected));
    }
}

/// Runs on one engine only, for what is about that engine.
fn on(engine: Engine, test: impl AsyncFnOnce(&TestDatabase)) {
    testkit::databases::run(engine, &crate::migrations(), test);
}

#[test]
fn sqlite_is_set_up_for_a_server() {
    on(Engine::Sqlite, async |test| {
        let settings = Settings { synchronous: Synchronous::default(), ..test.settings().clone() };
        let db = Database::open(&settings).await.unwrap();
        for mut c in [db.write().await.unwrap(), db.read().await.unwrap()] {
            assert_eq!(word(&mut c, "SELECT journal_mode AS word FROM pragma_journal_mode").await, "wal");
            assert_eq!(number(&mut c, "synchronous").await, 2, "2 is FULL");
            assert_eq!(number(&mut c, "foreign_keys").await, 1);
            let busy = diesel::sql_query("SELECT timeout AS number FROM pragma_busy_timeout");
            assert_eq!(busy.get_result::<Number>(&mut c).await.unwrap().number, 5_000);
        }
        assert_eq!(number(&mut db.write().await.unwrap(), "query_only").await, 0);
        assert_eq!(number(&mut db.read().await.unwrap(), "query_only").await, 1);
    });
}

#[test]
fn a_reader_of_sqlite_refuses_to_write() {
    on(Engine::Sqlite, async |test| {
        let db = test.database();
        assert!(insert(&mut db.read().await.unwrap(), &[person(1)]).await.is_err());
        assert_eq!(count(&db).await, 0);
    });
}

#[test]
fn readers_of_sqlite_go_on_while_one_writes() {
    on(Engine::Sqlite, async |test| {
        let db = test.database();
        db.transaction(async |tx| {
            insert(tx, &[person(1)]).await?;
            assert_eq!(count(&db).await, 0);
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        assert_eq!(count(&db).await, 1);
    });
}

#[test]
fn a_second_process_waits_for_the_writer_and_gives_up() {
    on(Engine::Sqlite, async |test| {
        let settings = Settings { lock_timeout_ms: 50, ..test.settings().clone() };
        let other = Database::open(&settings).await.unwrap();
        let blocked = test
            .database()
            .transaction(async |tx| {
                insert(tx, &[person(1)]).await?;
                Ok::<_, Error>(other.transaction(async |tx| insert(tx, &[person(2)]).await).await)
            })
            .await
            .unwrap();
        assert!(matches!(blocked, Err(Error::Timeout(_))), "{blocked:?}");
        other.transaction(async |tx| insert(tx, &[person(2)]).await).await.unwrap();
    });
}

#[test]
fn a_sqlite_file_and_its_folder_are_made_for_this_user_alone() {
    on(Engine::Sqlite, async |_| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/deeper/doorward.db");
        let url = format!("sqlite:{}", path.display()).into();
        let db = Database::open(&Settings { url, ..Settings::default() }).await.unwrap();
        db.write().await.unwrap().batch("CREATE TABLE t (x INTEGER) STRICT").await.unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o600);
            assert_eq!(mode(&path.with_file_name("doorward.db-wal")), 0o600);
            assert_eq!(mode(path.parent().unwrap()), 0o700);
        }
    });
}

#[test]
fn a_folder_that_cannot_be_made_is_a_sentence() {
    on(Engine::Sqlite, async |_| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let url = format!("sqlite:{}/doorward.db", file.path().display()).into();
        let error = Database::open(&Settings { url, ..Settings::default() }).await.unwrap_err();
        assert!(error.to_string().starts_with("The folder of the SQLite database"), "{error}");
    });
}

#[test]
fn a_postgres_that_is_gone_is_unavailable_and_not_named() {
    on(Engine::Sqlite, async |_| {
        let url = "postgres://doorward:hunter2@127.0.0.1:1/doorward".into();
        let db = Database::open(&Settings { url, ..Settings::default() }).await.unwrap();
        let error = db.read().await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)));
        let text = format!("{error} {error:?}");
        assert!(!text.contains("127.0.0.1") && !text.contains("hunter2"), "{text}");
    });
}

#[test]
fn a_connection_that_postgres_ended_is_replaced() {
    on(Engine::Postgres, async |test| {
        let db = Database::open(&Settings { max_connections: 1, ..test.settings().clone() }).await.unwrap();
        let suicide = db.write().await.unwrap().batch("SELECT pg_terminate_backend(pg_backend_pid())").await;
        assert!(matches!(suicide, Err(Error::Unavailable(_))), "{suicide:?}");
        insert(&mut db.write().await.unwrap(), &[person(1)]).await.unwrap();
    });
}

#[test]
fn postgres_gives_up_on_a_slow_statement_and_on_a_lock() {
    on(Engine::Postgres, async |test| {
        let settings = Settings { statement_timeout_ms: 100, lock_timeout_ms: 50, ..test.settings().clone() };
        let db = Database::open(&settings).await.unwrap();
        let mut c = db.write().await.unwrap();
        assert!(matches!(c.batch("SELECT pg_sleep(5)").await, Err(Error::Timeout(_))));
        assert_eq!(word(&mut c, "SELECT current_setting('application_name') AS word").await, "doorward");
        let blocked = db
            .transaction(async |tx| {
                tx.batch("LOCK TABLE people").await?;
                Ok::<_, Error>(insert(&mut c, &[person(1)]).await)
            })
            .await
            .unwrap();
        assert!(matches!(blocked, Err(Error::Timeout(_))), "{blocked:?}");
    });
}
