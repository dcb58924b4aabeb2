//! The bus inside this process and its database: one stored delivery for each event and interested subscriber.
//!
//! Once the deliveries are stored, the bus is responsible; they survive a crash and any replica may work on them. Each
//! subscriber has its own desk: one that fails, hangs or panics delays no other. Who fails too often is parked, and
//! waits for an operator. Left out: order, and telling other replicas, which find what is theirs by polling.

mod desk;
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{Error, Event, EventId, Time, UserId};
use futures_util::future::join_all;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use self::desk::Desk;
use super::{Bus, Subscriber};
use crate::clock::Clock;
use crate::db::{self, Database, DbConn};
use crate::outbox::Waiting;

/// How the local bus delivers.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How often to look for deliveries without being woken, in milliseconds: finds those of other replicas that
    /// died, and those whose next attempt has come.
    pub poll_interval_ms: u64,
    /// How many events one subscriber may be handling at once.
    pub concurrency: u32,
    /// How long a subscriber may take for one event, in milliseconds.
    pub deadline_ms: u64,
    /// How long claimed deliveries stay with a process that no longer answers, in milliseconds; longer than the
    /// deadline.
    pub lease_ms: u64,
    /// The longest wait after a first failure, in milliseconds.
    pub backoff_base_ms: u64,
    /// The longest wait of all, in milliseconds.
    pub backoff_max_ms: u64,
    /// How many attempts a delivery gets before it is parked.
    pub max_attempts: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            poll_interval_ms: 1_000,
            concurrency: 16,
            deadline_ms: 10_000,
            lease_ms: 30_000,
            backoff_base_ms: 1_000,
            backoff_max_ms: 300_000,
            max_attempts: 12,
        }
    }
}

/// Delivers events to subscribers in this process.
pub struct LocalBus {
    db: Database,
    desks: Vec<Desk>,
    clock: Clock,
}

impl LocalBus {
    /// A bus over this database, for these subscribers.
    #[must_use]
    pub fn new(
        db: Database,
        subscribers: Vec<Arc<dyn Subscriber>>,
        clock: Clock,
        settings: Settings,
    ) -> Self {
        let settings = Arc::new(settings);
        let desk = |subscriber| Desk::new(db.clone(), subscriber, clock.clone(), Arc::clone(&settings));
        Self { desks: subscribers.into_iter().map(desk).collect(), db, clock }
    }

    /// Delivers until it is told to stop, and then ends what it has begun.
    pub async fn run(&self, stop: CancellationToken) {
        join_all(self.desks.iter().map(|desk| desk.run(&stop))).await;
    }

    /// Delivers what is due now, one batch for each subscriber; tells how many deliveries were attempted.
    ///
    /// # Errors
    /// When the database does not answer. A subscriber's failure is no error here: it is tried again later.
    pub async fn run_once(&self) -> db::Result<usize> {
        let attempted = join_all(self.desks.iter().map(Desk::run_once)).await;
        attempted.into_iter().sum()
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, events: &[Event]) -> Result<(), Error> {
        let now = self.clock.now();
        let mut deliveries = Vec::new();
        for event in events {
            let interested = self.desks.iter().filter(|desk| desk.hears(&event.event_type));
            deliveries.extend(interested.map(|desk| store::Delivery::new(event, desk.name(), now)));
        }
        if deliveries.is_empty() {
            return Ok(());
        }
        self.db.transaction(async |tx| store::insert(tx, &deliveries).await).await?;
        for desk in &self.desks {
            if events.iter().any(|event| desk.hears(&event.event_type)) {
                desk.wake();
            }
        }
        Ok(())
    }
}

/// A delivery that was given up, until an operator says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The event.
    pub event: EventId,
    /// Its type.
    pub event_type: String,
    /// Who could not take it.
    pub subscriber: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When the bus took the event.
    pub created_at: Time,
    /// What the subscriber said last.
    pub last_error: Option<String>,
}

/// The parked deliveries, oldest first, at most a thousand.
///
/// # Errors
/// When the database does not answer.
pub async fn parked(c: &mut DbConn) -> db::Result<Vec<Parked>> {
    store::parked(c, 1_000).await
}

/// Gives the parked deliveries of these events all their attempts again, starting now; tells how many there were.
///
/// # Errors
/// When the database does not answer.
pub async fn retry(tx: &mut DbConn, now: Time, events: &[EventId]) -> db::Result<usize> {
    store::unpark(tx, now, events.to_vec()).await
}

/// Deliveries that are still to be made, oldest first.
pub(crate) async fn waiting(c: &mut DbConn, limit: u32) -> db::Result<Vec<Waiting>> {
    store::waiting(c, i64::from(limit)).await
}

/// Ends every claim.
pub(crate) async fn release(tx: &mut DbConn) -> db::Result<usize> {
    store::release(tx).await
}

/// Forgets deliveries that were made, of events that the bus took before this instant.
pub(crate) async fn sweep(tx: &mut DbConn, before: Time) -> db::Result<usize> {
    let done = store::done_before(tx, before, crate::SWEEP_BATCH).await?;
    store::delete(tx, done).await
}

/// Forgets deliveries that were made or given up, of events that name this person.
pub(crate) async fn forget(tx: &mut DbConn, person: UserId) -> db::Result<usize> {
    store::forget(tx, person).await
}
