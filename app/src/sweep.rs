//! Forgetting, in the background: events that were delivered long ago, answers kept for repeated requests, limits that
//! are over, and the far end of the audit trail. Each module forgets its own rows by itself; this is what belongs to the
//! platform.

use std::time::Duration;

use platform::clock::Clock;
use platform::db::{self, Database, DbConn};
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

    /// One batch a transaction, so that requests write in between.
    async fn sweep(&self, stop: &CancellationToken) -> db::Result<()> {
        let now = self.clock.now();
        let days_ago = |days: u32| now.minus(Duration::from_secs(u64::from(days) * 24 * 3600));
        let events = days_ago(self.settings.events_days);
        let trail = Some(self.settings.audit_days).filter(|days| *days > 0).map(days_ago);
        loop {
            let work = async |tx: &mut DbConn| -> db::Result<usize> {
                let answers = idempotency::sweep(tx, now).await?;
                let events = outbox::sweep(tx, events).await? + inbox::sweep(tx, events).await?;
                let trail = match trail {
                    Some(before) => audit::sweep(tx, before).await?,
                    None => 0,
                };
                Ok(answers + events + trail + limits::sweep(tx, now).await?)
            };
            if self.db.transaction(work).await? == 0 || stop.is_cancelled() {
                return Ok(());
            }
        }
    }
}
