//! Forgetting, in the background: events that were delivered long ago, answers kept for repeated requests, and limits
//! that are over. Each module forgets its own rows by itself; this is what belongs to the platform.

use std::time::Duration;

use platform::clock::Clock;
use platform::db::{self, Database, DbConn};
use platform::{idempotency, inbox, limits, outbox};
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

    /// One batch a transaction, so that requests write in between.
    async fn sweep(&self, stop: &CancellationToken) -> db::Result<()> {
        let now = self.clock.now();
        let events = now.minus(Duration::from_secs(u64::from(self.settings.events_days) * 24 * 3600));
        loop {
            let work = async |tx: &mut DbConn| -> db::Result<usize> {
                let answers = idempotency::sweep(tx, now).await?;
                let events = outbox::sweep(tx, events).await? + inbox::sweep(tx, events).await?;
                Ok(answers + events + limits::sweep(tx, now).await?)
            };
            if self.db.transaction(work).await? == 0 || stop.is_cancelled() {
                return Ok(());
            }
        }
    }
}
