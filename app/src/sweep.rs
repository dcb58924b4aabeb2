//! Forgetting, in the background: events that were delivered long ago, answers kept for repeated requests, limits that
//! are over, and the far end of the audit trail. Each module forgets its own rows by itself; this is what belongs to the
//! platform.

use std::time::Duration;

use platform::clock::Clock;
use platform::db::{self, Database, DbConn, Work};
use platform::{audit, idempotency, inbox, limits, outbox};
use tokio_util::sync::CancellationToken;

use crate::settings::RetentionSettings;

/// How often to look for what can be forgotten.
const EVERY: Duration = Duration::from_secs(600);

/// Forgets what belongs to the platform.
pub(crate) struct Sweeper {
    db: Database,
    clock: Clock,
    settings: RetentionSettings,
}

impl Sweeper {
    pub(crate) fn new(db: Database, clock: Clock, settings: RetentionSettings) -> Self {
        Self { db, clock, settings }
    }

    /// Sweeps again and again until it is told to stop.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.sweep(&stop).await {
                tracing::warn!(%error, "What is old could not be forgotten; it is tried again later.");
            }
            let _ = tokio::time::timeout(EVERY, stop.cancelled()).await;
        }
    }

    async fn sweep(&self, stop: &CancellationToken) -> db::Result<()> {
        let now = self.clock.now();
        let days_ago = |days: u32| now.minus(Duration::from_secs(u64::from(days) * 24 * 3600));
        let events = days_ago(self.settings.events_days);
        let trail = Some(self.settings.audit_days).filter(|days| *days > 0).map(days_ago);
        self.batches(stop, async |tx: &mut DbConn| idempotency::sweep(tx, now).await).await?;
        self.batches(stop, async |tx: &mut DbConn| outbox::sweep(tx, events).await).await?;
        self.batches(stop, async |tx: &mut DbConn| inbox::sweep(tx, events).await).await?;
        self.batches(stop, async |tx: &mut DbConn| limits::sweep(tx, now).await).await?;
        if let Some(before) = trail {
            self.batches(stop, async |tx: &mut DbConn| audit::sweep(tx, before).await).await?;
        }
        Ok(())
    }

    /// A batch a transaction until nothing is left, so that requests write in between.
    async fn batches<F>(&self, stop: &CancellationToken, work: F) -> db::Result<()>
    where
        for<'c> F: AsyncFn(&'c mut DbConn) -> db::Result<usize>
            + Work<&'c mut DbConn, db::Result<usize>, Future: Send>
            + Copy
            + Send,
    {
        while !stop.is_cancelled() && self.db.transaction(work).await? > 0 {}
        Ok(())
    }
}
