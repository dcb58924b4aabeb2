//! Transactions that meet at SQLite's writer share a commit. What each of them is promised stays the same: its own work
//! and no other is undone when it fails or is given up, and nobody is told of a success that is not on the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use diesel_async::RunQueryDsl;
use futures_util::future::join_all;
use platform::db::{Database, DbConn, Error, Result};
use testkit::databases::{Engine, run};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::db_support::{Note, NoteId, count, insert, notes, person};

/// Longer than anything here takes, and shorter than any lock timeout.
const SOON: Duration = Duration::from_secs(3);

/// A transaction that has written and waits to be told to go on.
struct Held {
    go_on: oneshot::Sender<()>,
    done: JoinHandle<Result<()>>,
}

/// Begins a transaction that adds a person; returns once it has.
async fn held(db: &Database, number: i64) -> Held {
    let (go_on, wait) = oneshot::channel();
    let (wrote, written) = oneshot::channel();
    let db = db.clone();
    let done = tokio::spawn(async move {
        db.transaction(async |tx| {
            insert(tx, &[person(number)]).await?;
            let _ = wrote.send(());
            let _ = wait.await;
            Ok(())
        })
        .await
    });
    written.await.unwrap();
    Held { go_on, done }
}

/// The same, of one that has to wait for the writer: returns at once, and later tells when it has written.
fn queued(db: &Database, number: i64) -> oneshot::Receiver<Held> {
    let (tell, told) = oneshot::channel();
    let db = db.clone();
    tokio::spawn(async move { tell.send(held(&db, number).await) });
    told
}

/// Waits until so many wait for the writer.
async fn waiting(db: &Database, many: usize) {
    let wait = async {
        while db.waiting_writers() != many {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, wait).await.expect("somebody waits");
}

async fn end(held: Held) -> Result<()> {
    let _ = held.go_on.send(());
    timeout(SOON, held.done).await.expect("it is told").unwrap()
}

fn on_sqlite(test: impl AsyncFnOnce(Database)) {
    run(Engine::Sqlite, &crate::migrations(), async |database| test(database.database()).await);
}

testkit::both_engines! {
    async fn of_many_at_once_each_succeeds_or_fails_alone(db: Database) {
        let one = async |number: i64| {
            db.transaction(async |tx| {
                insert(tx, &[person(number)]).await?;
                if number % 3 == 0 { Err(Error::NotFound) } else { Ok(number) }
            })
            .await
        };
        let results = join_all((0..90).map(one)).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 60);
        assert!(results.iter().flat_map(|result| result.as_ref().err()).all(|it| matches!(it, Error::NotFound)));
        assert_eq!(count(&db).await, 60);
    }

    async fn whoever_is_given_up_takes_no_other_along(db: Database) {
        for round in 0..150_u64 {
            let one = async |number: i64, patience: Duration| {
                let work = db.transaction(async |tx| insert(tx, &[person(number)]).await);
                timeout(patience, work).await.ok().map(Result::unwrap)
            };
            let number = i64::try_from(round).unwrap() * 10;
            let micros = |some: u64| Duration::from_micros(some);
            let (first, _, _, last) = tokio::join!(
                one(number, SOON),
                one(number + 1, micros(round * 7)),
                one(number + 2, micros(round * 13 % 900)),
                one(number + 3, SOON),
            );
            assert_eq!((first, last), (Some(1), Some(1)), "round {round}");
        }
        let next = db.transaction(async |tx| insert(tx, &[person(-1)]).await);
        assert_eq!(timeout(SOON, next).await.unwrap().unwrap(), 1);
    }
}

#[test]
fn nobody_is_told_before_the_commit_that_all_share() {
    on_sqlite(async |db| {
        let first = held(&db, 1).await;
        let second = queued(&db, 2);
        waiting(&db, 1).await;
        let _ = first.go_on.send(());
        let second = timeout(SOON, second).await.unwrap().unwrap();
        assert!(!first.done.is_finished(), "told of what is not committed");
        assert_eq!(count(&db).await, 0);
        end(second).await.unwrap();
        timeout(SOON, first.done).await.unwrap().unwrap().unwrap();
        assert_eq!(count(&db).await, 2);
    });
}

#[test]
fn what_was_left_to_one_who_is_given_up_is_committed_all_the_same() {
    on_sqlite(async |db| {
        let first = held(&db, 1).await;
        let second = queued(&db, 2);
        waiting(&db, 1).await;
        let _ = first.go_on.send(());
        let second = timeout(SOON, second).await.unwrap().unwrap();
        second.done.abort();
        timeout(SOON, first.done).await.expect("somebody commits").unwrap().unwrap();
        assert_eq!(count(&db).await, 1, "only what was given up is missing");
        end(held(&db, 3).await).await.unwrap();
    });
}

#[test]
fn a_commit_that_fails_is_told_to_all_who_share_it() {
    on_sqlite(async |db| {
        let dangling = async |tx: &mut DbConn| {
            tx.batch("PRAGMA defer_foreign_keys = ON").await?;
            let note = Note { id: NoteId::new(), author: person(9).id, title: String::new() };
            diesel::insert_into(notes::table).values(&note).execute(tx).await?;
            Ok::<_, Error>(())
        };
        let first = held(&db, 1).await;
        let db_2 = db.clone();
        let second = tokio::spawn(async move { db_2.transaction(dangling).await });
        waiting(&db, 1).await;
        let results = [end(first).await, timeout(SOON, second).await.unwrap().unwrap()];
        assert!(results.iter().all(|it| matches!(it, Err(Error::Unavailable(_)))), "{results:?}");
        assert_eq!(count(&db).await, 0);
        end(held(&db, 3).await).await.unwrap();
        assert_eq!(count(&db).await, 1);
    });
}

#[test]
fn whoever_wants_the_writer_alone_finds_no_open_group() {
    on_sqlite(async |db| {
        let first = held(&db, 1).await;
        let db_2 = db.clone();
        let alone = tokio::spawn(async move {
            let c = &mut db_2.write().await.unwrap();
            insert(c, &[person(2)]).await.unwrap();
            std::future::pending::<()>().await;
        });
        waiting(&db, 1).await;
        end(first).await.unwrap();
        let seen = async {
            while count(&db).await < 2 {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, seen).await.expect("what was written alone is no part of anybody's transaction");
        alone.abort();
    });
}

#[test]
fn a_long_transaction_lets_others_of_its_thread_go_on() {
    on_sqlite(async |db| {
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&turns);
        let other = tokio::task::spawn_local(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        // Not `turns.load(…)`, which would be diesel's.
        let so_far = || AtomicUsize::load(&turns, Ordering::Relaxed);
        let (before, after) = db
            .transaction(async |tx| {
                let before = so_far();
                for number in 0..1_000 {
                    insert(tx, &[person(number)]).await?;
                }
                Ok::<_, Error>((before, so_far()))
            })
            .await
            .unwrap();
        other.abort();
        assert!(after > before, "nobody had a turn in the middle of a thousand statements");
        assert_eq!(count(&db).await, 1_000);
    });
}
