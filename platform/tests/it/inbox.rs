//! The inbox: first time or not, decided once however many ask.

use contracts::{EventId, Time};
use futures_util::future::join_all;
use platform::db::{self, Database};
use platform::inbox;
use testkit::both_engines;

const NOW: i64 = 1_800_000_000;

async fn once(db: &Database, subscriber: &str, event: EventId) -> bool {
    let now = Time::from_seconds(NOW);
    db.transaction(async |tx| inbox::once(tx, subscriber, event, now).await).await.unwrap()
}

both_engines! {
    async fn an_event_is_new_once_for_each_subscriber(db: Database) {
        let (event, other) = (EventId::new(), EventId::new());
        assert!(once(&db, "first", event).await);
        assert!(!once(&db, "first", event).await);
        assert!(once(&db, "second", event).await);
        assert!(once(&db, "first", other).await);
    }

    async fn an_effect_that_rolls_back_may_be_tried_again(db: Database) {
        let event = EventId::new();
        let failed = db.transaction(async |tx| {
            assert!(inbox::once(tx, "first", event, Time::from_seconds(NOW)).await?);
            Err::<(), _>(db::Error::NotFound)
        });
        failed.await.unwrap_err();
        assert!(once(&db, "first", event).await);
    }

    async fn of_fifty_at_once_one_is_the_first(db: Database) {
        let event = EventId::new();
        let answers = join_all((0..50).map(|_| once(&db, "first", event))).await;
        assert_eq!(answers.into_iter().filter(|first| *first).count(), 1);
    }

    async fn a_sweep_forgets_what_is_older(db: Database) {
        let (old, young) = (EventId::new(), EventId::new());
        let sweep = async |before: i64| {
            let before = Time::from_seconds(before);
            db.transaction(async |tx| inbox::sweep(tx, before).await).await.unwrap()
        };
        once(&db, "first", old).await;
        once(&db, "second", old).await;
        let later = Time::from_seconds(NOW + 10);
        for (subscriber, event) in [("first", young), ("late", old)] {
            db.transaction(async |tx| inbox::once(tx, subscriber, event, later).await).await.unwrap();
        }
        assert_eq!(sweep(NOW).await, 0);
        assert_eq!(sweep(NOW + 10).await, 2);
        assert_eq!(sweep(NOW + 10).await, 0);
        assert!(once(&db, "first", old).await);
        assert!(!once(&db, "first", young).await);
        assert!(!once(&db, "late", old).await, "who took it later remembers it longer");
    }
}
