//! What is in the tables: looked at past the module, and swept.

use crate::world::{PASSWORD, World};
use contracts::UserId;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel::{OptionalExtension as _, QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use platform::db::{Database, Db};
use std::sync::Arc;
use testkit::both_engines;
use testkit::databases::{Engine, TestDatabase};
use tokio_util::sync::CancellationToken;

/// Changes rows past the module, as another of its processes might.
pub(crate) async fn sql(db: &Database, text: &str) {
    sql_query(text).execute(&mut *db.write().await.unwrap()).await.unwrap();
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(Db))]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// How many rows there are: `table`, or `table WHERE …`.
pub(crate) async fn count(db: &Database, from: &str) -> i64 {
    let query = sql_query(format!("SELECT count(*) AS n FROM {from}"));
    let row: Count = query.get_result(&mut *db.read().await.unwrap()).await.unwrap();
    row.n
}

/// The revision of an account as it is stored.
pub(crate) async fn revision(db: &Database, user: UserId) -> Option<i64> {
    let query = sql_query("SELECT revision AS n FROM auth_accounts WHERE id = $1").bind::<SqlUuid, _>(user);
    let row: Option<Count> = query.get_result(&mut *db.read().await.unwrap()).await.optional().unwrap();
    row.map(|row| row.n)
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(Db))]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// All that is stored, as text: every row on PostgreSQL, the raw files on SQLite.
pub(crate) async fn everything(database: &TestDatabase) -> String {
    if database.engine() == Engine::Sqlite {
        let path = database.url().trim_start_matches("sqlite:");
        let files = ["", "-wal"].map(|end| std::fs::read(format!("{path}{end}")).unwrap_or_default());
        let bytes = files.concat();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        return format!("{}{hex}", String::from_utf8_lossy(&bytes));
    }
    let db = database.database();
    let tables = "SELECT tablename::text AS line FROM pg_tables WHERE schemaname = 'public'";
    let tables: Vec<Line> = sql_query(tables).load(&mut *db.read().await.unwrap()).await.unwrap();
    let mut dump = String::new();
    for table in tables {
        let query = sql_query(format!("SELECT t::text AS line FROM {} t", table.line));
        let rows: Vec<Line> = query.load(&mut *db.read().await.unwrap()).await.unwrap();
        rows.iter().for_each(|row| dump.push_str(&row.line));
    }
    dump
}

/// Lets the background work do one round.
pub(crate) async fn sweep(world: &World) {
    let stop = CancellationToken::new();
    stop.cancel();
    Arc::clone(&world.service).work(stop).await;
}

both_engines! {
    async fn what_is_long_over_is_swept_and_the_rest_stays(db: Database) {
        let world = World::new(db).await;
        let tokens = world.logged_in("mia@example.test").await;
        world.refresh(&tokens.refresh).await.expect(200);
        world.register("late@example.test", PASSWORD).await.expect(202);
        world.setup_token().await;
        sweep(&world).await;
        let all = async || {
            let mut counts = Vec::new();
            for table in ["auth_one_time_requests", "auth_one_time_secrets", "auth_sessions", "auth_refresh_tokens"] {
                counts.push(count(&world.db, table).await);
            }
            counts
        };
        assert_eq!(all().await, [3, 2, 1, 2]);
        world.pass(8 * 86_400 + 1);
        sweep(&world).await;
        assert_eq!(all().await, [0, 0, 1, 2], "secrets go with their requests");
        world.pass(30 * 86_400);
        sweep(&world).await;
        assert_eq!(all().await, [0, 0, 1, 0]);
        world.pass(60 * 86_400);
        sweep(&world).await;
        assert_eq!(all().await, [0, 0, 0, 0]);
        assert_eq!(count(&world.db, "auth_accounts").await, 2);
    }

    async fn spent_and_closed_requests_keep_no_password(db: Database) {
        let world = World::new(db).await;
        world.register("mia@example.test", PASSWORD).await.expect(202);
        world.member("mia@example.test").await;
        assert_eq!(count(&world.db, "auth_one_time_requests WHERE password_hash IS NOT NULL").await, 0);
        assert_eq!(count(&world.db, "auth_one_time_requests WHERE used_at IS NOT NULL").await, 2);
        assert_eq!(count(&world.db, "auth_credentials").await, 1);
    }

    async fn an_account_that_is_not_proven_has_no_password(db: Database) {
        let world = World::new(db).await;
        world.register("mia@example.test", PASSWORD).await.expect(202);
        assert_eq!(count(&world.db, "auth_credentials").await, 0);
    }
}
