//! Delivering what is queued: claim, try, write down how it went.
//!
//! At least once: a message whose worker dies between handing it over and noting that is sent again, with the same
//! Message-Id. No transaction is open while a try goes on. One message never holds up others: tries run side by
//! side, each with a deadline, and a panic ends only its own. What is urgent goes first, and some places are kept for it:
//! the links of Doorward's own mails don't outlive a campaign of somebody's.

mod admit;
mod attempt;
mod breaker;
mod claim;
mod gateway;
mod line;
mod notes;
mod numbers;
mod reader;
mod settle;
mod smtp;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use platform::db;
use tokio_util::sync::CancellationToken;

use claim::{Claimed, Free};
pub(super) use gateway::gateways;
pub(crate) use line::{Line, NAMES};
pub(super) use notes::Notes;
pub(super) use numbers::{RECEIPTS, STREAMS, describe};
pub(super) use settle::mark;
pub(super) use smtp::mail_servers;

use super::Service;
use crate::model::{Failure, Letter};

/// A way for messages to leave.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Hands a letter over. `Ok` means that the other side has taken responsibility for it, and holds what it calls the
    /// letter. May be called again with the same letter.
    ///
    /// # Errors
    /// Why it was not taken, and whether trying again may help.
    async fn send(&self, letter: &Letter) -> Result<Option<String>, Failure>;
}

impl Service {
    /// Delivers until told to stop, then ends the tries that are under way; beside that, forgets what is old. Several
    /// processes may do this at once.
    pub async fn work(self: Arc<Self>, stop: CancellationToken) {
        tokio::join!(self.deliver_until(&stop), self.sweep_until(&stop), self.streams.hear_until(&stop));
    }

    async fn deliver_until(&self, stop: &CancellationToken) {
        let ordinary = AtomicUsize::new(0);
        let mut tries = FuturesUnordered::new();
        let mut measured: Option<Instant> = None;
        self.settle_noted().await;
        while !stop.is_cancelled() {
            if measured.is_none_or(|at| at.elapsed() >= self.poll_interval()) {
                // What the metrics say is a minor matter; when the database is down, claiming tells.
                let _ = beside(&mut tries, self.measure()).await;
                measured = Some(Instant::now());
            }
            let free = self.free(tries.len(), ordinary.load(Ordering::Relaxed));
            let (claimed, wait) = beside(&mut tries, self.claim_or_wait(free)).await;
            tries.extend(claimed.into_iter().map(|claimed| self.deliver_counted(claimed, &ordinary)));
            tokio::select! {
                () = stop.cancelled() => {}
                Some(()) = tries.next() => {}
                () = self.queued.notified(), if tries.len() < self.settings.concurrency => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        while tries.next().await.is_some() {}
    }

    /// Tries everything that is due right now, once. For tests and tools; [`Service::work`] does it all the time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn deliver_due(&self) -> db::Result<usize> {
        let all = self.settings.concurrency;
        let (claimed, _) = self.claim(Free { places: all, ordinary: all }).await?;
        let count = claimed.len();
        let tries: FuturesUnordered<_> = claimed.into_iter().map(|claimed| self.deliver(claimed)).collect();
        tries.collect::<()>().await;
        Ok(count)
    }

    /// What a worker may begin that has so many tries under way, and so many of them not urgent.
    fn free(&self, tries: usize, ordinary: usize) -> Free {
        let places = self.settings.concurrency.saturating_sub(tries);
        Free { places, ordinary: self.settings.ordinary_places().saturating_sub(ordinary).min(places) }
    }

    /// Counted from here on and not from when it is first polled: before that, the next ones may be claimed.
    fn deliver_counted<'a>(
        &'a self,
        claimed: Claimed,
        ordinary: &'a AtomicUsize,
    ) -> impl Future<Output = ()> + 'a {
        let counted = usize::from(!claimed.delivery.urgent);
        ordinary.fetch_add(counted, Ordering::Relaxed);
        async move {
            self.deliver(claimed).await;
            ordinary.fetch_sub(counted, Ordering::Relaxed);
        }
    }

    async fn claim_or_wait(&self, free: Free) -> (Vec<Claimed>, Duration) {
        match self.claim(free).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "The message queue could not be read; it will be tried again.");
                (Vec::new(), self.poll_interval())
            }
        }
    }

    fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.settings.poll_interval_ms)
    }
}

/// Waits for `wanted` while the tries go on. Were they left alone meanwhile, one of them could hold the database
/// connection that `wanted` waits for.
async fn beside<T, F: Future<Output = ()>>(
    tries: &mut FuturesUnordered<F>,
    wanted: impl Future<Output = T>,
) -> T {
    let mut wanted = std::pin::pin!(wanted);
    loop {
        tokio::select! {
            value = &mut wanted => return value,
            Some(()) = tries.next() => {}
        }
    }
}
