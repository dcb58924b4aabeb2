//! Moving everything to the other engine and back.

use contracts::Time;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use platform::db::{Arrived, Database, Db, Error, Migration, Migrations};
use testkit::databases::{Engine, TestDatabase, run};

use crate::db_support::{Person, count, insert, people, person};

/// Both databases: one with everything in it, and an empty one of the other engine.
fn between(from: Engine, test: impl AsyncFnOnce(&TestDatabase, &TestDatabase)) {
    let to = if from == Engine::Sqlite { Engine::Postgres } else { Engine::Sqlite };
    run(from, &crate::migrations(), async |source| {
        let Some(target) = TestDatabase::create(to, &[]).await else { return };
        // More than travels together.
        for some in people(1_201).chunks(300) {
            insert(&mut source.database().write().await.unwrap(), some).await.unwrap();
        }
        test(source, &target).await;
        target.remove().await;
    });
}

async fn transfer(source: &TestDatabase, target: &TestDatabase) -> Result<Vec<Arrived>, Error> {
    let all = crate::migrations();
    Database::transfer(source.settings(), target.settings(), &all, &all).await
}

async fn everybody(db: &Database) -> Vec<Person> {
    use crate::db_support::people::dsl::*;
    let mut c = db.read().await.unwrap();
    people.order(id.asc()).select(Person::as_select()).load(&mut *c).await.unwrap()
}

async fn run_sql(db: &Database, sql: &str) {
    db.write().await.unwrap().batch(sql).await.unwrap();
}

async fn everything_arrives(source: &TestDatabase, target: &TestDatabase) {
    let arrived = transfer(source, target).await.unwrap();
    let people = arrived.iter().find(|table| table.table == "people").unwrap();
    assert_eq!(people.rows, 1_201);
    assert_eq!(everybody(&source.database()).await, everybody(&target.database()).await);
    let again = transfer(source, target).await.unwrap_err().to_string();
    assert!(again.contains("no empty database"), "{again}");
    Database::migrate(target.settings(), &crate::migrations()).await.unwrap();
}

#[test]
fn everything_arrives_on_postgres() {
    between(Engine::Sqlite, everything_arrives);
}

#[test]
fn everything_arrives_on_sqlite() {
    between(Engine::Postgres, everything_arrives);
}

async fn instants_keep_their_last_microsecond(source: &TestDatabase, target: &TestDatabase) {
    // 2999-12-31T23:59:59.999999Z, and the last microsecond before 1970.
    let (late, early) = (Time::from_micros(32_503_679_999_999_999), Time::from_micros(-1));
    let far = Person { created_at: late, deleted_at: Some(early), ..person(5_000) };
    insert(&mut source.database().write().await.unwrap(), std::slice::from_ref(&far)).await.unwrap();
    transfer(source, target).await.unwrap();
    let arrived = everybody(&target.database()).await;
    assert_eq!(arrived.iter().find(|person| person.id == far.id), Some(&far));
}

#[test]
fn instants_keep_their_last_microsecond_on_postgres() {
    between(Engine::Sqlite, instants_keep_their_last_microsecond);
}

#[test]
fn instants_keep_their_last_microsecond_on_sqlite() {
    between(Engine::Postgres, instants_keep_their_last_microsecond);
}

async fn tables_without_rows_are_an_empty_target(source: &TestDatabase, target: &TestDatabase) {
    Database::migrate(target.settings(), &crate::migrations()).await.unwrap();
    transfer(source, target).await.unwrap();
    assert_eq!(everybody(&source.database()).await, everybody(&target.database()).await);
}

#[test]
fn tables_without_rows_are_an_empty_target_on_postgres() {
    between(Engine::Sqlite, tables_without_rows_are_an_empty_target);
}

#[test]
fn tables_without_rows_are_an_empty_target_on_sqlite() {
    between(Engine::Postgres, tables_without_rows_are_an_empty_target);
}

#[test]
fn one_row_is_enough_for_a_target_not_to_be_empty() {
    between(Engine::Sqlite, async |source, target| {
        Database::migrate(target.settings(), &crate::migrations()).await.unwrap();
        let kept = [person(1)];
        insert(&mut target.database().write().await.unwrap(), &kept).await.unwrap();
        let told = transfer(source, target).await.unwrap_err().to_string();
        assert!(told.contains("no empty database"), "{told}");
        assert_eq!(everybody(&target.database()).await, kept);
        Database::migrate(target.settings(), &crate::migrations()).await.unwrap();
    });
}

const SEEDED: Migration = Migration {
    name: "2026-11-22-990031_seeded",
    postgres: "CREATE TABLE seeded (id bigint PRIMARY KEY); INSERT INTO seeded VALUES (1), (2)",
    sqlite: "CREATE TABLE seeded (id INTEGER PRIMARY KEY NOT NULL) STRICT; INSERT INTO seeded VALUES (1), (2)",
};
const LAST: Migration = Migration {
    name: "2026-11-22-990032_last",
    postgres: "CREATE TABLE seeded_last (id bigint PRIMARY KEY)",
    sqlite: "CREATE TABLE seeded_last (id INTEGER PRIMARY KEY NOT NULL) STRICT",
};

async fn number(db: &Database, sql: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }
    let mut c = db.read().await.unwrap();
    diesel::sql_query(sql).get_result::<Number>(&mut *c).await.unwrap().number
}

/// A migration of the target fails the first time, when another one before it has brought rows along.
async fn one_that_was_cut_off_while_tables_were_made_goes_on(source: &TestDatabase, target: &TestDatabase) {
    const NOT_YET: &str = "SELECT * FROM missing";
    let cut = match target.engine() {
        Engine::Postgres => Migration { postgres: NOT_YET, ..LAST },
        Engine::Sqlite => Migration { sqlite: NOT_YET, ..LAST },
    };
    let (cut, whole) = ([SEEDED, cut], [SEEDED, LAST]);
    let transfer = async |steps: &'static [Migration]| {
        let mut all = crate::migrations();
        all.push(Migrations { module: "seeded", steps });
        Database::transfer(source.settings(), target.settings(), &all, &all).await
    };
    let told = transfer(Box::leak(Box::new(cut))).await.unwrap_err().to_string();
    assert!(told.contains("990032_last failed"), "{told}");
    let seeds = "SELECT count(*) AS number FROM seeded";
    assert_eq!(number(&target.database(), seeds).await, 2, "made before it was cut off");
    let refused = Database::migrate(target.settings(), &crate::migrations()).await.unwrap_err().to_string();
    assert!(refused.contains("storage copy"), "{refused}");

    run_sql(&source.database(), "DELETE FROM seeded WHERE id = 1").await;
    transfer(Box::leak(Box::new(whole))).await.unwrap();
    assert_eq!(number(&target.database(), seeds).await, 1);
    let marks = "SELECT count(*) AS number FROM platform_migrations WHERE name LIKE 'unfinished%'";
    assert_eq!(number(&target.database(), marks).await, 0);
    assert_eq!(everybody(&source.database()).await, everybody(&target.database()).await);
}

#[test]
fn one_that_was_cut_off_while_tables_were_made_goes_on_to_postgres() {
    between(Engine::Sqlite, one_that_was_cut_off_while_tables_were_made_goes_on);
}

#[test]
fn one_that_was_cut_off_while_tables_were_made_goes_on_to_sqlite() {
    between(Engine::Postgres, one_that_was_cut_off_while_tables_were_made_goes_on);
}

/// Takes the target back to the middle of a transfer.
async fn unfinish(target: &Database) {
    run_sql(target, "INSERT INTO platform_migrations (name) VALUES ('unfinished transfer')").await;
    run_sql(target, "DELETE FROM people WHERE id > (SELECT id FROM people ORDER BY id LIMIT 1 OFFSET 700)")
        .await;
    assert_eq!(count(target).await, 701);
}

async fn one_that_was_cut_off_goes_on(source: &TestDatabase, target: &TestDatabase) {
    transfer(source, target).await.unwrap();
    unfinish(&target.database()).await;
    let refused = Database::migrate(target.settings(), &crate::migrations()).await.unwrap_err().to_string();
    assert!(refused.contains("storage copy"), "{refused}");
    transfer(source, target).await.unwrap();
    assert_eq!(everybody(&source.database()).await, everybody(&target.database()).await);
    Database::migrate(target.settings(), &crate::migrations()).await.unwrap();
}

#[test]
fn one_that_was_cut_off_goes_on_to_postgres() {
    between(Engine::Sqlite, one_that_was_cut_off_goes_on);
}

#[test]
fn one_that_was_cut_off_goes_on_to_sqlite() {
    between(Engine::Postgres, one_that_was_cut_off_goes_on);
}

#[test]
fn what_changed_meanwhile_is_noticed_and_the_target_stays_refused() {
    between(Engine::Sqlite, async |source, target| {
        transfer(source, target).await.unwrap();
        unfinish(&target.database()).await;
        run_sql(&source.database(), "UPDATE people SET name = 'somebody else' WHERE logins = 1").await;
        let told = transfer(source, target).await.unwrap_err().to_string();
        assert!(told.contains("people") && told.contains("not the same"), "{told}");
        assert!(Database::migrate(target.settings(), &crate::migrations()).await.is_err());
        run_sql(&source.database(), "UPDATE people SET name = 'Person 1' WHERE logins = 1").await;
        run_sql(&source.database(), "DELETE FROM people WHERE logins = 2").await;
        assert!(transfer(source, target).await.is_err(), "a row too many");
    });
}

#[test]
fn two_databases_of_one_engine_are_for_the_engines_own_tools() {
    run(Engine::Sqlite, &crate::migrations(), async |source| {
        let target = TestDatabase::create(Engine::Sqlite, &[]).await.unwrap();
        assert_eq!(target.database().dialect(), Db::Sqlite);
        assert!(transfer(source, &target).await.unwrap_err().to_string().contains("doorward backup"));
    });
}
