//! The outbox and its relay: nothing is lost, nothing is told that did not happen, and crashes only repeat.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contracts::{Actor, Caller, Error, Event, EventId, SessionId, UserId};
use futures_util::future::{join, join_all, pending};
use platform::audit::{self, Entry, Filter, Outcome};
use platform::bus::{self, Bus, LocalBus};
use platform::clock::Clock;
use platform::db::{self, Database, Db};
use platform::outbox::{self, Relay, Settings};
use testkit::both_engines;
use testkit::databases::TestDatabase;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::rabbit_support::until;
use crate::stage::{
    A_WHILE, Happened, Listener, Manner, NotingBus, Unheard, clock, happen, happen_times, local_bus,
};

pub fn relay(db: &Database, bus: Arc<dyn Bus>, clock: &Clock) -> Relay {
    Relay::new(db.clone(), bus, clock.clone(), Settings::default())
}

/// Hands over to a local bus and then stands still, as a process that dies before it can note the success.
struct DyingBus {
    inner: Option<LocalBus>,
    handed_over: Notify,
}

#[async_trait]
impl Bus for DyingBus {
    async fn publish(&self, events: &[Event]) -> Result<(), Error> {
        if let Some(bus) = &self.inner {
            bus.publish(events).await?;
        }
        self.handed_over.notify_one();
        pending().await
    }
}

/// Runs a relay until its bus has been handed something, and then drops it.
async fn die_after_hand_over(db: &Database, clock: &Clock, inner: Option<LocalBus>) {
    let bus = Arc::new(DyingBus { inner, handed_over: Notify::new() });
    let dying = relay(db, Arc::<DyingBus>::clone(&bus), clock);
    tokio::select! {
        _ = dying.run_once() => panic!("the bus never answers"),
        () = bus.handed_over.notified() => {}
    }
}

both_engines! {
    async fn a_transaction_that_rolls_back_leaves_no_event_and_no_audit_entry(db: Database) {
        let (clock, bus) = (clock(), Arc::new(NotingBus::default()));
        let (now, caller) = (clock.now(), Caller::module("test"));
        let refused = db.transaction(async |tx| {
            outbox::publish(tx, now, &caller, &Happened { number: 1 }).await?;
            let entry = Entry {
                action: "test.done",
                outcome: Outcome::Succeeded,
                subject_type: "thing",
                subject_id: "1".to_owned(),
                before: None,
                after: None,
            };
            audit::record(tx, now, &caller, entry).await?;
            Err::<(), _>(db::Error::NotFound)
        });
        refused.await.unwrap_err();
        clock.advance(A_WHILE);
        assert_eq!(relay(&db, bus.clone(), &clock).run_once().await.unwrap(), 0);
        let entries = audit::list(&mut db.read().await.unwrap(), &Filter::default(), None, 10).await.unwrap();
        assert_eq!((bus.taken(), entries), (vec![], vec![]));
    }

    async fn the_envelope_tells_what_happened_who_did_it_and_in_which_request(db: Database) {
        let (clock, bus) = (clock(), Arc::new(NotingBus::default()));
        let actor = Actor::User { id: UserId::new(), session: SessionId::new() };
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
        let caller = Caller { actor, traceparent: Some(traceparent), ..Caller::module("test") };
        let now = clock.now();
        let id = db.transaction(async |tx| outbox::publish(tx, now, &caller, &Happened { number: 7 }).await);
        let id: EventId = id.await.unwrap();
        assert_eq!(relay(&db, bus.clone(), &clock).run_once().await.unwrap(), 1);
        let taken = bus.envelopes();
        let [event] = taken.as_slice() else { panic!("{taken:?}") };
        assert_eq!((event.id, event.time, &event.requestid), (id, now, &caller.request_id));
        assert_eq!((&event.traceparent, &event.actor), (&caller.traceparent, &caller.actor.to_string()));
        assert_eq!(event.read::<Happened>().unwrap(), Happened { number: 7 });
    }

    async fn an_event_that_nobody_hears_is_simply_done(db: Database) {
        let clock = clock();
        let (now, caller) = (clock.now(), Caller::module("test"));
        db.transaction(async |tx| outbox::publish(tx, now, &caller, &Unheard {}).await).await.unwrap();
        let listener = Listener::new("first", &db, &clock, Manner::Takes);
        let bus = Arc::new(local_bus(&db, &clock, &[&listener], bus::Settings::default()));
        let relay = relay(&db, bus.clone(), &clock);
        assert_eq!(relay.run_once().await.unwrap(), 1);
        clock.advance(A_WHILE);
        assert_eq!((relay.run_once().await.unwrap(), bus.run_once().await.unwrap()), (0, 0));
        assert_eq!(listener.calls(), 0);
    }

    // On SQLite a second writer waits for the first, so there the poll alone happens while it is open.
    async fn a_transaction_held_open_across_the_poll_is_not_skipped(db: Database) {
        let (clock, bus) = (clock(), Arc::new(NotingBus::default()));
        let relay = relay(&db, bus.clone(), &clock);
        let (now, caller) = (clock.now(), Caller::module("test"));
        let (written, commit) = (Notify::new(), Notify::new());
        let slow = db.transaction(async |tx| {
            let event = outbox::publish(tx, now, &caller, &Happened { number: 1 }).await?;
            written.notify_one();
            commit.notified().await;
            Ok::<_, db::Error>(event)
        });
        let meanwhile = async {
            written.notified().await;
            let mut before = vec![];
            if db.dialect() == Db::Postgres {
                before.push(happen(&db, &clock, 2).await);
            }
            assert_eq!(relay.run_once().await.unwrap(), before.len());
            assert_eq!(bus.taken(), before);
            commit.notify_one();
            before
        };
        let (slow, mut all) = join(slow, meanwhile).await;
        let slow = slow.unwrap();
        assert!(all.iter().all(|other| slow < *other), "the slower one has the lower id");
        all.push(slow);
        assert_eq!(relay.run_once().await.unwrap(), 1);
        assert_eq!(bus.taken(), all);
    }

    async fn an_event_with_a_lower_id_than_those_already_taken_is_handed_over(db: Database) {
        let (clock, bus) = (clock(), Arc::new(NotingBus::default()));
        let relay = relay(&db, bus.clone(), &clock);
        let events = happen_times(&db, &clock, 3).await;
        bus.refuse(&events[..1]);
        assert_eq!(relay.run_once().await.unwrap(), 3);
        assert_eq!(bus.taken(), events[1..], "the refused one delays no other");
        bus.refuse(&[]);
        clock.advance(A_WHILE);
        assert_eq!(relay.run_once().await.unwrap(), 1);
        assert_eq!(bus.taken(), [events[1], events[2], events[0]]);
        clock.advance(A_WHILE);
        assert_eq!(relay.run_once().await.unwrap(), 0);
    }

    async fn a_bus_that_refuses_is_not_asked_again_at_once(db: Database) {
        let (clock, bus) = (clock(), Arc::new(NotingBus::default()));
        let settings = Settings { backoff_base_ms: 3_600_000, backoff_max_ms: 3_600_000, ..Settings::default() };
        let relay = Relay::new(db.clone(), bus.clone(), clock.clone(), settings);
        let event = happen(&db, &clock, 1).await;
        bus.refuse(&[event]);
        assert_eq!(relay.run_once().await.unwrap(), 1);
        bus.refuse(&[]);
        // The delay is random below an hour; a millisecond is below it but for one in millions.
        clock.advance(Duration::from_millis(1));
        assert_eq!(relay.run_once().await.unwrap(), 0);
        clock.advance(A_WHILE);
        assert_eq!(relay.run_once().await.unwrap(), 1);
        assert_eq!(bus.taken(), [event]);
    }

    async fn a_crash_between_hand_over_and_note_repeats_the_event_and_not_its_effect(db: Database) {
        let clock = clock();
        let listener = Listener::new("first", &db, &clock, Manner::TakesAndHangs);
        let event = happen(&db, &clock, 1).await;
        let bus = || local_bus(&db, &clock, &[&listener], bus::Settings::default());
        die_after_hand_over(&db, &clock, Some(bus())).await;
        // The bus dies as well, after the effect and before it can note the success.
        let dying = bus();
        tokio::select! {
            _ = dying.run_once() => panic!("the listener never ends"),
            () = listener.wait_called(1) => {}
        }
        assert_eq!(listener.effects().await, [event]);
        listener.behave(Manner::Takes);
        clock.advance(A_WHILE);
        let bus = Arc::new(bus());
        assert_eq!(relay(&db, bus.clone(), &clock).run_once().await.unwrap(), 1, "handed over again");
        assert_eq!(bus.run_once().await.unwrap(), 1, "delivered again");
        assert_eq!((listener.calls(), listener.effects().await), (2, vec![event]));
        clock.advance(A_WHILE);
        assert_eq!(bus.run_once().await.unwrap(), 0);
    }

    async fn a_dead_relays_events_are_taken_over_when_its_lease_ends(db: Database) {
        let (clock, bus) = (clock(), Arc::new(NotingBus::default()));
        let events = happen_times(&db, &clock, 5).await;
        die_after_hand_over(&db, &clock, None).await;
        let relay = relay(&db, bus.clone(), &clock);
        let lease = Duration::from_millis(Settings::default().lease_ms);
        clock.advance(lease - Duration::from_micros(1));
        assert_eq!(relay.run_once().await.unwrap(), 0, "still leased");
        clock.advance(Duration::from_micros(1));
        assert_eq!(relay.run_once().await.unwrap(), 5);
        assert_eq!(bus.taken(), events);
    }

    async fn two_relays_at_once_have_every_effect_once(db: Database) {
        let clock = clock();
        let listener = Listener::new("first", &db, &clock, Manner::Takes);
        let mut events = happen_times(&db, &clock, 60).await;
        let settings = Settings { batch: 7, ..Settings::default() };
        let replica = async || {
            let bus = Arc::new(local_bus(&db, &clock, &[&listener], bus::Settings::default()));
            let relay = Relay::new(db.clone(), bus.clone(), clock.clone(), settings.clone());
            let mut claimed = 0;
            loop {
                let handed_over = relay.run_once().await.unwrap();
                claimed += handed_over;
                if handed_over + bus.run_once().await.unwrap() == 0 {
                    return claimed;
                }
            }
        };
        let (first, second) = join(replica(), replica()).await;
        assert_eq!(first + second, 60, "each was claimed once");
        let mut effects = listener.effects().await;
        effects.sort();
        events.sort();
        assert_eq!(effects, events);
    }

    async fn a_commit_wakes_relay_and_subscriber_without_a_poll(db: Database) {
        let clock = Clock::system();
        let listener = Listener::new("first", &db, &clock, Manner::Takes);
        let never = 24 * 3_600_000;
        let bus = bus::Settings { poll_interval_ms: never, ..bus::Settings::default() };
        let bus = Arc::new(local_bus(&db, &clock, &[&listener], bus));
        let settings = Settings { poll_interval_ms: never, ..Settings::default() };
        let relay = Relay::new(db.clone(), bus.clone(), clock.clone(), settings);
        let stop = CancellationToken::new();
        let world = async {
            // One after the other, so that both are idle in between.
            for number in 0..5 {
                happen(&db, &clock, number).await;
                listener.wait_called(1).await;
            }
            stop.cancel();
        };
        let all = join_all([
            Box::pin(relay.run(stop.clone())) as std::pin::Pin<Box<dyn Future<Output = ()>>>,
            Box::pin(bus.run(stop.clone())),
            Box::pin(world),
        ]);
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("woken, and stopped when told");
        assert_eq!(listener.effects().await.len(), 5);
    }

    async fn what_another_process_publishes_wakes_the_relay_where_the_database_can_tell(database: TestDatabase) {
        let (db, clock) = (database.database(), Clock::system());
        if db.dialect() == Db::Sqlite {
            return;
        }
        let command = Database::open(database.settings()).await.unwrap();
        let bus = Arc::new(NotingBus::default());
        let never = Settings { poll_interval_ms: 24 * 3_600_000, ..Settings::default() };
        let relay = Relay::new(db.clone(), bus.clone(), clock.clone(), never);
        let stop = CancellationToken::new();
        let world = async {
            let first = happen(&command, &clock, 1).await;
            until("the first is found", async || bus.taken() == [first]).await;
            // Cut off, it listens again, and finds what it missed.
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND query = 'LISTEN doorward_outbox'";
            command.write().await.unwrap().batch(cut).await.unwrap();
            let second = happen(&command, &clock, 2).await;
            until("the second is found", async || bus.taken() == [first, second]).await;
            stop.cancel();
        };
        let all = async { tokio::join!(relay.run(stop.clone()), db.hear_others(stop.clone()), world) };
        tokio::time::timeout(Duration::from_secs(30), all).await.expect("woken, and stopped when told");
        command.close();
    }

    async fn a_sweep_forgets_what_is_done_and_keeps_what_is_not(db: Database) {
        let clock = clock();
        let (done, waiting) = (clock.now(), Duration::from_secs(60));
        let listener = Listener::new("first", &db, &clock, Manner::Takes);
        let bus = Arc::new(local_bus(&db, &clock, &[&listener], bus::Settings::default()));
        let relay = relay(&db, bus.clone(), &clock);
        happen(&db, &clock, 1).await;
        relay.run_once().await.unwrap();
        bus.run_once().await.unwrap();
        let pending = happen(&db, &clock, 2).await;
        let sweep = async |before| db.transaction(async |tx| outbox::sweep(tx, before).await).await.unwrap();
        assert_eq!(sweep(done).await, 0, "too young");
        assert_eq!(sweep(done.plus(waiting)).await, 2, "the event and its delivery");
        assert_eq!(sweep(done.plus(waiting)).await, 0);
        relay.run_once().await.unwrap();
        bus.run_once().await.unwrap();
        assert_eq!(listener.effects().await.first(), Some(&pending), "the pending one was kept");
    }
}

/// A bus that holds each hand-over until it is let go.
struct SlowBus {
    begun: Semaphore,
    go: Semaphore,
}

#[async_trait]
impl Bus for SlowBus {
    async fn publish(&self, _events: &[Event]) -> Result<(), Error> {
        self.begun.add_permits(1);
        self.go.acquire().await.unwrap().forget();
        Err(Error::unavailable("test.late", "Too late."))
    }
}

both_engines! {
    async fn a_relay_that_fails_after_its_lease_undoes_no_success(db: Database) {
        let clock = clock();
        let slow = Arc::new(SlowBus { begun: Semaphore::new(0), go: Semaphore::new(0) });
        let settings = Settings { deadline_ms: 3_600_000, ..Settings::default() };
        let first = Relay::new(db.clone(), slow.clone(), clock.clone(), settings);
        let event = happen(&db, &clock, 1).await;
        let bus = Arc::new(NotingBus::default());
        let second = relay(&db, bus.clone(), &clock);
        let meanwhile = async {
            slow.begun.acquire().await.unwrap().forget();
            clock.advance(A_WHILE);
            assert_eq!(second.run_once().await.unwrap(), 1);
            slow.go.add_permits(1);
        };
        let (late, ()) = join(first.run_once(), meanwhile).await;
        assert_eq!(late.unwrap(), 1);
        clock.advance(A_WHILE);
        assert_eq!(second.run_once().await.unwrap(), 0);
        assert_eq!(bus.taken(), [event]);
    }
}
