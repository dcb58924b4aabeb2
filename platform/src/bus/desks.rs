//! The desks: where the subscribers of this process get their events, whichever way those came.
//!
//! A desk keeps one stored delivery for each event and subscriber. Once it is stored, this database is responsible; it
//! survives a crash, and any replica may work on it. Each subscriber has its own desk: one that fails, hangs or panics
//! delays no other. Who fails too often is parked, and waits for an operator. Left out: order, and telling other
//! replicas, which find what is theirs by polling.

mod desk;
mod store;

use std::sync::Arc;

use contracts::{Event, EventId, Time};
use futures_util::future::join_all;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use self::desk::Desk;
pub(crate) use self::store::DeliveryId;
use super::{Subscriber, Subscription};
use crate::clock::Clock;
use crate::db::{self, Database, DbConn};
use crate::forgotten::{Copy, Shelf};
use crate::outbox::Waiting;

/// How subscribers get what there is for them.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How often to look for deliveries without being woken, in milliseconds, 10 to 600000: finds those of other
    /// replicas that died, and those whose next attempt has come.
    pub poll_interval_ms: u64,
    /// How many events one subscriber may be handling at once, 1 to 1000.
    pub concurrency: u32,
    /// How long a subscriber may take for one event, in milliseconds, 100 to 600000.
    pub deadline_ms: u64,
    /// How long claimed deliveries stay with a process that no longer answers, in milliseconds; longer than the
    /// deadline, and at most a day.
    pub lease_ms: u64,
    /// The longest wait after a first failure, in milliseconds, 1 to 3600000.
    pub backoff_base_ms: u64,
    /// The longest wait of all, in milliseconds; not less than the base, and at most a day.
    pub backoff_max_ms: u64,
    /// How many attempts a delivery gets before it is parked, 1 to 10000.
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

impl Settings {
    /// Everything that is wrong, a sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let ranges = [
            ("poll_interval_ms", self.poll_interval_ms, 10..=600_000),
            ("concurrency", u64::from(self.concurrency), 1..=1_000),
            ("deadline_ms", self.deadline_ms, 100..=600_000),
            ("backoff_base_ms", self.backoff_base_ms, 1..=3_600_000),
            ("max_attempts", u64::from(self.max_attempts), 1..=10_000),
        ];
        let mut problems: Vec<String> = ranges
            .into_iter()
            .filter(|(_, value, range)| !range.contains(value))
            .map(|(name, _, range)| format!("bus.{name} must be from {} to {}.", range.start(), range.end()))
            .collect();
        if self.lease_ms <= self.deadline_ms || self.lease_ms > LONGEST_MS {
            problems
                .push(format!("bus.lease_ms must be more than bus.deadline_ms, and at most {LONGEST_MS}."));
        }
        if !(self.backoff_base_ms..=LONGEST_MS).contains(&self.backoff_max_ms) {
            problems.push(format!(
                "bus.backoff_max_ms must not be less than bus.backoff_base_ms, and at most {LONGEST_MS}."
            ));
        }
        problems
    }
}

/// A day, in milliseconds.
const LONGEST_MS: u64 = 86_400_000;

/// Delivers events to the subscribers of this process.
pub struct Desks {
    db: Database,
    desks: Vec<Desk>,
    clock: Clock,
}

impl Desks {
    /// Desks over this database, for these subscribers.
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

    /// Who has a desk here.
    pub(crate) fn subscriptions(&self) -> impl Iterator<Item = Subscription> {
        self.desks.iter().map(Desk::subscription)
    }

    /// Stores what each subscriber is to get, in one transaction, and wakes them: when this returns `Ok`, nothing of it
    /// can be lost any more. What is stored already, and what a subscriber doesn't hear, is passed over; so is a
    /// subscriber without a desk.
    ///
    /// # Errors
    /// When the database does not answer; nothing was stored then.
    pub(crate) async fn accept(&self, events: &[Event], whose: Whose<'_>) -> db::Result<()> {
        let now = self.clock.now();
        let desks: Vec<_> = self.desks.iter().filter(|desk| whose.is(desk.name())).collect();
        let mut deliveries = Vec::new();
        for event in events {
            let interested = desks.iter().filter(|desk| desk.hears(&event.event_type));
            deliveries.extend(interested.map(|desk| store::Delivery::new(event, desk.name(), now)));
        }
        if deliveries.is_empty() {
            return Ok(());
        }
        self.db.transaction(async |tx| store::insert(tx, &deliveries).await).await?;
        for desk in desks {
            if events.iter().any(|event| desk.hears(&event.event_type)) {
                desk.wake();
            }
        }
        Ok(())
    }
}

/// For whom events are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose<'a> {
    /// For everybody who hears them.
    Everybodys,
    /// For one subscriber.
    Ones(&'a str),
}

impl Whose<'_> {
    fn is(self, name: &str) -> bool {
        match self {
            Self::Everybodys => true,
            Self::Ones(one) => one == name,
        }
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

/// Where copies of what subscribers get stay for a while.
pub(crate) struct Deliveries;

impl Shelf for Deliveries {
    type Id = DeliveryId;

    async fn after(
        c: &mut DbConn,
        after: Option<&DeliveryId>,
        limit: i64,
    ) -> db::Result<Vec<Copy<DeliveryId>>> {
        store::copies(c, after.copied(), limit).await
    }

    async fn remove(c: &mut DbConn, ids: Vec<DeliveryId>) -> db::Result<()> {
        store::delete_over(c, ids).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_fit_for_use_and_what_would_deliver_nothing_is_told() {
        assert_eq!(Settings::default().problems(), Vec::<String>::new());
        let wrong = Settings {
            poll_interval_ms: 0,
            concurrency: 0,
            deadline_ms: 0,
            backoff_base_ms: 0,
            max_attempts: 0,
            lease_ms: 0,
            backoff_max_ms: u64::MAX,
        };
        assert_eq!(wrong.problems().len(), 7);
        let told = Settings { lease_ms: 10_000, ..Settings::default() }.problems().join("\n");
        assert!(told.contains("bus.lease_ms must be more than bus.deadline_ms"), "{told}");
    }
}
