//! The bus between processes on a real broker, when all is well: who hears what, how often, and what is a dead letter.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use contracts::{Caller, Event, EventId, Fact};
use platform::bus::{Bus, Settings, Subscription};
use platform::clock::Clock;
use platform::db::Database;
use platform::outbox;
use rand::seq::SliceRandom;
use testkit::both_engines;
use testkit::brokers::TestBroker;
use testkit::databases::{Engine, run};

use crate::migrations;
use crate::rabbit_support::{Process, bus_settings, until, until_done, waiting};
use crate::stage::{Happened, Listener, Manner, Unheard, happen, happen_times};

/// A subscriber that runs in another process.
const ELSEWHERE: Subscription = Subscription { name: "elsewhere", hears: &[Happened::TYPE] };

pub fn event(number: u32) -> Event {
    let caller = Caller { traceparent: Some("00-ab-cd-01".to_owned()), ..Caller::module("test") };
    Event::of(&Happened { number }, &caller, Clock::system().now()).unwrap()
}

fn ids(mut ids: Vec<EventId>) -> Vec<EventId> {
    ids.sort();
    ids
}

both_engines! {
    async fn an_event_reaches_every_subscriber_once(db: Database) {
        let Some(broker) = TestBroker::shared().await else { return };
        let clock = Clock::system();
        let first = Listener::new("first", &db, &clock, Manner::Takes);
        let second = Listener::new("second", &db, &clock, Manner::Takes);
        let process = Process::start(&db, &broker, &[&first, &second]);
        let events = happen_times(&db, &clock, 20).await;
        first.wait_called(20).await;
        second.wait_called(20).await;
        until_done(&db).await;
        assert_eq!(ids(first.effects().await), ids(events.clone()));
        assert_eq!(ids(second.effects().await), ids(events));
        assert_eq!((first.calls(), second.calls()), (20, 20));
        process.stop().await;
        broker.remove(&["first", "second"]).await;
    }

    async fn a_subscriber_that_fails_is_parked_where_operators_look_and_holds_up_no_other(db: Database) {
        let Some(broker) = TestBroker::shared().await else { return };
        let clock = Clock::system();
        let good = Listener::new("good", &db, &clock, Manner::Takes);
        let bad = Listener::new("bad", &db, &clock, Manner::Fails);
        let process = Process::start(&db, &broker, &[&bad, &good]);
        let events = happen_times(&db, &clock, 5).await;
        good.wait_called(5).await;
        bad.wait_called(15).await;
        until_done(&db).await;
        assert_eq!(ids(good.effects().await), ids(events.clone()));
        let parked = outbox::parked(&mut db.read().await.unwrap()).await.unwrap();
        assert_eq!(ids(parked.iter().map(|one| one.event).collect()), ids(events.clone()));
        assert!(parked.iter().all(|one| one.subscriber == "bad" && one.attempts == 3), "{parked:?}");
        assert_eq!((broker.waiting("bad").await, broker.waiting("dead").await), (Some(0), Some(0)));

        bad.behave(Manner::Takes);
        let now = clock.now();
        db.transaction(async |tx| outbox::retry(tx, now, &events).await).await.unwrap();
        until_done(&db).await;
        assert_eq!(ids(bad.effects().await), ids(events));
        process.stop().await;
        broker.remove(&["good", "bad"]).await;
    }

    async fn a_thousand_duplicates_in_any_order_have_their_effect_once(db: Database) {
        let Some(broker) = TestBroker::shared().await else { return };
        let listener = Listener::new("first", &db, &Clock::system(), Manner::Takes);
        let process = Process::start(&db, &broker, &[&listener]);
        let events: Vec<_> = (0..50).map(event).collect();
        let mut copies: Vec<_> = std::iter::repeat_n(events.clone(), 20).flatten().collect();
        copies.shuffle(&mut rand::rng());
        process.bus.ready().await;
        for copies in copies.chunks(100) {
            process.bus.publish(copies).await.unwrap();
        }
        until("all effects", async || listener.effects().await.len() >= events.len()).await;
        until_done(&db).await;
        until("nothing waits", async || broker.waiting("first").await == Some(0)).await;
        assert_eq!(ids(listener.effects().await), ids(events.iter().map(|event| event.id).collect()));
        assert_eq!(listener.calls(), 50);
        process.stop().await;
        broker.remove(&["first"]).await;
    }

    async fn what_cannot_be_read_or_was_made_up_is_a_dead_letter_and_holds_up_nothing(db: Database) {
        let Some(broker) = TestBroker::shared().await else { return };
        let listener = Listener::new("first", &db, &Clock::system(), Manner::Takes);
        let process = Process::start(&db, &broker, &[&listener]);
        process.bus.ready().await;
        let poison = serde_json::to_string(&event(1)).unwrap().replace("\"number\":1", "\"number\":\"\\u0000\"");
        let (good, made_up) = (event(2), serde_json::to_vec(&event(3)).unwrap());
        for body in [&b"not at all"[..], poison.as_bytes(), &made_up, b"{}"] {
            broker.publish(Happened::TYPE, body).await;
        }
        process.bus.publish(std::slice::from_ref(&good)).await.unwrap();
        listener.wait_called(1).await;
        until("four dead letters", async || broker.waiting("dead").await == Some(4)).await;
        assert_eq!(listener.effects().await, [good.id]);
        let (body, properties) = broker.next("dead").await.unwrap();
        assert_eq!(body, b"not at all");
        let headers = properties.headers().as_ref().unwrap().inner();
        let text = |name: &str| headers[name].as_long_string().unwrap().to_string();
        let queue = format!("{}.first", broker.prefix());
        assert_eq!((text("x-first-death-reason"), text("x-first-death-queue")), ("rejected".to_owned(), queue));
        process.stop().await;
        broker.remove(&["first"]).await;
    }

    async fn while_the_database_stores_nothing_messages_are_kept_and_not_given_up(db: Database) {
        let Some(broker) = TestBroker::shared().await else { return };
        let listener = Listener::new("first", &db, &Clock::system(), Manner::Takes);
        let process = Process::start(&db, &broker, &[&listener]);
        process.bus.ready().await;
        let rename = async |sql: &str| db.write().await.unwrap().batch(sql).await.unwrap();
        rename("ALTER TABLE platform_deliveries RENAME TO platform_away").await;
        let events: Vec<_> = (0..30).map(event).collect();
        process.bus.publish(&events).await.unwrap();
        until("all are handed out", async || broker.waiting("first").await == Some(0)).await;
        // Longer than a delivery limit of returns would last.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!((broker.waiting("dead").await, listener.calls()), (Some(0), 0));
        rename("ALTER TABLE platform_away RENAME TO platform_deliveries").await;
        listener.wait_called(30).await;
        until_done(&db).await;
        assert_eq!(ids(listener.effects().await), ids(events.iter().map(|event| event.id).collect()));
        process.stop().await;
        broker.remove(&["first"]).await;
    }
}

/// Runs a test on SQLite, at the shared broker.
fn at_the_broker(test: impl AsyncFnOnce(Database, TestBroker)) {
    run(Engine::Sqlite, &migrations(), async |database| {
        if let Some(broker) = TestBroker::shared().await {
            test(database.database(), broker).await;
        }
    });
}

#[test]
fn a_message_is_a_cloud_event_that_tools_can_read() {
    at_the_broker(async |db, broker| {
        let process = Process::start_with(&db, broker.settings(), bus_settings(), &[ELSEWHERE], &[]);
        process.bus.ready().await;
        let event = event(7);
        process.bus.publish(std::slice::from_ref(&event)).await.unwrap();
        let (body, properties) = broker.next("elsewhere").await.expect("stored when it was confirmed");
        assert_eq!(serde_json::from_slice::<Event>(&body).unwrap(), event);
        let text = |it: &Option<lapin::types::ShortString>| it.as_ref().unwrap().as_str().to_owned();
        assert_eq!(text(properties.content_type()), "application/cloudevents+json");
        assert_eq!(text(properties.message_id()), event.id.to_string());
        assert_eq!(text(properties.kind()), Happened::TYPE);
        assert_eq!(*properties.delivery_mode(), Some(2), "it survives the broker's restart");
        let headers = properties.headers().as_ref().unwrap().inner();
        let traceparent = headers["traceparent"].as_long_string().unwrap().to_string();
        assert_eq!(Some(traceparent), event.traceparent);
        process.stop().await;
        broker.remove(&["elsewhere"]).await;
    });
}

#[test]
fn a_subscriber_that_has_never_started_hears_what_happened_before() {
    at_the_broker(async |db, broker| {
        let clock = Clock::system();
        let process = Process::start_with(&db, broker.settings(), bus_settings(), &[ELSEWHERE], &[]);
        let event = happen(&db, &clock, 1).await;
        until_done(&db).await;
        process.stop().await;
        let listener = Listener::new("elsewhere", &db, &clock, Manner::Takes);
        let process = Process::start(&db, &broker, &[&listener]);
        listener.wait_called(1).await;
        assert_eq!(listener.effects().await, [event]);
        process.stop().await;
        broker.remove(&["elsewhere"]).await;
    });
}

#[test]
fn what_nobody_hears_leaves_the_outbox_and_is_there_for_others() {
    at_the_broker(async |db, broker| {
        let process = Process::start_with(&db, broker.settings(), bus_settings(), &[ELSEWHERE], &[]);
        process.bus.ready().await;
        let (now, caller) = (Clock::system().now(), Caller::module("test"));
        let tell = async || {
            db.transaction(async |tx| outbox::publish(tx, now, &caller, &Unheard {}).await).await.unwrap()
        };
        tell().await;
        until_done(&db).await;
        broker.eavesdrop().await;
        let event = tell().await;
        until_done(&db).await;
        let (body, _) = broker.next("others").await.expect("a queue of another house gets it");
        assert_eq!(serde_json::from_slice::<Event>(&body).unwrap().id, event);
        process.stop().await;
        broker.remove(&["elsewhere"]).await;
    });
}

#[test]
fn two_processes_share_the_work_and_have_each_effect_once() {
    at_the_broker(async |db, broker| {
        let clock = Clock::system();
        let one = Listener::new("first", &db, &clock, Manner::Takes);
        let two = Listener::new("first", &db, &clock, Manner::Takes);
        let processes = [Process::start(&db, &broker, &[&one]), Process::start(&db, &broker, &[&two])];
        let events = happen_times(&db, &clock, 200).await;
        until("all effects", async || one.effects().await.len() >= 200).await;
        until_done(&db).await;
        assert_eq!(ids(one.effects().await), ids(events));
        for process in processes {
            process.stop().await;
        }
        broker.remove(&["first"]).await;
    });
}

#[test]
fn a_stop_in_the_middle_of_work_loses_nothing_and_doubles_nothing() {
    at_the_broker(async |db, broker| {
        let clock = Clock::system();
        let listener = Listener::new("first", &db, &clock, Manner::Takes);
        let mut events = BTreeSet::new();
        for _ in 0..4 {
            let process = Process::start(&db, &broker, &[&listener]);
            events.extend(happen_times(&db, &clock, 100).await);
            listener.wait_called(20).await;
            process.stop().await;
        }
        let process = Process::start(&db, &broker, &[&listener]);
        until("all effects", async || listener.effects().await.len() >= events.len()).await;
        until_done(&db).await;
        assert_eq!(ids(listener.effects().await), events.into_iter().collect::<Vec<_>>());
        process.stop().await;
        broker.remove(&["first"]).await;
    });
}

/// How long it takes from a commit until a subscriber is done, one event at a time. Only prints: what it is worth depends
/// on the machine.
#[test]
#[ignore = "a measurement; run it alone, on a quiet machine, with --no-capture"]
fn how_long_an_event_takes() {
    at_the_broker(async |db, broker| {
        let clock = Clock::system();
        let listener = Listener::new("first", &db, &clock, Manner::Takes);
        let process = Process::start_with(&db, broker.settings(), Settings::default(), &[], &[&listener]);
        process.bus.ready().await;
        let mut times = Vec::new();
        for number in 0..200 {
            let begun = Instant::now();
            happen(&db, &clock, number).await;
            listener.wait_called(1).await;
            times.push(begun.elapsed());
            until_done(&db).await;
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
        times.sort();
        eprintln!("over RabbitMQ: p50 {:?}, p95 {:?}, most {:?}", times[100], times[190], times[199]);
        assert_eq!(waiting(&db).await, []);
        process.stop().await;
        broker.remove(&["first"]).await;
    });
}
