//! Rate limits: never more than the capacity at once, also in parallel, and each take comes back in its time.

use std::time::Duration;

use contracts::Time;
use futures_util::future::join_all;
use platform::clock::Clock;
use platform::db::Database;
use platform::limits::{self, Bucket, Limit, Verdict};
use testkit::both_engines;

use crate::stage::clock;

const TEN_A_MINUTE: Limit = Limit { capacity: 10, window: Duration::from_secs(60) };
const ALLOWED: Verdict = Verdict { allowed: true, retry_after_secs: 0 };

fn bucket(whom: &str) -> Bucket {
    Bucket::of("test.login", &[whom.as_bytes()])
}

async fn take(db: &Database, now: Time, bucket: Bucket, limit: Limit) -> Verdict {
    db.transaction(async |tx| limits::take(tx, now, &bucket, limit).await).await.unwrap()
}

async fn peek(db: &Database, now: Time, bucket: Bucket) -> Verdict {
    limits::peek(&mut db.read().await.unwrap(), now, &bucket, TEN_A_MINUTE).await.unwrap()
}

async fn empty(db: &Database, clock: &Clock, bucket: Bucket) {
    for _ in 0..TEN_A_MINUTE.capacity {
        assert_eq!(take(db, clock.now(), bucket, TEN_A_MINUTE).await, ALLOWED);
    }
}

both_engines! {
    async fn of_fifty_takes_at_once_ten_are_allowed(db: Database) {
        let now = clock().now();
        let takes = join_all((0..50).map(|_| take(&db, now, bucket("ada"), TEN_A_MINUTE))).await;
        assert_eq!(takes.iter().filter(|verdict| verdict.allowed).count(), 10);
        let refused: Vec<_> = takes.iter().filter(|verdict| !verdict.allowed).collect();
        assert!(refused.iter().all(|verdict| verdict.retry_after_secs == 6), "{refused:?}");
    }

    async fn a_take_comes_back_after_its_share_of_the_window(db: Database) {
        let clock = clock();
        empty(&db, &clock, bucket("ada")).await;
        let refused = take(&db, clock.now(), bucket("ada"), TEN_A_MINUTE).await;
        assert_eq!(refused, Verdict { allowed: false, retry_after_secs: 6 });
        clock.advance(Duration::from_millis(5_999));
        assert!(!take(&db, clock.now(), bucket("ada"), TEN_A_MINUTE).await.allowed);
        clock.advance(Duration::from_millis(1));
        assert_eq!(take(&db, clock.now(), bucket("ada"), TEN_A_MINUTE).await, ALLOWED);
        assert!(!take(&db, clock.now(), bucket("ada"), TEN_A_MINUTE).await.allowed);
        clock.advance(TEN_A_MINUTE.window * 5);
        empty(&db, &clock, bucket("ada")).await;
        assert!(!take(&db, clock.now(), bucket("ada"), TEN_A_MINUTE).await.allowed, "never fuller than full");
    }

    async fn capacity_holds_when_the_window_does_not_divide(db: Database) {
        let (now, odd) = (clock().now(), Limit { capacity: 7, window: Duration::from_micros(10) });
        let mut allowed = 0;
        while take(&db, now, bucket("ada"), odd).await.allowed {
            allowed += 1;
        }
        assert_eq!(allowed, 7);
    }

    async fn nothing_is_allowed_without_capacity(db: Database) {
        let none = Limit { capacity: 0, window: Duration::from_secs(1) };
        assert!(!take(&db, clock().now(), bucket("ada"), none).await.allowed);
    }

    async fn buckets_do_not_touch_each_other(db: Database) {
        let clock = clock();
        empty(&db, &clock, bucket("ada")).await;
        assert_eq!(take(&db, clock.now(), bucket("grace"), TEN_A_MINUTE).await, ALLOWED);
        let other = Bucket { operation: "test.reset", ..bucket("ada") };
        assert_eq!(take(&db, clock.now(), other, TEN_A_MINUTE).await, ALLOWED);
    }

    async fn a_look_takes_nothing(db: Database) {
        let clock = clock();
        assert_eq!(peek(&db, clock.now(), bucket("ada")).await, ALLOWED);
        empty(&db, &clock, bucket("ada")).await;
        let refused = Verdict { allowed: false, retry_after_secs: 6 };
        assert_eq!(peek(&db, clock.now(), bucket("ada")).await, refused);
        clock.advance(Duration::from_secs(6));
        assert_eq!(peek(&db, clock.now(), bucket("ada")).await, ALLOWED);
        assert_eq!(take(&db, clock.now(), bucket("ada"), TEN_A_MINUTE).await, ALLOWED);
    }

    async fn a_reset_bucket_is_full(db: Database) {
        let clock = clock();
        empty(&db, &clock, bucket("ada")).await;
        db.transaction(async |tx| limits::reset(tx, &bucket("ada")).await).await.unwrap();
        empty(&db, &clock, bucket("ada")).await;
    }

    async fn a_sweep_forgets_only_full_buckets(db: Database) {
        let clock = clock();
        take(&db, clock.now(), bucket("ada"), TEN_A_MINUTE).await;
        empty(&db, &clock, bucket("grace")).await;
        clock.advance(Duration::from_secs(7));
        let now = clock.now();
        let sweep = async || db.transaction(async |tx| limits::sweep(tx, now).await).await.unwrap();
        assert_eq!((sweep().await, sweep().await), (1, 0));
        assert_eq!(take(&db, now, bucket("grace"), TEN_A_MINUTE).await, ALLOWED);
        assert!(!take(&db, now, bucket("grace"), TEN_A_MINUTE).await.allowed, "the bucket in use was kept");
    }
}
