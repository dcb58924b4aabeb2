//! Forgetting people for good: everything of accounts that were deleted and that nobody restored within the window.
//!
//! The account, its secrets and its sessions go in one transaction with the event that lets everybody else forget. In
//! the same transaction the trail keeps what was done, by a pseudonym, and loses where from and with what; events that
//! name the person, and answers that were kept for repeated requests, go. What was on its way at that moment is
//! forgotten when this module hears its own event. Left out: backups, whose age is the operator's choice.

use contracts::auth::AccountPurged;
use contracts::{Caller, Time, UserId};
use platform::{audit, inbox, outbox};
use tokio_util::sync::CancellationToken;

use super::Service;
use super::register::entry;
use crate::error::Error;
use crate::store::accounts;

/// So many are looked for at once.
const BATCH: i64 = 100;

impl Service {
    /// Purges whoever is due, each in a transaction of his own.
    pub(super) async fn purge(&self, stop: &CancellationToken) -> Result<(), Error> {
        let before = self.now().minus(self.settings.deletion.window());
        let mut purged = false;
        loop {
            let due = accounts::deleted_until(&mut *self.db.read().await?, before, BATCH).await?;
            let last = due.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
            for user in due {
                purged |= self.purge_one(user, before).await?;
            }
            if last || stop.is_cancelled() {
                break;
            }
        }
        if purged {
            self.db.truncate_log().await?;
        }
        Ok(())
    }

    /// False when the account was restored, or purged, meanwhile.
    async fn purge_one(&self, user: UserId, before: Time) -> Result<bool, Error> {
        let (now, caller) = (self.now(), Caller::module("auth"));
        let purged = self
            .db
            .transaction(async |tx| {
                let Some(email) = accounts::purge(tx, user, before).await? else { return Ok(false) };
                platform::forget_person(tx, user).await?;
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

    /// Forgets what came to be while the person was purged.
    pub(crate) async fn forget_remains(
        &self,
        subscriber: &str,
        event: contracts::EventId,
        user: UserId,
    ) -> Result<(), Error> {
        let now = self.now();
        self.db
            .transaction(async |tx| {
                if inbox::once(tx, subscriber, event, now).await? {
                    platform::forget_person(tx, user).await?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        Ok(self.db.truncate_log().await?)
    }
}
