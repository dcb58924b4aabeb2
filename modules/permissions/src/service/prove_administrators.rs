//! Noting late which administrators can be counted on. What auth told of them may never have come here: while an older
//! version that does not hear it ran beside this one, or before anybody heard it.
//!
//! Only that somebody proved his address is taken over. Whose account can't be used now is told by auth alone, because
//! an answer may be older than what was told meanwhile.

use crate::error::Error;
use crate::service::{Service, guard};
use crate::store::{administrators, graph, standings};
use contracts::auth::{AccountState, Auth, FindAccount};
use contracts::{Caller, UserId};
use platform::db::{self, DbConn};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// So many are asked about in one round.
const BATCH: usize = 100;

impl Service {
    /// Asks auth about the administrators of whom it is not known that they proved their address: now, and again as often
    /// as ended assignments are cleared away, until it is told to stop.
    pub async fn prove_administrators(self: Arc<Self>, auth: Arc<dyn Auth>, stop: CancellationToken) {
        let pause = Duration::from_secs(u64::from(self.settings.sweep_interval_seconds.max(1)));
        let mut after = None;
        while !stop.is_cancelled() {
            match self.prove_some(&*auth, after).await {
                Ok((proven, next)) => {
                    after = next;
                    if proven > 0 {
                        tracing::info!(
                            proven,
                            "{proven} more administrators are known to be able to log in."
                        );
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "Auth could not be asked whether administrators can log in: {error}.");
                }
            }
            let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// Asks about the next ones by id; how many were proven, and where to go on.
    async fn prove_some(
        &self,
        auth: &dyn Auth,
        after: Option<UserId>,
    ) -> Result<(usize, Option<UserId>), Error> {
        let caller = Caller::module("permissions");
        let asked = unproven(&mut *self.db.read().await?, after).await?;
        let mut active = vec![];
        for user in asked.iter().copied() {
            let account = auth.find_account(&caller, FindAccount { user }).await?;
            active.extend(account.filter(|it| it.state == AccountState::Active).map(|it| it.id));
        }
        let proven = if active.is_empty() { 0 } else { self.note_proofs(after, &active).await? };
        Ok((proven, asked.last().copied().filter(|_| asked.len() == BATCH)))
    }

    /// Notes those who are still administrators without a proof: who was purged meanwhile leaves nothing behind.
    async fn note_proofs(&self, after: Option<UserId>, active: &[UserId]) -> Result<usize, Error> {
        let work = async |tx: &mut DbConn| {
            graph::lock(tx).await?;
            let mut proven = unproven(tx, after).await?;
            proven.retain(|user| active.contains(user));
            for user in &proven {
                standings::prove(tx, *user).await?;
            }
            Ok(proven.len())
        };
        self.db.transaction(work).await
    }
}

/// The next by id who would be administrators to count on, had they proved their address.
async fn unproven(c: &mut DbConn, after: Option<UserId>) -> db::Result<Vec<UserId>> {
    let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let mut users = administrators::unproven_users(c, after, limit).await?;
    let groups = guard::groups(c).await?;
    users.extend(administrators::unproven_members(c, &groups, after, limit).await?);
    users.sort_unstable();
    users.dedup();
    users.truncate(BATCH);
    Ok(users)
}
