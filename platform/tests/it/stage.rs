//! What the tests of outbox, bus and inbox share: a fact, a bus that does as it is told, and listeners whose effect can
//! be counted. An effect is an audit entry, committed together with the inbox.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use contracts::{Caller, Error, Event, EventId, Fact, Time};
use platform::audit::{self, Entry, Filter, Outcome};
use platform::bus::{self, Bus, LocalBus, Subscriber};
use platform::clock::Clock;
use platform::db::{self, Database};
use platform::{inbox, outbox};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

/// The fact these tests tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Happened {
    pub number: u32,
}

impl Fact for Happened {
    const TYPE: &'static str = "test.thing.happened";

    fn subject(&self) -> String {
        self.number.to_string()
    }
}

/// A fact that nobody hears.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unheard {}

impl Fact for Unheard {
    const TYPE: &'static str = "test.thing.unheard";

    fn subject(&self) -> String {
        "none".to_owned()
    }
}

pub fn clock() -> Clock {
    Clock::manual(Time::from_seconds(1_800_000_000))
}

/// Emits the fact in a transaction of its own.
pub async fn happen(db: &Database, clock: &Clock, number: u32) -> EventId {
    let (now, caller) = (clock.now(), Caller::module("test"));
    let emitted = db.transaction(async |tx| outbox::publish(tx, now, &caller, &Happened { number }).await);
    emitted.await.unwrap()
}

pub async fn happen_times(db: &Database, clock: &Clock, times: u32) -> Vec<EventId> {
    let mut events = Vec::new();
    for number in 0..times {
        events.push(happen(db, clock, number).await);
    }
    events
}

/// Longer than any lease and any backoff of the default settings.
pub const A_WHILE: Duration = Duration::from_secs(3_600);

/// A bus that notes what it took, and refuses what it was told to.
#[derive(Default)]
pub struct NotingBus {
    taken: Mutex<Vec<Event>>,
    refused: Mutex<BTreeSet<EventId>>,
}

impl NotingBus {
    pub fn taken(&self) -> Vec<EventId> {
        self.taken.lock().unwrap().iter().map(|event| event.id).collect()
    }

    pub fn envelopes(&self) -> Vec<Event> {
        self.taken.lock().unwrap().clone()
    }

    pub fn refuse(&self, events: &[EventId]) {
        *self.refused.lock().unwrap() = events.iter().copied().collect();
    }
}

#[async_trait]
impl Bus for NotingBus {
    async fn publish(&self, events: &[Event]) -> Result<(), Error> {
        let refused = self.refused.lock().unwrap().clone();
        if events.iter().any(|event| refused.contains(&event.id)) {
            return Err(Error::unavailable("test.refused", "This bus does not take it."));
        }
        self.taken.lock().unwrap().extend_from_slice(events);
        Ok(())
    }
}

/// What a listener does with an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Manner {
    /// Takes it.
    Takes,
    /// Fails before any effect.
    Fails,
    /// Panics before any effect.
    Panics,
    /// Never ends, before any effect.
    Hangs,
    /// Has its effect, and never ends.
    TakesAndHangs,
    /// Waits until `go` is given a permit, then fails.
    FailsLate,
}

/// A subscriber whose calls and effects can be counted.
pub struct Listener {
    name: &'static str,
    db: Database,
    clock: Clock,
    manner: Mutex<Manner>,
    calls: AtomicUsize,
    /// Gets a permit for each call that has begun (and, when it has an effect, has had it).
    pub called: Semaphore,
    /// Permits let `FailsLate` go on.
    pub go: Semaphore,
}

impl Listener {
    pub fn new(name: &'static str, db: &Database, clock: &Clock, manner: Manner) -> Arc<Self> {
        Arc::new(Self {
            name,
            db: db.clone(),
            clock: clock.clone(),
            manner: Mutex::new(manner),
            calls: AtomicUsize::new(0),
            called: Semaphore::new(0),
            go: Semaphore::new(0),
        })
    }

    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Waits for so many calls, and forgets them.
    pub async fn wait_called(&self, times: u32) {
        self.called.acquire_many(times).await.unwrap().forget();
    }

    /// The events that had their effect through a listener of this name, once for each effect.
    pub async fn effects(&self) -> Vec<EventId> {
        let mut c = self.db.read().await.unwrap();
        let filter = Filter { actor_id: Some(self.name.to_owned()), ..Filter::default() };
        let entries = audit::list(&mut c, &filter, None, 1_000_000).await.unwrap();
        entries.into_iter().map(|entry| entry.subject_id.parse().unwrap()).collect()
    }

    async fn take(&self, event: &Event) -> Result<(), Error> {
        let now = self.clock.now();
        let caller = event.caller(self.name);
        let taken = self.db.transaction(async |tx| {
            if inbox::once(tx, self.name, event.id, now).await? {
                let entry = Entry {
                    action: "test.heard",
                    outcome: Outcome::Succeeded,
                    subject_type: "event",
                    subject_id: event.id.to_string(),
                    before: None,
                    after: None,
                };
                audit::record(tx, now, &caller, entry).await?;
            }
            Ok::<_, db::Error>(())
        });
        Ok(taken.await?)
    }
}

#[async_trait]
impl Subscriber for Listener {
    fn name(&self) -> &'static str {
        self.name
    }

    fn hears(&self) -> &'static [&'static str] {
        &[Happened::TYPE]
    }

    async fn hear(&self, event: &Event) -> Result<(), Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let manner = *self.manner.lock().unwrap();
        if matches!(manner, Manner::Takes | Manner::TakesAndHangs) {
            self.take(event).await?;
        }
        self.called.add_permits(1);
        match manner {
            Manner::Takes => Ok(()),
            Manner::Fails => Err(Error::unavailable("test.failed", "It does not work.")),
            Manner::Panics => panic!("a listener panics"),
            Manner::Hangs | Manner::TakesAndHangs => std::future::pending().await,
            Manner::FailsLate => {
                self.go.acquire().await.unwrap().forget();
                Err(Error::unavailable("test.failed_late", "It does not work."))
            }
        }
    }
}

/// A bus with these listeners.
pub fn local_bus(
    db: &Database,
    clock: &Clock,
    listeners: &[&Arc<Listener>],
    settings: bus::Settings,
) -> LocalBus {
    let subscribers = listeners.iter().map(|listener| Arc::clone(listener) as Arc<dyn Subscriber>).collect();
    LocalBus::new(db.clone(), subscribers, clock.clone(), settings)
}
