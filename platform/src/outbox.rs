//! The outbox: the only way to tell the world.
//!
//! An event is written in the transaction of the change it tells of, so there is never one without the other. The
//! relay hands committed events to the bus, whichever it is. Delivering to subscribers is the bus's business.

mod relay;
mod store;

use contracts::{Caller, Event, EventId, Fact, Time};
use serde::Deserialize;

pub use crate::bus::desks::{Parked, parked, retry};
pub use relay::Relay;
pub use store::Waiting;

use crate::db::{self, DbConn};
use crate::forgotten::{Copy, Shelf};

/// How the relay works.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How often to look for events without being woken, in milliseconds, 10 to 600000: finds those of other replicas
    /// that died, and those whose next attempt has come.
    pub poll_interval_ms: u64,
    /// How many events are handed over together, 1 to 10000.
    pub batch: u32,
    /// How long the bus may take for one hand-over, in milliseconds, 100 to 600000.
    pub deadline_ms: u64,
    /// How long claimed events stay with a relay that no longer answers, in milliseconds; at least three deadlines, and
    /// at most a day.
    pub lease_ms: u64,
    /// The longest wait after a first failure, in milliseconds, 1 to 3600000.
    pub backoff_base_ms: u64,
    /// The longest wait of all, in milliseconds; not less than the base, and at most a day.
    pub backoff_max_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            poll_interval_ms: 1_000,
            batch: 100,
            deadline_ms: 10_000,
            lease_ms: 30_000,
            backoff_base_ms: 1_000,
            backoff_max_ms: 60_000,
        }
    }
}

impl Settings {
    /// Everything that is wrong, a sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        // Everything is handed over together, and once more each alone; the third part is for writing down how it went.
        let least = self.deadline_ms.saturating_mul(3);
        let ranges = [
            ("poll_interval_ms", self.poll_interval_ms, 10..=600_000),
            ("batch", u64::from(self.batch), 1..=10_000),
            ("deadline_ms", self.deadline_ms, 100..=600_000),
            ("backoff_base_ms", self.backoff_base_ms, 1..=3_600_000),
        ];
        let mut problems: Vec<String> = ranges
            .into_iter()
            .filter(|(_, value, range)| !range.contains(value))
            .map(|(name, _, range)| {
                format!("outbox.{name} must be from {} to {}.", range.start(), range.end())
            })
            .collect();
        if !(least..=LONGEST_MS).contains(&self.lease_ms) {
            problems.push(format!(
                "outbox.lease_ms must be at least three times outbox.deadline_ms, and at most {LONGEST_MS}."
            ));
        }
        if !(self.backoff_base_ms..=LONGEST_MS).contains(&self.backoff_max_ms) {
            problems.push(format!(
                "outbox.backoff_max_ms must not be less than outbox.backoff_base_ms, and at most {LONGEST_MS}."
            ));
        }
        problems
    }
}

/// A day, in milliseconds.
const LONGEST_MS: u64 = 86_400_000;

/// Emits a fact in the caller's transaction.
///
/// # Errors
/// When the database does not answer, or the fact can't be written as JSON.
pub async fn publish<F: Fact>(tx: &mut DbConn, now: Time, caller: &Caller, fact: &F) -> db::Result<EventId> {
    let event = Event::of(fact, caller, now);
    store::insert(tx, event, now).await
}

/// Forgets what the bus has taken, and what subscribers have got, of events that were emitted before this
/// instant; at most [`SWEEP_BATCH`](crate::SWEEP_BATCH) of each a call; call again until it returns 0. What is pending
/// or parked stays.
///
/// # Errors
/// When the database does not answer.
pub async fn sweep(tx: &mut DbConn, before: Time) -> db::Result<usize> {
    let done = store::done_before(tx, before, crate::SWEEP_BATCH).await?;
    Ok(store::delete(tx, done).await? + crate::bus::desks::sweep(tx, before).await?)
}

/// What is still on its way, oldest first, at most `limit` of each: events that no bus has taken yet, then deliveries
/// to the subscribers of this database.
///
/// # Errors
/// When the database does not answer.
pub async fn waiting(c: &mut DbConn, limit: u32) -> db::Result<Vec<Waiting>> {
    let mut waiting = store::waiting(c, i64::from(limit)).await?;
    waiting.extend(crate::bus::desks::waiting(c, limit).await?);
    Ok(waiting)
}

/// Ends every claim on events and deliveries, so that they are worked on at once and not after a lease: for the only
/// process on a database, before it starts to work; tells how many there were.
///
/// # Errors
/// When the database does not answer.
pub async fn release(tx: &mut DbConn) -> db::Result<usize> {
    Ok(store::release(tx).await? + crate::bus::desks::release(tx).await?)
}

/// Where copies of events stay for a while.
pub(crate) struct Events;

impl Shelf for Events {
    type Id = EventId;

    async fn after(c: &mut DbConn, after: Option<&EventId>, limit: i64) -> db::Result<Vec<Copy<EventId>>> {
        store::copies(c, after.copied(), limit).await
    }

    async fn remove(c: &mut DbConn, ids: Vec<EventId>) -> db::Result<()> {
        store::delete_done(c, ids).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_fit_for_use_and_what_would_hand_nothing_over_is_told() {
        assert_eq!(Settings::default().problems(), Vec::<String>::new());
        let wrong = Settings {
            poll_interval_ms: 0,
            batch: 0,
            deadline_ms: 0,
            backoff_base_ms: 0,
            lease_ms: u64::MAX,
            backoff_max_ms: u64::MAX,
        };
        assert_eq!(wrong.problems().len(), 6);
        let short = Settings { lease_ms: 29_999, backoff_max_ms: 999, ..Settings::default() };
        let told = short.problems().join("\n");
        assert!(told.contains("outbox.lease_ms") && told.contains("outbox.backoff_max_ms"), "{told}");
    }
}
