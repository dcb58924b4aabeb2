//! Forgetting what nobody needs any more: requests, refresh tokens and sessions that were over a while ago.

use std::sync::Arc;
use std::time::Duration;

use contracts::Time;
use tokio_util::sync::CancellationToken;

use super::Service;
use crate::error::Error;
use crate::store::{refresh_tokens, requests, sessions};

/// How often.
const EVERY: Duration = Duration::from_secs(600);
/// How long things stay after they were over: a late link is still told from one that never was.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// So many in one transaction, so that nobody else waits long.
const BATCH: i64 = 500;

impl Service {
    /// This module's background work, until it is told to stop.
    pub async fn work(self: Arc<Self>, stop: CancellationToken) {
        loop {
            if let Err(error) = self.sweep().await {
                let error = contracts::Error::from(error);
                tracing::warn!(code = %error.code, "sweeping has to wait");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Sweeps once, in batches.
    async fn sweep(&self) -> Result<(), Error> {
        let before = self.now().minus(KEPT);
        while self.sweep_batch(before).await? > 0 {}
        Ok(())
    }

    async fn sweep_batch(&self, before: Time) -> Result<usize, Error> {
        self.db
            .transaction(async |tx| {
                let tokens = refresh_tokens::over(tx, before, BATCH).await?;
                let ended = sessions::over(tx, before, BATCH).await?;
                let spent = requests::over(tx, before, BATCH).await?;
                let tokens = refresh_tokens::delete(tx, tokens).await?;
                let ended = sessions::delete(tx, ended).await?;
                Ok(tokens + ended + requests::delete(tx, spent).await?)
            })
            .await
    }
}
