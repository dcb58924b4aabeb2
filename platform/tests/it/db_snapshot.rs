//! Copies of a SQLite database, and a disk that takes no more.

use std::path::Path;

use contracts::Kind;
use platform::db::{Database, DatabaseUrl, Error, Settings};
use testkit::databases::Engine;

use super::db_support::{count, insert, person};

fn on(engine: Engine, test: impl AsyncFnOnce(&testkit::databases::TestDatabase)) {
    testkit::databases::run(engine, &crate::migrations(), test);
}

fn at(path: &Path, settings: &Settings) -> Settings {
    Settings { url: DatabaseUrl::from(format!("sqlite:{}", path.display())), ..settings.clone() }
}

#[test]
fn a_copy_holds_what_was_committed_before_and_nothing_half_done() {
    on(Engine::Sqlite, async |test| {
        let db = test.database();
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("it's a copy.db");
        insert(&mut db.write().await.unwrap(), &[person(1)]).await.unwrap();
        db.transaction(async |tx| {
            insert(tx, &[person(2)]).await?;
            Database::copy(test.settings(), &copy).await
        })
        .await
        .unwrap();
        let settings = at(&copy, test.settings());
        let latest = Database::inspect(&settings, &crate::migrations()).await.unwrap();
        assert!(
            crate::migrations().iter().flat_map(|it| it.steps).any(|step| step.name == latest),
            "{latest}"
        );
        assert_eq!(count(&Database::open(&settings).await.unwrap()).await, 1);
        assert_eq!(count(&db).await, 2, "who writes was not held up");
        Database::copy(test.settings(), &copy).await.unwrap_err();
    });
}

#[test]
fn what_is_damaged_foreign_or_newer_is_told_apart() {
    on(Engine::Sqlite, async |test| {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.db");
        insert(&mut test.database().write().await.unwrap(), &[person(1)]).await.unwrap();
        Database::copy(test.settings(), &copy).await.unwrap();
        let inspect = async |path: &Path| {
            let told = Database::inspect(&at(path, test.settings()), &crate::migrations()).await;
            told.unwrap_err().to_string()
        };
        assert!(inspect(&folder.path().join("nothing.db")).await.contains("no database at"));
        let good = std::fs::read(&copy).unwrap();
        let bad = folder.path().join("bad.db");
        std::fs::write(&bad, "not a database").unwrap();
        assert!(inspect(&bad).await.contains("damaged"));
        let mut torn = good.clone();
        let middle = torn.len() / 2;
        torn[middle..].fill(0x5a);
        std::fs::write(&bad, torn).unwrap();
        assert!(inspect(&bad).await.contains("damaged"));
        let told = Database::inspect(&at(&copy, test.settings()), &[]).await.unwrap_err().to_string();
        assert!(told.contains("newer version"), "{told}");
    });
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else_and_is_forgotten_once_there_is_room() {
    on(Engine::Sqlite, async |test| {
        let db = test.database();
        insert(&mut db.write().await.unwrap(), &[person(0)]).await.unwrap();
        db.write().await.unwrap().batch("PRAGMA max_page_count = 1").await.unwrap();
        let mut taken: i64 = 1;
        let refused = loop {
            match db.transaction(async |tx| insert(tx, &[person(taken)]).await).await {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 10_000, "the pragma does nothing");
        };
        assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
        assert_eq!(contracts::Error::from(refused).kind, Kind::Unavailable);
        assert_eq!(count(&db).await, taken);
        db.write().await.unwrap().batch("PRAGMA max_page_count = 1000000").await.unwrap();
        insert(&mut db.write().await.unwrap(), &[person(taken)]).await.unwrap();
        Database::inspect(test.settings(), &crate::migrations()).await.unwrap();
    });
}
