//! Forgetting people for good: everything of accounts that were deleted and that nobody restored within the window.
//!
//! The account, its secrets and its sessions go in one transaction with the event that lets everybody else forget. Copies
//! that name the person, such as events, answers and what the trail holds of him, go in the background
//! ([`platform::forgotten`]), which is noted in the same transaction. The id stays noted, so that nobody gets it again together
//! with what is kept under it. Left out: backups, whose age is the operator's choice.

use contracts::auth::AccountPurged;
use contracts::{Caller, Time, UserId};
use platform::{audit, forgotten, outbox};
use tokio_util::sync::CancellationToken;

use super::Service;
use super::register::entry;
use crate::error::Error;
use crate::store::{accounts, purges};

/// So many are looked for at once.
const BATCH: i64 = 100;

impl Service {
    /// Purges whoever is due, each in a transaction of his own.
    pub(super) async fn purge(&self, stop: &CancellationToken) -> Result<(), Error> {
        let before = self.now().minus(self.settings.deletion.window());
        let (mut purged, mut after) = (false, None);
        loop {
            let due = accounts::deleted_until(&mut *self.db.read().await?, before, after, BATCH).await?;
            let Some(last) = due.last().copied() else { break };
            after = Some(last);
            for (_, user) in due {
                purged |= self.try_purge(user, before).await;
            }
            if stop.is_cancelled() {
                break;
            }
        }
        if purged {
            self.db.truncate_log().await?;
        }
        Ok(())
    }

    /// One person who can't be purged now stands in nobody's way, and is tried again with the next sweep.
    async fn try_purge(&self, user: UserId, before: Time) -> bool {
        match self.purge_one(user, before).await {
            Ok(purged) => purged,
            Err(error) => {
                let error = contracts::Error::from(error);
                metrics::counter!("doorward_purges_failed_total").increment(1);
                tracing::error!(user.id = %user, code = %error.code, "an account could not be purged");
                false
            }
        }
    }

    /// False when the account was restored, or purged, meanwhile.
    async fn purge_one(&self, user: UserId, before: Time) -> Result<bool, Error> {
        let (now, caller) = (self.now(), Caller::module("auth"));
        let purged = self
            .db
            .transaction(async |tx| {
                let Some(email) = accounts::purge(tx, user, before).await? else { return Ok(false) };
                purges::insert(tx, user, now).await?;
                forgotten::note(tx, user, now).await?;
                let address_key = self.master_key.address_key(&email.0);
                outbox::publish(tx, now, &caller, &AccountPurged { user, address_key }).await?;
                audit::record(tx, now, &caller, entry("auth.account.purged", user)).await?;
                Ok::<_, Error>(true)
            })
            .await?;
        self.forget_account(user).await;
        if purged {
            metrics::counter!("doorward_accounts_purged_total").increment(1);
            tracing::info!(user.id = %user, "an account was purged");
        }
        Ok(purged)
    }
}
