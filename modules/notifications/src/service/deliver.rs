//! Delivering what is queued: claim, try, write down how it went.
//!
//! At least once: a message whose worker dies between handing it over and noting that is sent again, with the same
//! Message-Id. No transaction is open while a try goes on. One message never holds up others: tries run side by
//! side, each with a deadline, and a panic ends only its own.

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
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use platform::db;
use tokio_util::sync::CancellationToken;

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
        let mut tries = FuturesUnordered::new();
        let mut measured: Option<Instant> = None;
        self.settle_noted().await;
        while !stop.is_cancelled() {
            if measured.is_none_or(|at| at.elapsed() >= self.poll_interval()) {
                // What the metrics say is a minor matter; when the database is down, claiming tells.
                let _ = beside(&mut tries, self.measure()).await;
                measured = Some(Instant::now());
            }
            let free = self.settings.concurrency.saturating_sub(tries.len());
            let (claimed, wait) = beside(&mut tries, self.claim_or_wait(free)).await;
            tries.extend(claimed.into_iter().map(|claimed| self.deliver(claimed)));
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
        let (claimed, _) = self.claim(self.settings.concurrency).await?;
        let count = claimed.len();
        let tries: FuturesUnordered<_> = claimed.into_iter().map(|claimed| self.deliver(claimed)).collect();
        tries.collect::<()>().await;
        Ok(count)
    }

    async fn claim_or_wait(&self, free: usize) -> (Vec<claim::Claimed>, Duration) {
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
