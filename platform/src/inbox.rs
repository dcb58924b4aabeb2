//! The inbox: makes an event that may come several times take effect once.
//!
//! It remembers (event, subscriber) in the transaction of the effect, so both are there or neither. It knows nothing
//! about how the event came.

mod store;

use contracts::{EventId, Time};

use crate::db::{self, DbConn};

/// Notes that the subscriber takes this event; true when it is the first time. On false, do nothing and succeed.
///
/// # Errors
/// When the database does not answer.
pub async fn once(tx: &mut DbConn, subscriber: &str, event: EventId, now: Time) -> db::Result<bool> {
    store::insert(tx, subscriber, event, now).await
}

/// Forgets events that were taken before this instant, about a thousand a call; call again until it returns 0. An
/// event that comes again after it was forgotten takes effect again: keep them longer than any delivery is retried.
///
/// # Errors
/// When the database does not answer.
pub async fn sweep(tx: &mut DbConn, before: Time) -> db::Result<usize> {
    let events = store::oldest(tx, before, crate::SWEEP_BATCH).await?;
    store::delete(tx, &events, before).await
}
