//! Profiles as other modules see them, and as they come into being: by the event that tells of a registration, or by
//! the first request that touches one, whichever is first.

use contracts::auth::{Account, AccountRegistered};
use contracts::users::{Profile as Shown, UserCreated};
use contracts::{Caller, Time, UserId};
use platform::audit::{self, Entry, Outcome};
use platform::db::DbConn;
use platform::outbox;
use serde_json::Value;

use crate::error::Error;
use crate::model::{Change, Profile};
use crate::service::Service;
use crate::service::directory::was_purged;
use crate::service::update_profile::write;
use crate::store::profiles;

impl Service {
    pub(super) async fn shown_profile(&self, user: UserId) -> Result<Option<Shown>, Error> {
        let profile = profiles::find(&mut *self.db.read().await?, user).await?;
        Ok(profile.map(Shown::from))
    }

    /// The same, out of memory when it is asked for often.
    pub(super) async fn touch(&self, caller: &Caller, user: UserId) -> Result<Profile, Error> {
        self.profiles.cache().get_or_load(&user, || self.touch_stored(caller, user)).await
    }

    /// The profile of somebody who has an account, made now if it is still on the way.
    pub(super) async fn touch_stored(&self, caller: &Caller, user: UserId) -> Result<Profile, Error> {
        if let Some(profile) = profiles::find(&mut *self.db.read().await?, user).await? {
            return Ok(profile);
        }
        let (now, account) = (self.clock.now(), self.account(caller, user).await?);
        self.db
            .transaction(async |tx| {
                create(tx, now, caller, &account, Profile::empty(user, now)).await?;
                profiles::find(tx, user).await?.ok_or(Error::AccountGone)
            })
            .await
    }
}

/// Adds a profile unless there is one, or the person was purged, and tells of it; true when it was added.
pub(super) async fn create(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    account: &Account,
    profile: Profile,
) -> Result<bool, Error> {
    let user = profile.id;
    if !profiles::insert(tx, profile).await? {
        return Ok(false);
    }
    if was_purged(tx, account).await? {
        profiles::delete(tx, user).await?;
        return Ok(false);
    }
    outbox::publish(tx, now, caller, &UserCreated { user }).await?;
    record(tx, now, caller, "users.user.created", user, (None, None)).await?;
    Ok(true)
}

/// Writes down that something was done to a user, with what was there before and after.
pub(super) async fn record(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    action: &'static str,
    user: UserId,
    (before, after): (Option<Value>, Option<Value>),
) -> Result<(), Error> {
    let (subject_type, subject_id) = ("user", user.to_string());
    let entry = Entry { action, outcome: Outcome::Succeeded, subject_type, subject_id, before, after };
    audit::record(tx, now, caller, entry).await?;
    Ok(())
}

/// Takes over what was said with a registration. A profile that was touched before the event arrived keeps what it
/// says by now; only what it does not say is filled in. What breaks a rule of profiles is left out: nobody is there
/// any more who could be told.
pub(crate) async fn fill(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    account: &Account,
    fact: AccountRegistered,
) -> Result<(), Error> {
    let said = [("display_name", fact.display_name), ("locale", fact.locale)];
    let new = Change::fill(&Profile::empty(fact.user, now), said.clone()).profile;
    if create(tx, now, caller, account, new).await? {
        return Ok(());
    }
    let Some(there) = profiles::find(tx, fact.user).await? else { return Ok(()) };
    let change = Change::fill(&there, said);
    if change.changed.is_empty() {
        return Ok(());
    }
    // Somebody else's change in between fails this transaction's event, which then comes again.
    write(tx, now, caller, &there, change).await?.map(drop).ok_or(Error::Stale)
}
