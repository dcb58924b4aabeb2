//! The outbox: the only way to tell the world.
//!
//! An event is written in the transaction of the change it tells of, so there is never one without the other. The
//! relay hands committed events to the bus, whichever it is. Delivering to subscribers is the bus's business.

mod relay;
mod store;

use contracts::{Caller, Event, EventId, Fact, Time, UserId};
use serde::Deserialize;

pub use crate::bus::desks::{Parked, parked, retry};
pub use relay::Relay;
pub use store::Waiting;

use crate::db::{self, DbConn};

/// How the relay works.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How often to look for events without being woken, in milliseconds: finds those of other replicas that died,
    /// and those whose next attempt has come.
    pub poll_interval_ms: u64,
    /// How many events are handed over together.
    pub batch: u32,
    /// How long the bus may take for one hand-over, in milliseconds.
    pub deadline_ms: u64,
    /// How long claimed events stay with a relay that no longer answers, in milliseconds; at least three deadlines.
    pub lease_ms: u64,
    /// The longest wait after a first failure, in milliseconds.
    pub backoff_base_ms: u64,
    /// The longest wait of all, in milliseconds.
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

/// Forgets every event that names a person who is gone: those the bus has taken, and what subscribers have got
/// or given up. What is still on its way stays, so that everybody hears that the person is gone. Tells how many there
/// were. Reads every kept event: for background work.
///
/// # Errors
/// When the database does not answer.
pub async fn forget(tx: &mut DbConn, person: UserId) -> db::Result<usize> {
    let events = store::forget(tx, person).await?;
    Ok(events + crate::bus::desks::forget(tx, person).await?)
}
