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
const AN_HOUR: Duration = Duration::from_secs(3_600);
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

    async fn a_look_counts_those_who_are_before(db: Database) {
        let now = clock().now();
        for _ in 0..8 {
            take(&db, now, bucket("ada"), TEN_A_MINUTE).await;
        }
        let after = async |others| {
            let mut c = db.read().await.unwrap();
            limits::peek_after(&mut c, now, &bucket("ada"), TEN_A_MINUTE, others).await.unwrap()
        };
        assert_eq!((after(0).await, after(1).await), (ALLOWED, ALLOWED));
        assert_eq!(after(2).await, Verdict { allowed: false, retry_after_secs: 6 });
        assert_eq!(after(9).await, Verdict { allowed: false, retry_after_secs: 48 });
        assert!(!after(10).await.allowed && !after(u32::MAX).await.allowed);
    }

    async fn a_reset_bucket_is_full(db: Database) {
        let clock = clock();
        empty(&db, &clock, bucket("ada")).await;
        db.transaction(async |tx| limits::reset(tx, &bucket("ada")).await).await.unwrap();
        empty(&db, &clock, bucket("ada")).await;
    }

    async fn a_clock_that_was_an_hour_ahead_locks_nobody_out(db: Database) {
        let (here, ahead) = (clock(), clock());
        ahead.advance(AN_HOUR);
        empty(&db, &ahead, bucket("ada")).await;
        assert!(!take(&db, ahead.now(), bucket("ada"), TEN_A_MINUTE).await.allowed);

        assert_eq!(peek(&db, here.now(), bucket("ada")).await, ALLOWED);
        empty(&db, &here, bucket("ada")).await;
        let refused = Verdict { allowed: false, retry_after_secs: 6 };
        assert_eq!(peek(&db, here.now(), bucket("ada")).await, refused);
        assert_eq!(take(&db, here.now(), bucket("ada"), TEN_A_MINUTE).await, refused);
        here.advance(Duration::from_secs(6));
        assert_eq!(peek(&db, here.now(), bucket("ada")).await, ALLOWED);
        assert_eq!(take(&db, here.now(), bucket("ada"), TEN_A_MINUTE).await, ALLOWED);
        assert_eq!(take(&db, here.now(), bucket("ada"), TEN_A_MINUTE).await, refused);

        // When the time has come that the other clock had shown, its bucket is the one again.
        here.advance(AN_HOUR - Duration::from_secs(6));
        assert_eq!(take(&db, here.now(), bucket("ada"), TEN_A_MINUTE).await, refused);
        here.advance(Duration::from_secs(6));
        assert_eq!(take(&db, here.now(), bucket("ada"), TEN_A_MINUTE).await, ALLOWED);
    }

    async fn clocks_that_disagree_and_take_turns_get_a_bucket_each_and_no_more(db: Database) {
        let (here, ahead) = (clock().now(), clock().now().plus(AN_HOUR));
        let mut allowed = 0;
        for _ in 0..50 {
            for now in [ahead, here] {
                allowed += u32::from(take(&db, now, bucket("ada"), TEN_A_MINUTE).await.allowed);
            }
        }
        assert_eq!(allowed, 2 * TEN_A_MINUTE.capacity);
    }

    async fn clocks_that_nearly_agree_share_one_bucket(db: Database) {
        let (here, ahead) = (clock().now(), clock().now().plus(Duration::from_secs(60)));
        for _ in 0..TEN_A_MINUTE.capacity {
            assert_eq!(take(&db, ahead, bucket("ada"), TEN_A_MINUTE).await, ALLOWED);
        }
        let refused = Verdict { allowed: false, retry_after_secs: 66 };
        assert_eq!(take(&db, here, bucket("ada"), TEN_A_MINUTE).await, refused);
        assert_eq!(peek(&db, here, bucket("ada")).await, refused);
    }

    async fn a_reset_fills_up_what_every_clock_has_left(db: Database) {
        let (here, ahead) = (clock(), clock());
        ahead.advance(AN_HOUR);
        empty(&db, &ahead, bucket("ada")).await;
        empty(&db, &here, bucket("ada")).await;
        db.transaction(async |tx| limits::reset(tx, &bucket("ada")).await).await.unwrap();
        empty(&db, &ahead, bucket("ada")).await;
        empty(&db, &here, bucket("ada")).await;
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
