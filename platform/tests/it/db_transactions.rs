//! Transactions: all of it or nothing, whatever happens in the middle.

use std::time::Duration;

use contracts::EventId;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Database, DbConn, Error, Result, SkipLockedExt as _};
use tokio::time::timeout;

use crate::db_support::{Job, at, count, insert, person, queue};

/// Takes jobs that nobody has taken, and marks them.
async fn claim(tx: &mut DbConn, batch: i64) -> Result<Vec<EventId>> {
    let due: Vec<EventId> = queue::table
        .filter(queue::taken_at.is_null())
        .order(queue::id)
        .limit(batch)
        .select(queue::id)
        .skip_locked_rows()
        .load(tx)
        .await?;
    diesel::update(queue::table.filter(queue::id.eq_any(due.clone())))
        .set(queue::taken_at.eq(Some(at(1))))
        .execute(tx)
        .await?;
    Ok(due)
}

fn is_send<T: Send>(value: T) -> T {
    value
}

testkit::both_engines! {
    async fn a_failed_transaction_leaves_nothing(db: Database) {
        let result: Result<()> = db
            .transaction(async |tx| {
                insert(tx, &[person(1)]).await?;
                Err(Error::NotFound)
            })
            .await;
        assert!(matches!(result, Err(Error::NotFound)));
        assert_eq!(count(&db).await, 0);
    }

    async fn a_transaction_carries_the_callers_own_error(db: Database) {
        #[derive(Debug)]
        enum Refusal {
            TooLate,
            Database(#[expect(dead_code, reason = "shown when the test fails")] Error),
        }
        impl From<Error> for Refusal {
            fn from(error: Error) -> Self {
                Self::Database(error)
            }
        }
        let name = String::from("borrowed");
        let work = db.transaction(async |tx| {
            insert(tx, &[person(1)]).await?;
            if name.is_empty() { Ok(()) } else { Err(Refusal::TooLate) }
        });
        assert!(matches!(is_send(work).await, Err(Refusal::TooLate)));
    }

    async fn a_savepoint_is_undone_alone(db: Database) {
        db.transaction(async |tx| {
            insert(tx, &[person(1)]).await?;
            let twice: Result<usize> = tx
                .transaction(async |tx| {
                    insert(tx, &[person(2)]).await?;
                    insert(tx, &[person(1)]).await
                })
                .await;
            assert!(matches!(twice, Err(Error::Duplicate)));
            tx.transaction(async |tx| insert(tx, &[person(3)]).await).await
        })
        .await
        .unwrap();
        assert_eq!(count(&db).await, 2);
    }

    async fn an_overlooked_failure_is_not_committed(db: Database) {
        let result: Result<()> = db
            .transaction(async |tx| {
                insert(tx, &[person(1)]).await?;
                let _ = insert(tx, &[person(1)]).await;
                Ok(())
            })
            .await;
        assert!(matches!(result, Err(Error::Other(_))), "{result:?}");
        assert_eq!(count(&db).await, 0);
        db.transaction(async |tx| insert(tx, &[person(1)]).await).await.unwrap();
        assert_eq!(count(&db).await, 1);
    }

    async fn a_dropped_transaction_is_rolled_back_at_once(db: Database) {
        insert(&mut db.write().await.unwrap(), &[person(0)]).await.unwrap();
        for round in 0..8 {
            let work = db.transaction(async |tx| {
                diesel::update(crate::db_support::people::table)
                    .set(crate::db_support::people::logins.eq(round))
                    .execute(tx)
                    .await
                    .map_err(Error::from)?;
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok::<_, Error>(())
            });
            assert!(timeout(Duration::from_millis(30 * round.unsigned_abs()), work).await.is_err());
            // The row is free again, long before any lock timeout, and no connection was lost.
            let next = db.transaction(async |tx| insert(tx, &[person(round + 1)]).await);
            timeout(Duration::from_secs(3), next).await.expect("nobody holds a lock").unwrap();
        }
        assert_eq!(count(&db).await, 9);
    }

    async fn a_transaction_dropped_anywhere_is_never_seen(db: Database) {
        for micros in (0..6_000).step_by(200) {
            let work = db.transaction(async |tx| {
                insert(tx, &[person(1)]).await?;
                insert(tx, &[person(2)]).await?;
                Err::<(), _>(Error::NotFound)
            });
            let _ = timeout(Duration::from_micros(micros), work).await;
        }
        assert_eq!(count(&db).await, 0);
        db.transaction(async |tx| insert(tx, &[person(1)]).await).await.unwrap();
    }

    async fn a_connection_kept_after_its_transaction_was_dropped_is_closed(db: Database) {
        let c = &mut db.write().await.unwrap();
        let work = c.transaction(async |tx| {
            insert(tx, &[person(1)]).await?;
            std::future::pending::<Result<()>>().await
        });
        assert!(timeout(Duration::from_millis(200), work).await.is_err());
        assert!(matches!(insert(c, &[person(2)]).await, Err(Error::Unavailable(_))));
        assert_eq!(count(&db).await, 0);
    }

    async fn a_panic_in_a_transaction_rolls_back(db: Database) {
        let inner = db.clone();
        let crash = tokio::spawn(async move {
            inner
                .transaction(async |tx| {
                    insert(tx, &[person(1)]).await?;
                    if at(0) != at(1) {
                        panic!("on purpose");
                    }
                    Ok::<_, Error>(())
                })
                .await
        });
        assert!(crash.await.unwrap_err().is_panic());
        assert_eq!(count(&db).await, 0);
        db.transaction(async |tx| insert(tx, &[person(1)]).await).await.unwrap();
    }

    async fn two_claimers_never_take_the_same_job(db: Database) {
        let jobs: Vec<Job> = (0..60).map(|_| Job { id: EventId::new(), taken_at: None }).collect();
        diesel::insert_into(queue::table).values(&jobs).execute(&mut db.write().await.unwrap()).await.unwrap();
        let drain = async || {
            let mut taken = Vec::new();
            loop {
                let batch = db
                    .transaction(async |tx| {
                        let batch = claim(tx, 7).await?;
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        Ok::<_, Error>(batch)
                    })
                    .await
                    .unwrap();
                if batch.is_empty() {
                    return taken;
                }
                taken.extend(batch);
            }
        };
        let (one, other) = tokio::join!(drain(), drain());
        let mut taken: Vec<EventId> = one.into_iter().chain(other).collect();
        taken.sort();
        assert_eq!(taken, jobs.iter().map(|job| job.id).collect::<Vec<_>>());
    }

    async fn the_relay_is_woken_after_a_commit_that_published(db: Database) {
        let wakes = async || timeout(Duration::from_millis(100), db.wait_published()).await.is_ok();
        db.transaction(async |tx| insert(tx, &[person(1)]).await).await.unwrap();
        assert!(!wakes().await, "nothing was published");
        let _: Result<()> = db
            .transaction(async |tx| {
                tx.mark_published();
                Err(Error::NotFound)
            })
            .await;
        assert!(!wakes().await, "nothing was committed");
        db.transaction(async |tx| {
            tx.mark_published();
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        assert!(wakes().await);
        assert!(!wakes().await, "told once");
    }
}
