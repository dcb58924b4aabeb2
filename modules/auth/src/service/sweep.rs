//! Forgetting what nobody needs any more: requests, refresh tokens and sessions that were over or ended a while ago,
//! devices that nobody has logged in from for long, the private halves of keys that have retired, and people who were
//! deleted.

use std::sync::Arc;
use std::time::Duration;

use contracts::Time;
use tokio_util::sync::CancellationToken;

use super::Service;
use crate::error::Error;
use crate::store::{devices, refresh_tokens, requests, sessions, signing_keys};

/// How often.
const EVERY: Duration = Duration::from_secs(600);
/// How long things stay after they were over: a late link is still told from one that never was.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// So many in one transaction, so that nobody else waits long.
const BATCH: i64 = 500;

impl Service {
    /// This module's background work, until it is told to stop.
    pub async fn work(self: Arc<Self>, stop: CancellationToken) {
        tokio::join!(self.sweep_now_and_then(&stop), self.tend_keys(&stop));
    }

    async fn sweep_now_and_then(&self, stop: &CancellationToken) {
        loop {
            if let Err(error) = self.sweep(stop).await {
                let error = contracts::Error::from(error);
                tracing::warn!(code = %error.code, "sweeping has to wait");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Sweeps once, in batches. Tokens before their sessions: a session would take all of its own along at once.
    async fn sweep(&self, stop: &CancellationToken) -> Result<(), Error> {
        let before = self.now().minus(KEPT);
        let unseen = self.now().minus(self.settings.devices.remembered());
        for (kind, before) in [
            (Kind::RefreshTokens, before),
            (Kind::EndedTokens, before),
            (Kind::Sessions, before),
            (Kind::Requests, before),
            (Kind::Devices, unseen),
        ] {
            while self.sweep_batch(kind, before).await? && !stop.is_cancelled() {}
        }
        signing_keys::wipe(&mut *self.db.write().await?, self.now()).await?;
        self.purge(stop).await
    }

    /// False when nothing was left.
    async fn sweep_batch(&self, kind: Kind, before: Time) -> Result<bool, Error> {
        let swept: Result<usize, Error> = self
            .db
            .transaction(async |tx| {
                Ok(match kind {
                    Kind::RefreshTokens => {
                        let over = refresh_tokens::over(tx, before, BATCH).await?;
                        refresh_tokens::delete(tx, over).await?
                    }
                    Kind::EndedTokens => {
                        let ended = refresh_tokens::of_ended(tx, before, BATCH).await?;
                        refresh_tokens::delete(tx, ended).await?
                    }
                    Kind::Devices => {
                        let over = devices::over(tx, before, BATCH).await?;
                        devices::delete(tx, over, before).await?
                    }
                    Kind::Sessions => {
                        let over = sessions::over(tx, before, BATCH).await?;
                        sessions::delete(tx, over).await?
                    }
                    Kind::Requests => {
                        let over = requests::over(tx, before, BATCH).await?;
                        requests::delete(tx, over).await?
                    }
                })
            })
            .await;
        Ok(swept? > 0)
    }
}

/// What is swept.
#[derive(Clone, Copy)]
enum Kind {
    RefreshTokens,
    /// Of sessions that were ended before their time.
    EndedTokens,
    Sessions,
    Requests,
    Devices,
}
