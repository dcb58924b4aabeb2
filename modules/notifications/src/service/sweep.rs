//! Forgetting what is old: messages that are over, things in inboxes, the mailbox of development.

use std::time::Duration;

use platform::db::{self, DbConn};
use tokio_util::sync::CancellationToken;

use super::Service;
use crate::store;

/// How often to look.
const EVERY: Duration = Duration::from_secs(3_600);

/// How much of each goes in one transaction, so that requests write in between.
const BATCH: i64 = 500;

impl Service {
    pub(super) async fn sweep_until(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "Old messages could not be forgotten; it is tried again later.");
            }
            let _ = tokio::time::timeout(EVERY, stop.cancelled()).await;
        }
    }

    /// Forgets everything that is old now. For tests and tools; [`Service::work`] does it every hour.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sweep(&self) -> db::Result<usize> {
        let now = self.clock.now();
        let before = |days: u32| now.minus(Duration::from_secs(u64::from(days) * 24 * 3_600));
        let settings = &self.settings;
        let (messages, inbox, mailbox) =
            (before(settings.retention_days), before(settings.inbox_days), before(settings.mailbox_days));
        let mut all = 0;
        loop {
            let work = async |tx: &mut DbConn| -> db::Result<usize> {
                Ok(store::messages::delete_old(tx, messages, BATCH).await?
                    + store::inbox::delete_old(tx, inbox, BATCH).await?
                    + store::mailbox::delete_old(tx, mailbox, BATCH).await?)
            };
            let swept = self.db.transaction(work).await?;
            all += swept;
            if swept == 0 {
                return Ok(all);
            }
        }
    }
}
