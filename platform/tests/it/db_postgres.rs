//! What is about PostgreSQL alone: encryption, servers that go away, servers that forget, and poolers.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use diesel::deserialize::QueryableByName;
use diesel::sql_types::{Integer, Text};
use diesel_async::RunQueryDsl;
use platform::db::{Database, DbConn, Error, Settings};
use tempfile::TempDir;
use testkit::databases::{Engine, TestDatabase};
use testkit::postgres_front::PostgresFront;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::db_support::{count, insert, person};

fn on_postgres(test: impl AsyncFnOnce(&TestDatabase)) {
    testkit::databases::run(Engine::Postgres, &crate::migrations(), test);
}

fn through(test: &TestDatabase, url: String) -> Settings {
    Settings { url: url.into(), ..test.settings().clone() }
}

/// Whether a connection can be made.
async fn reaches(settings: &Settings) -> bool {
    Database::open(settings).await.unwrap().ping().await.is_ok()
}

async fn word(c: &mut DbConn, sql: &str) -> String {
    #[derive(QueryableByName)]
    struct Word {
        #[diesel(sql_type = Text)]
        word: String,
    }
    diesel::sql_query(sql).get_result::<Word>(c).await.unwrap().word
}

async fn server_process(db: &Database) -> i32 {
    #[derive(QueryableByName)]
    struct Process {
        #[diesel(sql_type = Integer)]
        pid: i32,
    }
    let mut c = db.write().await.unwrap();
    diesel::sql_query("SELECT pg_backend_pid() AS pid").get_result::<Process>(&mut *c).await.unwrap().pid
}

#[test]
fn a_server_is_believed_by_its_certificate_as_far_as_the_url_demands() {
    on_postgres(async |test| {
        let front = PostgresFront::start_tls(test.url(), "localhost").await;
        let ca = front.ca_file();
        let at = |host: &str, parameters: &str| through(test, front.url(test.url(), host, parameters));

        assert!(reaches(&at("localhost", &format!("sslmode=verify-full&sslrootcert={ca}"))).await);
        assert!(
            !reaches(&at("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={ca}"))).await,
            "another name"
        );
        assert!(reaches(&at("127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={ca}"))).await);
        assert!(reaches(&at("127.0.0.1", &format!("sslmode=require&sslrootcert={ca}"))).await);
        assert!(!reaches(&at("localhost", "sslmode=verify-full")).await, "signed by nobody who is known");
        let stranger = PostgresFront::start_tls(test.url(), "localhost").await;
        for mode in ["verify-ca", "require"] {
            let parameters = format!("sslmode={mode}&sslrootcert={}", stranger.ca_file());
            assert!(!reaches(&at("localhost", &parameters)).await, "signed by somebody else: {mode}");
        }
        assert!(reaches(&at("127.0.0.1", "sslmode=require")).await);
        let before = front.encrypted();
        assert!(reaches(&at("localhost", "")).await);
        assert_eq!(front.encrypted(), before + 1, "encrypted when the server can");
        assert!(reaches(&at("localhost", "sslmode=disable")).await);
        assert_eq!(front.encrypted(), before + 1, "in the clear when that is asked for");
    });
}

#[test]
fn who_asks_for_encryption_never_goes_in_the_clear() {
    on_postgres(async |test| {
        let front = PostgresFront::start(test.url()).await;
        let at = |parameters: &str| through(test, front.url(test.url(), "localhost", parameters));
        let other = PostgresFront::start_tls(test.url(), "localhost").await;
        let verify_ca = format!("sslmode=verify-ca&sslrootcert={}", other.ca_file());
        for parameters in ["sslmode=require", &verify_ca, "sslmode=verify-full"] {
            assert!(!reaches(&at(parameters)).await, "{parameters}");
        }
        assert!(reaches(&at("sslmode=prefer")).await && reaches(&at("")).await);
    });
}

#[test]
fn of_several_hosts_the_one_that_answers_and_writes_is_used() {
    on_postgres(async |test| {
        let front = PostgresFront::start(test.url()).await;
        let url = front.url(test.url(), "localhost", "").replace("@localhost", "@localhost:1,localhost");
        let db = Database::open(&through(test, url.trim_end_matches('?').to_owned())).await.unwrap();
        insert(&mut db.write().await.unwrap(), &[person(1)]).await.unwrap();
    });
}

#[test]
fn a_host_that_takes_connections_and_says_nothing_does_not_stand_in_front_of_the_next_one() {
    on_postgres(async |test| {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (user, address) = test.url().rsplit_once('@').unwrap();
        let url = format!("{user}@{},{address}", silent.local_addr().unwrap());
        let settings = Settings { connect_timeout_ms: 3_000, ..through(test, url) };
        let began = Instant::now();
        let db = Database::open(&settings).await.unwrap();
        insert(&mut db.write().await.unwrap(), &[person(1)]).await.unwrap();
        assert!(is_left(&silent).await, "the first host was asked, and then left");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        Database::migrate(&settings, &crate::migrations()).await.unwrap();
    });
}

/// A server that takes connections and says nothing, and settings that lead to it.
async fn silent_server(connect_timeout_ms: u64) -> (TcpListener, Settings) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://doorward:word@{}/doorward", silent.local_addr().unwrap()).into();
    (silent, Settings { url, connect_timeout_ms, ..Settings::default() })
}

/// Whether the next connection that was made to it is given up.
async fn is_left(silent: &TcpListener) -> bool {
    let soon = Duration::from_secs(10);
    let Ok(taken) = tokio::time::timeout(soon, silent.accept()).await else { return false };
    let (mut socket, mut asked) = (taken.unwrap().0, Vec::new());
    // It ends, in whatever way.
    tokio::time::timeout(soon, socket.read_to_end(&mut asked)).await.is_ok()
}

#[test]
fn a_server_that_takes_connections_and_says_nothing_is_given_up() {
    testkit::databases::run(Engine::Sqlite, &[], async |_| {
        let (silent, settings) = silent_server(200).await;
        let soon = Duration::from_secs(10);
        let migrated = tokio::time::timeout(soon, Database::migrate(&settings, &[])).await.unwrap();
        assert!(matches!(migrated, Err(Error::Unavailable(_))), "{migrated:?}");
        assert!(is_left(&silent).await, "by a migration");

        let db = Database::open(&settings).await.unwrap();
        let told = tokio::time::timeout(soon, db.read()).await.unwrap().unwrap_err();
        assert!(told.to_string().contains("does not answer in time"), "{told}");
        assert!(is_left(&silent).await, "by the pool");

        let stop = CancellationToken::new();
        let look = async {
            assert!(is_left(&silent).await, "by the listener");
            stop.cancel();
        };
        tokio::join!(db.hear_others(stop.clone()), look);
    });
}

#[test]
fn an_attempt_ends_when_nobody_waits_for_it_any_more() {
    testkit::databases::run(Engine::Sqlite, &[], async |_| {
        let (silent, settings) = silent_server(600_000).await;
        let soon = Duration::from_millis(200);
        let db = Database::open(&settings).await.unwrap();
        assert!(tokio::time::timeout(soon, db.read()).await.is_err());
        assert!(is_left(&silent).await, "by the pool");
        let hear = db.hear_others(CancellationToken::new());
        assert!(tokio::time::timeout(soon, hear).await.is_err());
        assert!(is_left(&silent).await, "by the listener");
    });
}

#[test]
fn a_server_that_takes_no_writes_any_more_is_left() {
    on_postgres(async |test| {
        let settings = Settings { max_connections: 1, ..test.settings().clone() };
        let db = Database::open(&settings).await.unwrap();
        let mut c = db.write().await.unwrap();
        c.batch("SET default_transaction_read_only = on").await.unwrap();
        drop(c);
        let write = async || db.transaction(async |tx| Ok::<_, Error>(insert(tx, &[person(1)]).await?)).await;
        assert!(matches!(write().await, Err(Error::Unavailable(_))));
        write().await.unwrap();
    });
}

#[test]
fn connections_are_replaced_when_they_are_old() {
    on_postgres(async |test| {
        let settings = Settings { max_connections: 1, max_lifetime_seconds: 1, ..test.settings().clone() };
        let db = Database::open(&settings).await.unwrap();
        let (first, end) = (server_process(&db).await, Instant::now() + Duration::from_secs(20));
        while server_process(&db).await == first {
            assert!(Instant::now() < end, "the connection is used for ever");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let kept = Database::open(&Settings { max_lifetime_seconds: 60, ..settings }).await.unwrap();
        let first = server_process(&kept).await;
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert_eq!(server_process(&kept).await, first);
    });
}

#[test]
fn every_connection_has_its_deadlines() {
    on_postgres(async |test| {
        let settings = Settings {
            statement_timeout_ms: 1_234,
            lock_timeout_ms: 2_345,
            idle_transaction_timeout_ms: 3_456,
            ..test.settings().clone()
        };
        for transaction_pooling in [false, true] {
            let db = Database::open(&Settings { transaction_pooling, ..settings.clone() }).await.unwrap();
            db.transaction(async |tx| {
                assert_eq!(word(tx, "SELECT current_setting('statement_timeout') AS word").await, "1234ms");
                assert_eq!(word(tx, "SELECT current_setting('lock_timeout') AS word").await, "2345ms");
                let name = "SELECT current_setting('idle_in_transaction_session_timeout') AS word";
                assert_eq!(word(tx, name).await, "3456ms");
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
            let mut c = db.read().await.unwrap();
            let outside = word(&mut c, "SELECT current_setting('statement_timeout') AS word").await;
            assert_eq!(outside == "1234ms", !transaction_pooling, "nothing stays on a pooler's connection");
        }
    });
}

#[test]
fn a_server_that_may_lose_what_it_acknowledged_is_refused_unless_that_is_accepted() {
    on_postgres(async |test| {
        let mut c = test.database().read().await.unwrap();
        let keeps = word(&mut c, "SELECT current_setting('fsync') AS word").await == "on";
        let settings = Settings { accept_losing_acknowledged_writes: false, ..test.settings().clone() };
        let told = Database::migrate(&settings, &crate::migrations()).await;
        if keeps {
            told.unwrap();
        } else {
            let told = told.unwrap_err().to_string();
            assert!(
                told.contains("fsync = off") && told.contains("accept_losing_acknowledged_writes"),
                "{told}"
            );
        }
        let settings = Settings { accept_losing_acknowledged_writes: true, ..settings };
        Database::migrate(&settings, &crate::migrations()).await.unwrap();
    });
}

#[test]
fn a_lost_answer_to_a_commit_is_told_as_unavailable_and_the_commit_stands() {
    on_postgres(async |test| {
        let front = PostgresFront::start(test.url()).await;
        let url = front.url(test.url(), "127.0.0.1", "sslmode=disable");
        let db = Database::open(&through(test, url)).await.unwrap();
        front.cut_commits(true);
        let lost = db.transaction(async |tx| Ok::<_, Error>(insert(tx, &[person(1)]).await?)).await;
        assert!(matches!(lost, Err(Error::Unavailable(_))), "{lost:?}");
        front.cut_commits(false);
        let again = db.transaction(async |tx| Ok::<_, Error>(insert(tx, &[person(1)]).await?)).await;
        assert!(matches!(again, Err(Error::Duplicate)), "{again:?}");
        assert_eq!((front.cut(), count(&db).await), (1, 1));
    });
}

/// A PgBouncer in transaction mode with one connection to the server, so that everything shares it.
struct Pooler {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Pooler {
    /// None, with the reason printed, where there is none that knows prepared statements.
    fn start(test: &TestDatabase) -> Option<Self> {
        let version = Command::new("pgbouncer").arg("--version").output().ok().map(|it| it.stdout);
        let version = String::from_utf8(version.unwrap_or_default()).unwrap();
        let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
        if minor.is_none_or(|minor| minor < 21) {
            eprintln!(
                "skipped: needs PgBouncer 1.21 or newer in PATH; there is {:?}",
                version.lines().next()
            );
            return None;
        }
        let (user, address) = test.url().strip_prefix("postgres://").unwrap().split_once('@').unwrap();
        let (user, password) = user.split_once(':').unwrap();
        let (host, name) = address.split_once('/').unwrap();
        let (host, server_port) = host.split_once(':').unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = TempDir::new().unwrap();
        let file = |file: &str, text: String| {
            std::fs::write(folder.path().join(file), text).unwrap();
            folder.path().join(file)
        };
        let users = file("users", format!("\"{user}\" \"{password}\"\n"));
        let settings = format!(
            "[databases]\n{name} = host={host} port={server_port} user={user} password={password}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = plain\nauth_file = {}\n\
             pool_mode = transaction\nmax_prepared_statements = 100\ndefault_pool_size = 1\nunix_socket_dir =\n",
            users.display()
        );
        let settings = file("settings", settings);
        open_to_everybody(folder.path());
        let mut command = Command::new("pgbouncer");
        if am_root() {
            command.args(["-u", "postgres"]);
        }
        let process = command.arg(settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Some(Self { process, port, _folder: folder })
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn am_root() -> bool {
    String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap().trim() == "0"
}

/// PgBouncer is another user when this one is root.
fn open_to_everybody(folder: &Path) {
    assert!(Command::new("chmod").args(["-R", "a+rX"]).arg(folder).status().unwrap().success());
}

#[test]
fn a_pooler_in_transaction_mode_changes_nothing() {
    on_postgres(async |test| {
        let Some(pooler) = Pooler::start(test) else { return };
        let host = test.url().rsplit_once('@').unwrap().1.split('/').next().unwrap();
        let url = test.url().replace(host, &format!("127.0.0.1:{}", pooler.port));
        let settings = Settings { transaction_pooling: true, ..through(test, url) };
        let end = Instant::now() + Duration::from_secs(20);
        while !reaches(&settings).await {
            assert!(Instant::now() < end, "the pooler does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Database::migrate(&settings, &crate::migrations()).await.unwrap();
        let databases = [Database::open(&settings).await.unwrap(), Database::open(&settings).await.unwrap()];
        let work = (0..100).map(|number| {
            let db = &databases[number % 2];
            async move {
                let one = [person(i64::try_from(number).unwrap())];
                db.transaction(async |tx| Ok::<_, Error>(insert(tx, &one).await?)).await.unwrap();
                count(db).await
            }
        });
        futures_util::future::join_all(work).await;
        assert_eq!(count(&databases[0]).await, 100);
    });
}
