//! Everything that runs beside requests: the only place in Doorward that starts tasks.
//!
//! A worker that panics is started again after a pause, and an operator reads about it; a worker that ends before it
//! was asked to is a mistake and treated the same.

use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a worker that failed stays away.
const PAUSE: Duration = Duration::from_secs(1);

/// Background work that is started together and ended together.
pub(crate) struct Workers {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    pause: Duration,
}

impl Workers {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { tasks: JoinSet::new(), stop: CancellationToken::new(), pause: PAUSE }
    }

    /// Starts a worker and keeps it running. `work` is called with the token that tells it to end.
    pub(crate) fn start<F>(
        &mut self,
        name: &'static str,
        work: impl Fn(CancellationToken) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, pause) = (self.stop.clone(), self.pause);
        self.tasks.spawn(async move {
            while !stop.is_cancelled() {
                let run = std::panic::AssertUnwindSafe(work(stop.clone())).catch_unwind();
                if run.await.is_err() || !stop.is_cancelled() {
                    metrics::counter!("doorward_worker_restarts_total", "worker" => name).increment(1);
                    tracing::error!(worker = name, "A worker ended by itself and is started again.");
                    let _ = tokio::time::timeout(pause, stop.cancelled()).await;
                }
            }
        });
    }

    /// Asks every worker to end and waits for them, at most so long; what is not done by then is dropped, which is
    /// safe: a worker's claims are leases.
    pub(crate) async fn end(mut self, patience: Duration) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!(
                "Some workers did not end in time; what they had claimed is done after the next start."
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_worker_that_panics_is_started_again() {
        let runs = Arc::new(AtomicU32::new(0));
        let mut workers = Workers { pause: Duration::from_millis(1), ..Workers::new() };
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let counted = Arc::clone(&runs);
        workers.start("test", move |stop| {
            let (run, tell) = (counted.fetch_add(1, Ordering::SeqCst), tell.clone());
            async move {
                assert!(run > 1, "the first two runs fail");
                let _ = tell.send(());
                stop.cancelled().await;
            }
        });
        told.recv().await.unwrap();
        workers.end(Duration::from_secs(1)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }
}
