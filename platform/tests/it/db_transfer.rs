//! Moving everything to the other engine and back.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Arrived, Database, Db, Error};
use testkit::databases::{Engine, TestDatabase, run};

use crate::db_support::{Person, count, insert, people};

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
