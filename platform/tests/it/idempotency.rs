//! Idempotency: one effect and one answer for each key, however often and at once it comes.

use std::time::Duration;

use contracts::{Caller, Error, Kind, Time};
use futures_util::future::join_all;
use platform::audit::{self, Entry, Filter, Outcome};
use platform::db::{Database, DbConn};
use platform::idempotency::{self, Answer, IdempotencyKey};
use serde_json::json;
use testkit::both_engines;

use crate::stage::clock;

fn key(key: &str, body: u8) -> IdempotencyKey {
    IdempotencyKey { key: key.to_owned(), scope: "user:1 POST /things".to_owned(), fingerprint: [body; 32] }
}

/// The effect is an audit entry; the answer tells which one it was.
async fn effect(tx: &mut DbConn, now: Time, thing: &str) -> Result<Answer, Error> {
    let entry = Entry {
        action: "test.made",
        outcome: Outcome::Succeeded,
        subject_type: "thing",
        subject_id: thing.to_owned(),
        before: None,
        after: None,
    };
    audit::record(tx, now, &Caller::module("test"), entry).await?;
    Ok(Answer { status: 201, location: Some(format!("/things/{thing}")), body: json!({ "id": thing }) })
}

async fn make(db: &Database, now: Time, key: Option<&IdempotencyKey>, thing: &str) -> Result<Answer, Error> {
    db.transaction(async |tx| idempotency::once(tx, now, key, async |tx| effect(tx, now, thing).await).await)
        .await
}

async fn made(db: &Database) -> usize {
    audit::list(&mut db.read().await.unwrap(), &Filter::default(), None, 100).await.unwrap().len()
}

both_engines! {
    async fn fifty_requests_with_one_key_have_one_effect_and_one_answer(db: Database) {
        let (now, key) = (clock().now(), key("k", 1));
        let things: Vec<_> = (0..50).map(|number| number.to_string()).collect();
        let answers = join_all(things.iter().map(|thing| make(&db, now, Some(&key), thing))).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!((answers[0].status, made(&db).await), (201, 1));
    }

    async fn a_repeated_request_gets_the_same_answer(db: Database) {
        let (now, key) = (clock().now(), key("k", 1));
        let first = make(&db, now, Some(&key), "a").await.unwrap();
        let again = make(&db, now, Some(&key), "b").await.unwrap();
        assert_eq!((&again, again.location.as_deref()), (&first, Some("/things/a")));
        assert_eq!(made(&db).await, 1);
    }

    async fn a_key_that_comes_with_another_body_is_refused(db: Database) {
        let now = clock().now();
        make(&db, now, Some(&key("k", 1)), "a").await.unwrap();
        let error = make(&db, now, Some(&key("k", 2)), "b").await.unwrap_err();
        assert_eq!((error.kind, error.code.as_ref()), (Kind::Invalid, "platform.idempotency_key_reused"));
        assert_eq!(made(&db).await, 1);
    }

    async fn keys_count_only_in_their_scope(db: Database) {
        let now = clock().now();
        make(&db, now, Some(&key("k", 1)), "a").await.unwrap();
        let other_caller = IdempotencyKey { scope: "user:2 POST /things".to_owned(), ..key("k", 1) };
        let answer = make(&db, now, Some(&other_caller), "b").await.unwrap();
        assert_eq!(answer.body, json!({ "id": "b" }));
        // Scope and key are not joined: what moves from one to the other is another key.
        let moved = IdempotencyKey { scope: "user:1 POST /thing".to_owned(), key: "sk".to_owned(), ..key("k", 1) };
        assert_eq!(make(&db, now, Some(&moved), "c").await.unwrap().body, json!({ "id": "c" }));
    }

    async fn a_request_that_failed_may_be_sent_again(db: Database) {
        let (now, key) = (clock().now(), key("k", 1));
        let failed = db.transaction(async |tx| {
            let failing = async |tx: &mut DbConn| {
                effect(tx, now, "a").await?;
                Err(Error::conflict("test.taken", "Taken."))
            };
            idempotency::once(tx, now, Some(&key), failing).await
        });
        assert_eq!(failed.await.unwrap_err().code, "test.taken");
        assert_eq!(make(&db, now, Some(&key), "b").await.unwrap().body, json!({ "id": "b" }));
        assert_eq!(made(&db).await, 1);
    }

    async fn an_answer_is_kept_for_a_day(db: Database) {
        let (clock, key) = (clock(), key("k", 1));
        make(&db, clock.now(), Some(&key), "a").await.unwrap();
        clock.advance(Duration::from_secs(24 * 3_600 - 1));
        assert_eq!(make(&db, clock.now(), Some(&key), "b").await.unwrap().body, json!({ "id": "a" }));
        clock.advance(Duration::from_secs(1));
        let other_body = self::key("k", 2);
        assert_eq!(make(&db, clock.now(), Some(&other_body), "c").await.unwrap().body, json!({ "id": "c" }));
        assert_eq!(make(&db, clock.now(), Some(&other_body), "d").await.unwrap().body, json!({ "id": "c" }));
    }

    async fn without_a_key_each_request_has_its_effect(db: Database) {
        let now = clock().now();
        make(&db, now, None, "a").await.unwrap();
        make(&db, now, None, "a").await.unwrap();
        assert_eq!(made(&db).await, 2);
    }

    async fn a_sweep_forgets_answers_whose_day_is_over(db: Database) {
        let (clock, key) = (clock(), key("k", 1));
        make(&db, clock.now(), Some(&key), "a").await.unwrap();
        let sweep = async |before| db.transaction(async |tx| idempotency::sweep(tx, before).await).await.unwrap();
        assert_eq!(sweep(clock.now()).await, 0);
        clock.advance(idempotency::KEPT + Duration::from_secs(1));
        assert_eq!((sweep(clock.now()).await, sweep(clock.now()).await), (1, 0));
    }
}
