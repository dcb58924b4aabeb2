//! The bus: how committed events reach those who want to hear them.
//!
//! A bus takes events over from the outbox and answers for them from then on. Which bus it is (`local`, or a broker)
//! is the operator's choice; modules only ever write `Subscriber`s, which get their events at the desks of their process. No order is promised, and an event may come more
//! than once: `inbox::once` makes its effect happen once.

mod backoff;
pub(crate) mod desks;
mod local;
pub mod rabbit;

use std::time::Duration;

use async_trait::async_trait;
use contracts::{Error, Event};
use tokio_util::sync::CancellationToken;

pub use desks::{Desks, Settings};
pub use local::LocalBus;
pub use rabbit::RabbitBus;

pub(crate) use backoff::Backoff;

/// Carries events to their subscribers.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Takes responsibility for all of these events: when this returns `Ok`, none of them can be lost any more.
    /// May be called again with the same events.
    ///
    /// # Errors
    /// When responsibility was not taken for at least one of them. The outbox then hands each over alone.
    async fn publish(&self, events: &[Event]) -> Result<(), Error>;

    /// Waits until it makes sense to publish something: at once, where nothing can be away.
    async fn ready(&self) {}
}

/// Hears about what happened.
#[async_trait]
pub trait Subscriber: Send + Sync {
    /// Stable and unique among all subscribers, such as `notifications.account_mails`; it is stored, so a renamed
    /// subscriber hears everything on the way once more.
    fn name(&self) -> &'static str;

    /// The types of the facts it wants to hear.
    fn hears(&self) -> &'static [&'static str];

    /// Takes one event. Begin the transaction of the effect with `inbox::once`.
    ///
    /// # Errors
    /// Any error, and a panic, means: try again later, a limited number of times.
    async fn hear(&self, event: &Event) -> Result<(), Error>;
}

/// Who hears what: enough to keep events for a subscriber that runs elsewhere, or not at all at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// As [`Subscriber::name`].
    pub name: &'static str,
    /// As [`Subscriber::hears`].
    pub hears: &'static [&'static str],
}

/// After a batch that was not full, others are mostly on their way: a moment later they go together, in fewer
/// transactions. The longer it stays busy, the longer the moment, so that background work leaves the database to those
/// who wait for an answer. The first event after a quiet while waits for nothing.
#[derive(Debug)]
pub(crate) struct Gathering(Duration);

impl Default for Gathering {
    fn default() -> Self {
        Self(Self::SHORTEST)
    }
}

impl Gathering {
    const SHORTEST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_millis(80);

    /// Waits for company for the next batch, twice as long as the last time.
    pub(crate) async fn wait(&mut self, stop: &CancellationToken) {
        let moment = self.0;
        self.0 = (moment * 2).min(Self::LONGEST);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(moment) => {}
        }
    }

    /// There was nothing to do.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }
}

/// What is kept of an error beside the row that failed: words that callers may read, never the source.
pub(crate) fn last_words(error: &Error) -> String {
    let words = format!("{}: {}", error.code, error.message);
    words.chars().take(500).collect()
}
