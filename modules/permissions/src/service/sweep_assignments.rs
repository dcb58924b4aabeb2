//! Clearing away assignments that ended long ago.

use crate::error::Error;
use crate::service::{Service, assignments};
use crate::store;
use contracts::Caller;
use platform::db::DbConn;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How many are removed in one transaction.
const BATCH: i64 = 100;

impl Service {
    /// Sweeps until it is told to stop.
    pub async fn work(self: Arc<Self>, stop: CancellationToken) {
        let pause = Duration::from_secs(u64::from(self.settings.sweep_interval_seconds.max(1)));
        while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            match self.sweep_assignments().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "Cleared away {removed} assignments that had ended."),
                Err(error) => tracing::warn!(%error, "Ended assignments could not be cleared away: {error}."),
            }
        }
    }

    /// Removes the assignments that ended before the days that they are kept; how many.
    pub(crate) async fn sweep_assignments(&self) -> Result<usize, Error> {
        let mut removed = 0;
        loop {
            let batch = self.sweep_batch().await?;
            removed += batch;
            if batch == 0 {
                return Ok(removed);
            }
        }
    }

    async fn sweep_batch(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        let before = now.minus(Duration::from_hours(24 * u64::from(self.settings.keep_ended_days)));
        let caller = Caller::module("permissions");
        let work = async |tx: &mut DbConn| {
            let ended = store::assignments::ended(tx, before, BATCH).await?;
            for id in &ended {
                assignments::remove(tx, now, &caller, *id).await?;
            }
            Ok(ended.len())
        };
        self.db.transaction(work).await
    }
}
