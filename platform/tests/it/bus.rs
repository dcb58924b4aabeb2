//! The local bus: each subscriber by itself, again after a failure, parked in the end, never lost.

use std::time::Duration;

use contracts::EventId;
use futures_util::future::join;
use platform::bus::{Bus, LocalBus, Settings};
use platform::db::Database;
use platform::outbox;
use testkit::both_engines;

use crate::stage::{A_WHILE, Happened, Listener, Manner, clock, happen, local_bus};

async fn publish(bus: &LocalBus, number: u32) -> EventId {
    let caller = contracts::Caller::module("test");
    let event = contracts::Event::of(&Happened { number }, &caller, clock().now()).unwrap();
    bus.publish(std::slice::from_ref(&event)).await.unwrap();
    event.id
}

async fn parked(db: &Database) -> Vec<outbox::Parked> {
    outbox::parked(&mut db.read().await.unwrap()).await.unwrap()
}

both_engines! {
    async fn every_subscriber_that_listens_gets_the_event_once(db: Database) {
        let clock = clock();
        let first = Listener::new("first", &db, &clock, Manner::Takes);
        let second = Listener::new("second", &db, &clock, Manner::Takes);
        let bus = local_bus(&db, &clock, &[&first, &second], Settings::default());
        let event = publish(&bus, 1).await;
        assert_eq!(bus.run_once().await.unwrap(), 2);
        clock.advance(A_WHILE);
        assert_eq!(bus.run_once().await.unwrap(), 0);
        assert_eq!((first.calls(), second.calls()), (1, 1));
        assert_eq!((first.effects().await, second.effects().await), (vec![event], vec![event]));
    }

    async fn an_event_that_is_handed_over_twice_is_delivered_once(db: Database) {
        let clock = clock();
        let first = Listener::new("first", &db, &clock, Manner::Takes);
        let bus = local_bus(&db, &clock, &[&first], Settings::default());
        let caller = contracts::Caller::module("test");
        let event = contracts::Event::of(&Happened { number: 1 }, &caller, clock.now()).unwrap();
        bus.publish(&[event.clone(), event.clone()]).await.unwrap();
        assert_eq!(bus.run_once().await.unwrap(), 1);
        bus.publish(&[event]).await.unwrap();
        assert_eq!(bus.run_once().await.unwrap(), 0, "also when it was delivered already");
        assert_eq!(first.calls(), 1);
    }

    async fn a_subscriber_that_always_fails_is_parked_while_the_other_got_it(db: Database) {
        let clock = clock();
        let good = Listener::new("good", &db, &clock, Manner::Takes);
        let bad = Listener::new("bad", &db, &clock, Manner::Fails);
        let bus = local_bus(&db, &clock, &[&bad, &good], Settings { max_attempts: 3, ..Settings::default() });
        let event = publish(&bus, 1).await;
        for attempt in 1..=3 {
            assert_eq!(parked(&db).await, []);
            bus.run_once().await.unwrap();
            assert_eq!((bad.calls(), good.effects().await), (attempt, vec![event]));
            clock.advance(A_WHILE);
        }
        assert_eq!(bus.run_once().await.unwrap(), 0, "nobody tries again by himself");
        let given_up = parked(&db).await;
        let [parked_one] = given_up.as_slice() else { panic!("{given_up:?}") };
        assert_eq!((parked_one.event, parked_one.subscriber.as_str(), parked_one.attempts), (event, "bad", 3));
        assert_eq!(parked_one.last_error.as_deref(), Some("test.failed: It does not work."));
    }

    async fn a_parked_delivery_can_be_retried(db: Database) {
        let clock = clock();
        let bad = Listener::new("bad", &db, &clock, Manner::Fails);
        let bus = local_bus(&db, &clock, &[&bad], Settings { max_attempts: 1, ..Settings::default() });
        let (event, other) = (publish(&bus, 1).await, publish(&bus, 2).await);
        assert_eq!(bus.run_once().await.unwrap(), 2);
        bad.behave(Manner::Takes);
        let now = clock.now();
        let retried = db.transaction(async |tx| outbox::retry(tx, now, &[event]).await).await.unwrap();
        assert_eq!(retried, 1);
        assert_eq!(bus.run_once().await.unwrap(), 1);
        assert_eq!(bad.effects().await, [event]);
        let left: Vec<_> = parked(&db).await.into_iter().map(|parked| parked.event).collect();
        assert_eq!(left, [other]);
    }

    async fn a_sweep_keeps_what_is_parked(db: Database) {
        let clock = clock();
        let bad = Listener::new("bad", &db, &clock, Manner::Fails);
        let bus = local_bus(&db, &clock, &[&bad], Settings { max_attempts: 1, ..Settings::default() });
        publish(&bus, 1).await;
        bus.run_once().await.unwrap();
        let later = clock.now().plus(A_WHILE);
        let swept = db.transaction(async |tx| outbox::sweep(tx, later).await).await.unwrap();
        assert_eq!((swept, parked(&db).await.len()), (0, 1));
    }

    async fn a_panic_is_a_failure_like_any_other(db: Database) {
        let clock = clock();
        let good = Listener::new("good", &db, &clock, Manner::Takes);
        let bad = Listener::new("bad", &db, &clock, Manner::Panics);
        let bus = local_bus(&db, &clock, &[&bad, &good], Settings { max_attempts: 2, ..Settings::default() });
        let event = publish(&bus, 1).await;
        assert_eq!(bus.run_once().await.unwrap(), 2);
        assert_eq!(good.effects().await, [event]);
        clock.advance(A_WHILE);
        assert_eq!(bus.run_once().await.unwrap(), 1);
        let words = parked(&db).await.into_iter().map(|parked| parked.last_error).collect::<Vec<_>>();
        assert_eq!(words, [Some("platform.subscriber_panicked: The subscriber panicked.".to_owned())]);
    }

    async fn a_subscriber_that_hangs_delays_no_other_and_is_stopped_at_its_deadline(db: Database) {
        let clock = clock();
        let good = Listener::new("good", &db, &clock, Manner::Takes);
        let bad = Listener::new("bad", &db, &clock, Manner::Hangs);
        let settings = Settings { deadline_ms: 2_000, max_attempts: 1, ..Settings::default() };
        let bus = local_bus(&db, &clock, &[&bad, &good], settings);
        let event = publish(&bus, 1).await;
        assert_eq!(bus.run_once().await.unwrap(), 2);
        assert_eq!(good.effects().await, [event]);
        let given_up = parked(&db).await;
        assert!(given_up[0].last_error.as_deref().unwrap().starts_with("platform.subscriber_deadline"));
    }

    async fn a_dead_processs_deliveries_are_taken_over_when_its_lease_ends(db: Database) {
        let clock = clock();
        let listener = Listener::new("first", &db, &clock, Manner::Hangs);
        let dead = local_bus(&db, &clock, &[&listener], Settings::default());
        let event = publish(&dead, 1).await;
        tokio::select! {
            _ = dead.run_once() => panic!("the listener never ends"),
            () = listener.wait_called(1) => {}
        }
        listener.behave(Manner::Takes);
        let bus = local_bus(&db, &clock, &[&listener], Settings::default());
        let lease = Duration::from_millis(Settings::default().lease_ms);
        clock.advance(lease - Duration::from_micros(1));
        assert_eq!(bus.run_once().await.unwrap(), 0, "still leased");
        clock.advance(Duration::from_micros(1));
        assert_eq!(bus.run_once().await.unwrap(), 1);
        assert_eq!(listener.effects().await, [event]);
    }

    async fn a_delivery_that_ends_the_process_each_time_is_parked(db: Database) {
        let clock = clock();
        let listener = Listener::new("first", &db, &clock, Manner::Hangs);
        let settings = Settings { max_attempts: 3, ..Settings::default() };
        let bus = local_bus(&db, &clock, &[&listener], settings);
        publish(&bus, 1).await;
        for _ in 0..3 {
            tokio::select! {
                _ = bus.run_once() => panic!("the listener never ends"),
                () = listener.wait_called(1) => {}
            }
            clock.advance(A_WHILE);
        }
        assert_eq!(bus.run_once().await.unwrap(), 1);
        let given_up = parked(&db).await;
        assert!(given_up[0].last_error.as_deref().unwrap().starts_with("platform.subscriber_never_ended"));
        assert_eq!(listener.calls(), 3);
    }

    async fn a_failure_after_the_lease_undoes_no_success(db: Database) {
        let clock = clock();
        let late = Listener::new("first", &db, &clock, Manner::FailsLate);
        let quick = Listener::new("first", &db, &clock, Manner::Takes);
        let settings = Settings { deadline_ms: 3_600_000, max_attempts: 1, ..Settings::default() };
        let slow_bus = local_bus(&db, &clock, &[&late], settings);
        let bus = local_bus(&db, &clock, &[&quick], Settings::default());
        let event = publish(&slow_bus, 1).await;
        let meanwhile = async {
            late.wait_called(1).await;
            clock.advance(A_WHILE);
            assert_eq!(bus.run_once().await.unwrap(), 1);
            late.go.add_permits(1);
        };
        let (failed, ()) = join(slow_bus.run_once(), meanwhile).await;
        assert_eq!(failed.unwrap(), 1);
        clock.advance(A_WHILE);
        assert_eq!(bus.run_once().await.unwrap(), 0);
        assert_eq!((parked(&db).await, quick.effects().await), (vec![], vec![event]));
    }

    async fn two_processes_share_the_deliveries(db: Database) {
        let clock = clock();
        let listener = Listener::new("first", &db, &clock, Manner::Takes);
        let settings = Settings { concurrency: 3, ..Settings::default() };
        let (one, two) = (local_bus(&db, &clock, &[&listener], settings.clone()), local_bus(&db, &clock, &[&listener], settings));
        let mut events = Vec::new();
        for number in 0..40 {
            events.push(publish(&one, number).await);
        }
        let drain = async |bus: &LocalBus| while bus.run_once().await.unwrap() > 0 {};
        join(drain(&one), drain(&two)).await;
        let mut effects = listener.effects().await;
        effects.sort();
        events.sort();
        assert_eq!((listener.calls(), effects), (40, events));
    }

    async fn what_is_on_its_way_is_told_and_a_dead_processs_claims_can_be_ended_at_once(db: Database) {
        let clock = clock();
        let unheard = happen(&db, &clock, 1).await;
        let hanging = Listener::new("first", &db, &clock, Manner::Hangs);
        let dead = local_bus(&db, &clock, &[&hanging], Settings::default());
        let event = publish(&dead, 2).await;
        tokio::select! {
            _ = dead.run_once() => panic!("the subscriber hangs"),
            () = hanging.wait_called(1) => {}
        }
        let waiting = outbox::waiting(&mut db.read().await.unwrap(), 10).await.unwrap();
        let told: Vec<_> = waiting.iter().map(|it| (it.event, it.subscriber.as_deref(), it.attempts)).collect();
        assert_eq!(told, [(unheard, None, 0), (event, Some("first"), 1)]);

        let listener = Listener::new("first", &db, &clock, Manner::Takes);
        let next = local_bus(&db, &clock, &[&listener], Settings::default());
        assert_eq!(next.run_once().await.unwrap(), 0, "the claim still stands");
        let release = async || db.transaction(async |tx| outbox::release(tx).await).await.unwrap();
        assert_eq!((release().await, release().await), (1, 0));
        assert_eq!(next.run_once().await.unwrap(), 1);
        assert_eq!(listener.effects().await, [event]);
    }
}
