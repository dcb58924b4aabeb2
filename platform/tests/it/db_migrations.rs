//! Migrations: in order, once, all of one or nothing of it, also when replicas start together.

use platform::db::{Database, Error, Migration, Migrations, Settings};
use testkit::databases::{Engine, TestDatabase};

use crate::db_support::TABLES;

const fn same(name: &'static str, sql: &'static str) -> Migration {
    Migration { name, postgres: sql, sqlite: sql }
}

const ONE: Migrations = Migrations {
    module: "one",
    steps: &[
        same("2026-11-22-990011_first", "CREATE TABLE one_a (x INTEGER); INSERT INTO one_a VALUES (1)"),
        same("2026-11-22-990013_third", "INSERT INTO two_b SELECT x FROM one_a"),
    ],
};
const TWO: Migrations = Migrations {
    module: "two",
    steps: &[same("2026-11-22-990012_second", "CREATE TABLE two_b (x INTEGER)")],
};
const BROKEN: Migrations = Migrations {
    module: "broken",
    steps: &[same("2026-11-22-990014_broken", "CREATE TABLE broken_a (x INTEGER); SELECT * FROM missing")],
};

/// What the next version does that this one can't live with.
const NEXT: Migrations =
    Migrations { module: "next", steps: &[same("2026-11-22-990015_third_breaking", "DROP TABLE one_a")] };

const MENDED: Migrations = Migrations {
    module: "broken",
    steps: &[same("2026-11-22-990014_broken", "CREATE TABLE broken_a (x INTEGER)")],
};

async fn migrate(test: &TestDatabase, more: &[Migrations]) -> Result<Vec<String>, Error> {
    let all: Vec<Migrations> = crate::migrations().into_iter().chain(more.iter().copied()).collect();
    Database::migrate(test.settings(), &all).await
}

testkit::both_engines! {
    async fn the_stamps_give_the_order_over_all_modules(test: TestDatabase) {
        let applied = migrate(&test, &[ONE, TWO]).await.unwrap();
        let expected = ["2026-11-22-990011_first", "2026-11-22-990012_second", "2026-11-22-990013_third"];
        assert_eq!(applied, expected);
        assert!(migrate(&test, &[TWO, ONE]).await.unwrap().is_empty(), "each is applied once");
    }

    async fn replicas_may_start_together(test: TestDatabase) {
        let migrations = [ONE, TWO];
        let (a, b, c) = tokio::join!(
            migrate(&test, &migrations),
            migrate(&test, &migrations),
            migrate(&test, &migrations),
        );
        let applied = a.unwrap().len() + b.unwrap().len() + c.unwrap().len();
        assert_eq!(applied, 3);
    }

    async fn a_failed_migration_leaves_nothing_and_is_named(test: TestDatabase) {
        let error = migrate(&test, &[BROKEN]).await.unwrap_err();
        assert!(error.to_string().contains("2026-11-22-990014_broken failed"), "{error}");
        assert!(error.to_string().contains("missing"), "the engine's words help here: {error}");
        assert_eq!(migrate(&test, &[MENDED]).await.unwrap().len(), 1);
    }

    async fn a_database_that_a_newer_version_has_added_to_is_used_and_one_that_it_broke_is_refused(test: TestDatabase) {
        migrate(&test, &[ONE, TWO]).await.unwrap();
        assert_eq!(migrate(&test, &[TWO]).await.unwrap(), Vec::<String>::new());
        migrate(&test, &[ONE, TWO, NEXT]).await.unwrap();
        let sentence = migrate(&test, &[ONE, TWO]).await.unwrap_err().to_string();
        assert!(sentence.contains("newer version") && sentence.contains("2026-11-22-990015_third_breaking"), "{sentence}");
        migrate(&test, &[ONE, TWO, NEXT]).await.unwrap();
    }
}

#[test]
fn sqlite_may_rebuild_a_table_that_others_point_at() {
    const TABLES: Migration = same(
        "2026-11-22-990021_tables",
        "CREATE TABLE rebuild_a (id INTEGER PRIMARY KEY); INSERT INTO rebuild_a VALUES (1);
         CREATE TABLE rebuild_b (a INTEGER REFERENCES rebuild_a); INSERT INTO rebuild_b VALUES (1)",
    );
    const KEPT: Migration = same(
        "2026-11-22-990022_kept",
        "CREATE TABLE rebuild_new (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO rebuild_new (id) SELECT id FROM rebuild_a;
         DROP TABLE rebuild_a; ALTER TABLE rebuild_new RENAME TO rebuild_a",
    );
    const LOST: Migration = same(
        "2026-11-22-990023_lost",
        "CREATE TABLE rebuild_new (id INTEGER PRIMARY KEY);
         DROP TABLE rebuild_a; ALTER TABLE rebuild_new RENAME TO rebuild_a",
    );
    testkit::databases::run(Engine::Sqlite, &crate::migrations(), async |test| {
        let kept = Migrations { module: "rebuild", steps: &[TABLES, KEPT] };
        assert_eq!(migrate(test, &[kept]).await.unwrap().len(), 2);
        let lost = Migrations { module: "rebuild", steps: &[TABLES, KEPT, LOST] };
        let error = migrate(test, &[lost]).await.unwrap_err();
        assert!(error.to_string().contains("rows of the table rebuild_b point at nothing"), "{error}");
        assert!(migrate(test, &[kept]).await.unwrap().is_empty(), "rolled back");
    });
}

#[test]
fn a_missing_sqlite_file_is_made_by_those_who_come_together() {
    testkit::databases::run(Engine::Sqlite, &[], async |_| {
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", folder.path().join("a/b.db").display()).into();
            let settings = Settings { url, ..Settings::default() };
            let migrate = async || Database::migrate(&settings, &[TABLES]).await.unwrap().len();
            let (a, b, c, d) = tokio::join!(migrate(), migrate(), migrate(), migrate());
            assert_eq!(a + b + c + d, 1);
        }
    });
}
