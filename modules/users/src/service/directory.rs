//! The directory: what users are listed and searched by, kept up with accounts and profiles, and made again from auth
//! when there was none.
//!
//! Rows are locked in one order, profile before directory: of two who change the words of a person at once, the second
//! sees what the first wrote.
//!
//! Who was purged stays gone, also when somebody still holds the account as it was before. Whoever adds a row for a person
//! looks after that whether the person was purged; whoever erases a person claims the keys of these rows first, and
//! notes last that the person is gone. So one of two who come at once waits for the other: the eraser finds what was
//! added, or the adder finds the note.

use std::sync::Arc;
use std::time::Duration;

use contracts::auth::{Account, FindAccount, ListAccounts};
use contracts::{Caller, Time, UserId};
use metrics::counter;
use platform::db::DbConn;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::model::{Profile, terms};
use crate::service::Service;
use crate::store::{backfills, directory, preferences, profiles, purges, search};

/// Accounts that are taken over in one transaction.
const BATCH: u32 = 100;

/// How long to wait when auth or the database does not answer.
const PAUSE: Duration = Duration::from_secs(5);

/// Takes over an account as it is now, unless the directory has one as new; false when the person was purged, and is
/// not listed.
pub(super) async fn note_account(tx: &mut DbConn, account: &Account) -> Result<bool, Error> {
    profiles::hold(tx, account.id).await?;
    if !directory::upsert(tx, account).await? {
        return Ok(true);
    }
    if was_purged(tx, account).await? {
        directory::delete(tx, account.id).await?;
        return Ok(false);
    }
    let profile = profiles::find(tx, account.id).await?;
    search::set(tx, account.id, terms(account.email.as_str(), profile.as_ref())).await?;
    Ok(true)
}

/// Takes over the names of a profile that was just written.
pub(super) async fn note_profile(tx: &mut DbConn, profile: &Profile) -> Result<(), Error> {
    if let Some(email) = directory::lock(tx, profile.id).await? {
        search::set(tx, profile.id, terms(&email, Some(profile))).await?;
    }
    Ok(())
}

/// Whether this account was purged since it looked so. One that was made later under the same id, such as by an import of
/// what was exported once, was not. Asked after the row that may have to go again was written.
pub(super) async fn was_purged(tx: &mut DbConn, account: &Account) -> Result<bool, Error> {
    Ok(purges::find(tx, account.id).await?.is_some_and(|purged_at| account.updated_at <= purged_at))
}

/// Forgets everything about somebody whose account was purged at this time, and notes that.
pub(super) async fn erase(tx: &mut DbConn, user: UserId, purged_at: Time) -> Result<(), Error> {
    profiles::insert(tx, Profile::empty(user, purged_at)).await?;
    profiles::hold(tx, user).await?;
    directory::claim(tx, user, purged_at).await?;
    directory::delete(tx, user).await?;
    search::set(tx, user, std::collections::BTreeSet::new()).await?;
    preferences::delete_all(tx, user).await?;
    profiles::delete(tx, user).await?;
    purges::note(tx, user, purged_at).await?;
    Ok(())
}

impl Service {
    /// The account as it is now, for an event that tells that it changed; none when it is gone by now.
    pub(crate) async fn changed_account(
        &self,
        caller: &Caller,
        user: UserId,
    ) -> Result<Option<Account>, Error> {
        Ok(self.auth.find_account(caller, FindAccount { user }).await?)
    }

    /// Runs beside requests until it is told to stop: takes over the accounts that were there before the directory,
    /// once, and from where it was interrupted.
    pub async fn work(self: Arc<Self>, stop: CancellationToken) {
        loop {
            match stop.run_until_cancelled(self.complete_directory()).await {
                None => return,
                Some(Ok(())) => break,
                Some(Err(error)) => {
                    tracing::warn!(code = %error.code, "The directory of users can't be completed yet: {error}");
                    if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                        return;
                    }
                }
            }
        }
        stop.cancelled().await;
    }

    /// Takes over all accounts, unless that was done before.
    ///
    /// # Errors
    /// When auth or the database does not answer: call it again, it goes on from there.
    pub async fn complete_directory(&self) -> contracts::Result<()> {
        Ok(self.take_over_accounts().await?)
    }

    async fn take_over_accounts(&self) -> Result<(), Error> {
        let begun = backfills::position(&mut *self.db.read().await?).await?;
        let (mut after, mut finished) = begun.unwrap_or_default();
        let caller = Caller::module("users");
        while !finished {
            let page = self.auth.list_accounts(&caller, ListAccounts { after, limit: BATCH }).await?;
            finished = page.items.len() < BATCH as usize;
            after = page.items.last().map_or(after, |last| Some(last.id));
            let ended = finished.then(|| self.clock.now());
            let (accounts, last) = (&page.items, after);
            let work = async |tx: &mut DbConn| {
                for account in accounts {
                    note_account(tx, account).await?;
                }
                Ok::<_, Error>(backfills::advance(tx, last, ended).await?)
            };
            self.db.transaction(work).await?;
            counter!("doorward_users_directory_backfilled_total").increment(accounts.len() as u64);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
