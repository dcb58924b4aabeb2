//! The bus between processes when something is broken: the broker away, killed, silent, out of memory, or without the
//! queues it had. Nothing is lost, and nothing happens twice.

use std::sync::Arc;
use std::time::Duration;

use contracts::EventId;
use platform::bus::{Bus, Subscription, rabbit};
use platform::clock::Clock;
use platform::db::Database;
use testkit::brokers::{OwnBroker, TestBroker};
use testkit::cable::Cable;
use testkit::databases::{Engine, run};

use crate::migrations;
use crate::rabbit::event;
use crate::rabbit_support::{Process, bus_settings, until, until_done, waiting};
use crate::stage::{Happened, Listener, Manner, happen, happen_times};

fn ids(mut ids: Vec<EventId>) -> Vec<EventId> {
    ids.sort();
    ids
}

/// A database, a listener, and a place at the shared broker, reached through a cable.
async fn through_a_cable(
    test: impl AsyncFnOnce(&Database, &Arc<Listener>, &TestBroker, &Cable, rabbit::Settings),
) {
    let Some(broker) = TestBroker::shared().await else { return };
    let (before, rest) = broker.url().rsplit_once('@').unwrap();
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let cable = Cable::to(server).await;
    let url = format!("{before}@{}/{path}", cable.address());
    let settings = rabbit::Settings {
        url: url.into(),
        heartbeat_seconds: 1,
        connect_timeout_ms: 1_000,
        confirm_timeout_ms: 500,
        ..broker.settings()
    };
    run_here(async |db| {
        let listener = Listener::new("first", &db, &Clock::system(), Manner::Takes);
        test(&db, &listener, &broker, &cable, settings).await;
    })
    .await;
    broker.remove(&["first"]).await;
}

async fn run_here(test: impl AsyncFnOnce(Database)) {
    let database = testkit::databases::TestDatabase::create(Engine::Sqlite, &migrations()).await.unwrap();
    test(database.database()).await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_away_events_wait_unclaimed_and_leave_at_once_when_it_is_back() {
    through_a_cable(async |db, listener, _, cable, settings| {
        cable.pull();
        let process = Process::start_with(db, settings, bus_settings(), &[], &[listener]);
        let clock = Clock::system();
        let mut events = happen_times(db, &clock, 300).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let kept = waiting(db).await;
        assert_eq!(kept.len(), 300);
        assert!(kept.iter().all(|one| one.attempts == 0), "nothing is tried that can't succeed");
        let refused = process.bus.publish(&[]).await.unwrap_err();
        assert_eq!(refused.code, "platform.bus_away", "and whoever tries hears it at once");
        cable.mend();
        until("all effects", async || listener.effects().await.len() >= 300).await;

        cable.pull();
        events.extend(happen_times(db, &clock, 100).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        cable.mend();
        until("all effects", async || listener.effects().await.len() >= 400).await;
        until_done(db).await;
        assert_eq!(ids(listener.effects().await), ids(events));
        process.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_again_and_again_loses_and_doubles_nothing() {
    through_a_cable(async |db, listener, broker, cable, settings| {
        let process = Process::start_with(db, settings, bus_settings(), &[], &[listener]);
        let mut events = Vec::new();
        for _ in 0..15 {
            events.extend(happen_times(db, &Clock::system(), 60).await);
            cable.pull();
            cable.mend();
        }
        until("all effects", async || listener.effects().await.len() >= events.len()).await;
        until_done(db).await;
        assert_eq!(ids(listener.effects().await), ids(events));
        assert_eq!(broker.waiting("dead").await, Some(0));
        process.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_says_nothing_any_more_is_left_for_a_new_connection() {
    through_a_cable(async |db, listener, _, cable, settings| {
        let process = Process::start_with(db, settings, bus_settings(), &[], &[listener]);
        let clock = Clock::system();
        let first = happen(db, &clock, 1).await;
        listener.wait_called(1).await;
        cable.stall();
        let second = happen(db, &clock, 2).await;
        let tried = async || waiting(db).await.iter().any(|one| one.attempts > 0 && one.last_error.is_some());
        until("it was tried in vain", tried).await;
        cable.mend();
        listener.wait_called(1).await;
        until_done(db).await;
        assert_eq!(ids(listener.effects().await), ids(vec![first, second]));
        process.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_takes_connections_and_never_answers_does_not_stop_a_stop() {
    run_here(async |db| {
        if std::env::var("DOORWARD_TEST_RABBITMQ_URL").unwrap_or_default().is_empty() {
            return;
        }
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("amqp://u:p@{}", silent.local_addr().unwrap());
        let settings =
            rabbit::Settings { url: url.into(), connect_timeout_ms: 200, ..rabbit::Settings::default() };
        let listener = Listener::new("first", &db, &Clock::system(), Manner::Takes);
        let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
        let before = threads();
        let process = Process::start_with(&db, settings, bus_settings(), &[], &[&listener]);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let during = threads();
        assert!(
            during <= before + 8,
            "connections that were given up keep their threads: {before}, then {during}"
        );
        process.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_somebody_deletes_comes_back_and_nobody_takes_its_events_for_delivered() {
    through_a_cable(async |db, listener, broker, _, settings| {
        let elsewhere = Subscription { name: "elsewhere", hears: &["test.thing.lonely"] };
        let process = Process::start_with(db, settings, bus_settings(), &[elsewhere], &[listener]);
        process.bus.ready().await;
        let caller = contracts::Caller::module("test");
        let mut lonely =
            contracts::Event::of(&Happened { number: 1 }, &caller, Clock::system().now()).unwrap();
        lonely.event_type = "test.thing.lonely".to_owned();
        process.bus.publish(&[lonely.clone()]).await.unwrap();
        assert_eq!(broker.waiting("elsewhere").await, Some(1));
        broker.delete("elsewhere").await;
        let refused = process.bus.publish(&[lonely.clone()]).await.unwrap_err();
        assert_eq!(refused.code, "platform.bus_not_taken");
        until("it is back", async || broker.waiting("elsewhere").await == Some(0)).await;
        until("it is taken", async || process.bus.publish(&[lonely.clone()]).await.is_ok()).await;
        assert_eq!(broker.waiting("elsewhere").await, Some(1));

        // Among many at once: who is told that it was taken finds it there.
        broker.delete("elsewhere").await;
        let mixed: Vec<_> = (0..60)
            .map(|number| if number % 6 == 0 { lonely.clone() } else { event(1_000 + number) })
            .collect();
        let published = mixed.chunks(1).map(|one| process.bus.publish(one));
        let published = futures_util::future::join_all(published).await;
        let is_lonely = |at: usize| at.is_multiple_of(6);
        let taken = published.iter().enumerate().filter(|(at, done)| is_lonely(*at) && done.is_ok()).count();
        assert!(taken < 10, "the first one came to nobody");
        assert!(
            published.iter().enumerate().all(|(at, done)| is_lonely(at) || done.is_ok()),
            "{published:?}"
        );
        until("it is back", async || broker.waiting("elsewhere").await.is_some()).await;
        assert_eq!(broker.waiting("elsewhere").await, Some(u32::try_from(taken).unwrap()));
        until("the others are heard", async || listener.calls() >= 50).await;

        // The same with somebody at the desk, from the outbox.
        broker.delete("first").await;
        let event = happen(db, &Clock::system(), 2).await;
        until_done(db).await;
        until("it is heard", async || listener.effects().await.contains(&event)).await;
        process.stop().await;
        broker.delete("elsewhere").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_was_deleted_and_made_anew_unseen_is_heard_again() {
    through_a_cable(async |db, listener, broker, _, settings| {
        let process = Process::start_with(db, settings.clone(), bus_settings(), &[], &[listener]);
        process.bus.ready().await;
        happen(db, &Clock::system(), 1).await;
        listener.wait_called(1).await;
        broker.delete("first").await;
        // Another process declares it; nobody tells this one.
        let hears = platform::bus::Subscription { name: "first", hears: &["test.thing.happened"] };
        let other = Process::start_with(db, settings, bus_settings(), &[hears], &[]);
        other.bus.ready().await;
        other.stop().await;
        happen(db, &Clock::system(), 2).await;
        listener.wait_called(1).await;
        until_done(db).await;
        assert_eq!(listener.effects().await.len(), 2);
        process.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_was_made_with_another_limit_is_used_as_it_is() {
    through_a_cable(async |db, listener, _, _, settings| {
        for delivery_limit in [20, 30] {
            let settings = rabbit::Settings { delivery_limit, ..settings.clone() };
            let process = Process::start_with(db, settings, bus_settings(), &[], &[listener]);
            happen(db, &Clock::system(), 1).await;
            listener.wait_called(1).await;
            process.stop().await;
        }
        assert_eq!(listener.effects().await.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_connection_is_only_made_to_a_broker_that_shows_the_right_certificate() {
    let Some(broker) = TestBroker::shared().await else { return };
    let (before, rest) = broker.url().rsplit_once('@').unwrap();
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (cable, authority) = Cable::encrypted_to(server, "localhost").await;
    let port = cable.address().port();
    let with = |host: &str, ca_file: &std::path::Path| rabbit::Settings {
        url: format!("{}@{host}:{port}/{path}", before.replace("amqp://", "amqps://")).into(),
        ca_file: ca_file.to_owned(),
        ..broker.settings()
    };
    run_here(async |db| {
        let listener = Listener::new("first", &db, &Clock::system(), Manner::Takes);
        let start = |settings| Process::start_with(&db, settings, bus_settings(), &[], &[&listener]);
        let stranger = std::path::Path::new("");
        for settings in [with("localhost", stranger), with("127.0.0.1", authority.path())] {
            let process = start(settings);
            let ready = tokio::time::timeout(Duration::from_secs(2), process.bus.ready()).await;
            assert!(ready.is_err(), "somebody else was taken for the broker");
            process.stop().await;
        }
        let process = start(with("localhost", authority.path()));
        let event = happen(&db, &Clock::system(), 1).await;
        listener.wait_called(1).await;
        until_done(&db).await;
        assert_eq!(listener.effects().await, [event]);
        process.stop().await;
    })
    .await;
    broker.remove(&["first"]).await;
}

/// With a broker of its own.
fn with_a_broker(test: impl AsyncFnOnce(Database, OwnBroker, rabbit::Settings)) {
    run(Engine::Sqlite, &migrations(), async |database| {
        let Some(broker) = OwnBroker::start().await else { return };
        let url = broker.url().into();
        let settings = rabbit::Settings { url, confirm_timeout_ms: 2_000, ..rabbit::Settings::default() };
        test(database.database(), broker, settings).await;
    });
}

#[test]
fn a_broker_killed_in_the_middle_of_thousands_of_events_costs_none_of_them() {
    with_a_broker(async |db, mut broker, settings| {
        let clock = Clock::system();
        let first = Listener::new("first", &db, &clock, Manner::Takes);
        let second = Listener::new("second", &db, &clock, Manner::Takes);
        let process = Process::start_with(&db, settings, bus_settings(), &[], &[&first, &second]);
        process.bus.ready().await;
        // RabbitMQ 3.10 writes down half a second later that there is a new queue; one that it had not is broken for ever.
        broker.control(&["eval", "[dets:sync(Table) || Table <- dets:all()]."]);
        let mut events = happen_times(&db, &clock, 1_000).await;
        until("some are heard", async || first.calls() > 300).await;
        broker.kill();
        events.extend(happen_times(&db, &clock, 1_000).await);
        broker.begin().await;
        let all = events.len();
        until("all are heard", async || first.calls() >= all && second.calls() >= all).await;
        until("all effects", async || {
            first.effects().await.len() >= all && second.effects().await.len() >= all
        })
        .await;
        until_done(&db).await;
        assert_eq!(ids(first.effects().await), ids(events.clone()));
        assert_eq!(ids(second.effects().await), ids(events));
        process.stop().await;
    });
}

#[test]
fn a_broker_that_is_short_of_memory_gets_its_events_later_and_is_relieved_of_those_it_has() {
    with_a_broker(async |db, broker, settings| {
        let clock = Clock::system();
        let listener = Listener::new("first", &db, &clock, Manner::Takes);
        let process = Process::start_with(&db, settings, bus_settings(), &[], &[&listener]);
        happen(&db, &clock, 1).await;
        listener.wait_called(1).await;
        broker.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
        happen(&db, &clock, 2).await;
        let blocked = async || {
            let event = contracts::Event::of(
                &Happened { number: 3 },
                &contracts::Caller::module("test"),
                clock.now(),
            );
            process
                .bus
                .publish(&[event.unwrap()])
                .await
                .is_err_and(|error| error.code == "platform.bus_blocked")
        };
        until("it is known to be blocked", blocked).await;
        let kept = happen_times(&db, &clock, 50).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let waits = waiting(&db).await;
        assert!(kept.iter().all(|id| waits.iter().any(|one| one.event == *id && one.attempts == 0)));
        broker.control(&["set_vm_memory_high_watermark", "absolute", "512MB"]);
        until("all are heard", async || {
            let effects = listener.effects().await;
            kept.iter().all(|id| effects.contains(id))
        })
        .await;
        until_done(&db).await;
        let effects = listener.effects().await;
        assert!(kept.iter().all(|id| effects.iter().filter(|effect| *effect == id).count() == 1));
        process.stop().await;
    });
}

#[test]
fn a_broker_that_comes_back_is_not_taken_for_blocked_any_more() {
    with_a_broker(async |db, mut broker, settings| {
        assert!(platform::metrics::install());
        let clock = Clock::system();
        let listener = Listener::new("first", &db, &clock, Manner::Takes);
        let process = Process::start_with(&db, settings, bus_settings(), &[], &[&listener]);
        happen(&db, &clock, 1).await;
        listener.wait_called(1).await;
        let told = |line: &str| platform::metrics::render().lines().any(|one| one == line);
        assert!(told("doorward_rabbitmq_blocked 0"), "{}", platform::metrics::render());
        broker.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
        // It says so when something is published.
        happen(&db, &clock, 2).await;
        until("it is known to be blocked", async || told("doorward_rabbitmq_blocked 1")).await;
        broker.kill();
        broker.begin().await;
        until("it takes events again", async || {
            told("doorward_rabbitmq_connected{link=\"publish\"} 1") && told("doorward_rabbitmq_blocked 0")
        })
        .await;
        process.stop().await;
    });
}
