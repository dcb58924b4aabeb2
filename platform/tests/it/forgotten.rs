//! People who were purged: whatever names them goes from what the platform keeps, however much there is of it, and nobody
//! else's goes with it.

use std::sync::Arc;
use std::time::Duration;

use contracts::{Actor, Caller, Fact, SessionId, UserId};
use platform::audit::{self, Entry, Filter, Outcome};
use platform::bus::Settings;
use platform::clock::Clock;
use platform::db::{Database, DbConn};
use platform::forgotten::{self, Forgetter};
use platform::http::IdempotencyKey;
use platform::idempotency::{self, Answer};
use platform::outbox;
use serde::{Deserialize, Serialize};
use serde_json::json;
use testkit::{both_engines, scan};
use tokio_util::sync::CancellationToken;

use crate::outbox::relay;
use crate::stage::{Listener, Manner, clock, local_bus};

/// Something about somebody.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Moved {
    user: UserId,
}

impl Fact for Moved {
    const TYPE: &'static str = "test.thing.happened";

    fn subject(&self) -> String {
        self.user.to_string()
    }
}

async fn moved(db: &Database, clock: &Clock, people: &[UserId]) {
    let (now, caller) = (clock.now(), Caller::module("test"));
    let work = async |tx: &mut DbConn| {
        for user in people {
            outbox::publish(tx, now, &caller, &Moved { user: *user }).await?;
        }
        Ok::<_, platform::db::Error>(())
    };
    db.transaction(work).await.unwrap();
}

async fn answered(db: &Database, clock: &Clock, people: &[UserId]) {
    let now = clock.now();
    let work = async |tx: &mut DbConn| {
        for (number, user) in people.iter().enumerate() {
            let key = IdempotencyKey { key: number.to_string(), scope: "s".to_owned(), fingerprint: [0; 32] };
            let answer = Answer { status: 201, location: Some(format!("/{user}")), body: json!(number) };
            idempotency::once(tx, now, Some(&key), async |_| Ok::<_, contracts::Error>(answer)).await?;
        }
        Ok::<_, contracts::Error>(())
    };
    db.transaction(work).await.unwrap();
}

async fn recorded(db: &Database, clock: &Clock, user: UserId, times: usize) {
    let now = clock.now();
    let caller = Caller {
        actor: Actor::User { id: user, session: SessionId::new() },
        user_agent: Some("Tyrannosaurus/65.0".to_owned()),
        ..Caller::module("test")
    };
    let work = async |tx: &mut DbConn| {
        for _ in 0..times {
            let entry = Entry {
                action: "test.thing.changed",
                outcome: Outcome::Succeeded,
                subject_type: "thing",
                subject_id: "t".to_owned(),
                before: None,
                after: Some(json!(1)),
            };
            audit::record(tx, now, &caller, entry).await?;
        }
        Ok::<_, platform::db::Error>(())
    };
    db.transaction(work).await.unwrap();
}

async fn note(db: &Database, clock: &Clock, person: UserId) {
    let now = clock.now();
    db.transaction(async |tx| forgotten::note(tx, person, now).await).await.unwrap();
}

async fn look(db: &Database, clock: &Clock) -> usize {
    Forgetter::new(db.clone(), clock.clone()).run_once(&CancellationToken::new()).await.unwrap()
}

async fn sql(db: &Database, text: &str) {
    db.write().await.unwrap().batch(text).await.unwrap();
}

/// In which tables somebody is named, the list of those who are looked for aside.
async fn named(db: &Database, user: UserId) -> Vec<String> {
    let places = scan::find(db, &user.to_string()).await;
    places.into_iter().filter(|place| !place.contains("platform_forgotten")).collect()
}

both_engines! {
    async fn a_person_is_found_among_thousands(db: Database) {
        let clock = clock();
        let (gone, kept) = (UserId::new(), UserId::new());
        let people: Vec<_> = (0..2_600).map(|n| if n % 1_000 == 500 { gone } else { kept }).collect();
        let listener = Listener::new("first", &db, &clock, Manner::Takes);
        let settings = Settings { concurrency: 1_000, ..Settings::default() };
        let bus = Arc::new(local_bus(&db, &clock, &[&listener], settings));
        let relay = relay(&db, bus.clone(), &clock);
        moved(&db, &clock, &people).await;
        while relay.run_once().await.unwrap() > 0 {}
        while bus.run_once().await.unwrap() > 0 {}
        answered(&db, &clock, &people).await;
        recorded(&db, &clock, gone, 1_500).await;
        recorded(&db, &clock, kept, 10).await;
        note(&db, &clock, gone).await;
        let before = named(&db, gone).await;
        for table in ["platform_outbox", "platform_deliveries", "platform_idempotency_keys"] {
            assert!(before.iter().any(|place| place.contains(table)), "{table}: {before:?}");
        }
        assert_eq!(look(&db, &clock).await, 1);
        let left = named(&db, gone).await;
        assert!(left.iter().all(|place| place.contains("platform_audit_events")), "by a pseudonym: {left:?}");
        let filter = Filter { actor_id: Some(gone.to_string()), ..Filter::default() };
        let trail = audit::list(&mut db.read().await.unwrap(), &filter, None, 2_000).await.unwrap();
        assert_eq!(trail.len(), 1_500);
        assert!(trail.iter().all(|entry| entry.user_agent.is_none() && entry.after.is_some()));
        let filter = Filter { actor_id: Some(kept.to_string()), ..Filter::default() };
        let trail = audit::list(&mut db.read().await.unwrap(), &filter, None, 2_000).await.unwrap();
        assert!(trail.iter().all(|entry| entry.user_agent.is_some()));
        let after = named(&db, kept).await;
        for table in ["platform_outbox", "platform_deliveries", "platform_idempotency_keys"] {
            assert!(after.iter().any(|place| place.contains(table)), "{table}: {after:?}");
        }
    }

    async fn what_is_on_its_way_arrives_and_goes_later(db: Database) {
        let clock = clock();
        let gone = UserId::new();
        moved(&db, &clock, &[gone]).await;
        note(&db, &clock, gone).await;
        assert_eq!(look(&db, &clock).await, 1);
        assert_eq!(look(&db, &clock).await, 0, "not again at once");
        let listener = Listener::new("first", &db, &clock, Manner::Takes);
        let bus = Arc::new(local_bus(&db, &clock, &[&listener], Settings::default()));
        for _ in 0..10 {
            clock.advance(Duration::from_secs(3_600));
            assert_eq!(look(&db, &clock).await, 1, "as long as it takes");
        }
        assert_eq!(relay(&db, bus.clone(), &clock).run_once().await.unwrap(), 1);
        assert_eq!(bus.run_once().await.unwrap(), 1);
        assert_eq!(listener.calls(), 1, "everybody hears it");
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(look(&db, &clock).await, 1);
        assert_eq!(named(&db, gone).await, Vec::<String>::new());
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(look(&db, &clock).await, 0, "and then no more");
    }

    async fn what_a_late_request_leaves_behind_is_found(db: Database) {
        let clock = clock();
        let gone = UserId::new();
        note(&db, &clock, gone).await;
        assert_eq!(look(&db, &clock).await, 1);
        recorded(&db, &clock, gone, 1).await;
        answered(&db, &clock, &[gone]).await;
        clock.advance(Duration::from_secs(60));
        assert_eq!(look(&db, &clock).await, 1);
        assert!(scan::find(&db, "Tyrannosaurus").await.is_empty());
        assert!(named(&db, gone).await.iter().all(|place| place.contains("platform_audit_events")));
    }

    async fn who_is_noted_again_is_looked_for_as_if_it_were_the_first_time(db: Database) {
        let clock = clock();
        let gone = UserId::new();
        note(&db, &clock, gone).await;
        for _ in 0..3 {
            assert_eq!(look(&db, &clock).await, 1);
            clock.advance(Duration::from_secs(3_600));
        }
        note(&db, &clock, gone).await;
        for _ in 0..4 {
            assert_eq!(look(&db, &clock).await, 1);
            clock.advance(Duration::from_secs(3_600));
        }
        assert_eq!(look(&db, &clock).await, 0);
    }

    async fn a_look_that_broke_off_is_begun_again(db: Database) {
        let clock = clock();
        let gone = UserId::new();
        answered(&db, &clock, &[gone]).await;
        note(&db, &clock, gone).await;
        let stop = CancellationToken::new();
        stop.cancel();
        let forgetter = Forgetter::new(db.clone(), clock.clone());
        assert_eq!(forgetter.run_once(&stop).await.unwrap(), 1);
        assert!(!named(&db, gone).await.is_empty());
        sql(&db, "ALTER TABLE platform_idempotency_keys RENAME TO away").await;
        forgetter.run_once(&CancellationToken::new()).await.unwrap_err();
        sql(&db, "ALTER TABLE away RENAME TO platform_idempotency_keys").await;
        assert_eq!(look(&db, &clock).await, 1, "at once, and not when a lease ends");
        assert!(named(&db, gone).await.is_empty());
        for _ in 1..4 {
            assert_eq!(look(&db, &clock).await, 0);
            clock.advance(Duration::from_secs(3_600));
            assert_eq!(look(&db, &clock).await, 1, "what broke off was no look");
        }
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(look(&db, &clock).await, 0);
    }

    async fn many_at_once_are_all_forgotten(db: Database) {
        let clock = clock();
        let people: Vec<_> = (0..120).map(|_| UserId::new()).collect();
        answered(&db, &clock, &people).await;
        for person in &people {
            note(&db, &clock, *person).await;
        }
        let looks = async || {
            let mut looked_for = 0;
            loop {
                match look(&db, &clock).await {
                    0 => return looked_for,
                    some => looked_for += some,
                }
            }
        };
        let (first, second) = tokio::join!(looks(), looks());
        assert_eq!(first + second, people.len(), "each is taken by one");
        for person in &people {
            assert!(named(&db, *person).await.is_empty());
        }
    }
}
