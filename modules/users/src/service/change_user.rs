//! Changing, deleting and restoring somebody, for administrators.
//!
//! One change has two halves: the account, which is auth's, and the profile. Everything is checked before either; then
//! auth's half commits first, because only it can still be refused. When ours fails after that, asking again completes
//! it: the account is then as asked for already. Nobody switches himself off by mistake, or changes more than the names of
//! somebody who may do more than he; that the last administrator stays is auth's and permissions' to see to.

use contracts::auth::{Account, AccountState, ChangeAccount};
use contracts::{Caller, EmailAddress, Fields, UserId};
use platform::db::DbConn;
use platform::http::IfMatch;
use serde_json::{Value, json};

use crate::error::Error;
use crate::model::{Change, Object, Profile};
use crate::service::directory::note_account;
use crate::service::find_profile::record;
use crate::service::list_users::unsaid;
use crate::service::update_profile::write;
use crate::service::{Me, Service, TRIES};
use crate::store::profiles;

/// What anybody who may write users may change of whomever: how somebody is called.
const NAMES: [&str; 3] = ["display_name", "given_name", "family_name"];

/// What is asked of the account.
#[derive(Clone, Debug, Default)]
struct Asked {
    email: Option<EmailAddress>,
    state: Option<AccountState>,
}

impl Asked {
    fn changes(&self, account: &Account) -> bool {
        self.email.as_ref().is_some_and(|email| *email != account.email)
            || self.state.is_some_and(|state| state != account.state)
    }
}

impl Service {
    /// Somebody, for administrators. Nothing is made by looking.
    ///
    /// # Errors
    /// 404 when there is no such user; 503.
    pub(crate) async fn find_user(&self, caller: &Caller, user: UserId) -> Result<Me, Error> {
        let account = self.changed_account(caller, user).await?.ok_or(Error::UserNotFound)?;
        let profile = profiles::find(&mut *self.db.read().await?, user).await?;
        Ok(Me { profile: profile.unwrap_or_else(|| unsaid(&account)), account })
    }

    /// Changes profile, address and state by a merge patch.
    ///
    /// # Errors
    /// Every broken rule at once; 412 when `If-Match` names another state; 403 for anything but the names of somebody who
    /// may do more than the caller; 404; 409 for an address that is taken, for oneself, for a deleted user and for the last
    /// administrator; 503.
    pub(crate) async fn update_user(
        &self,
        caller: &Caller,
        user: UserId,
        patch: &Object,
        if_match: &IfMatch,
    ) -> Result<Me, Error> {
        let before = self.find_user(caller, user).await?;
        if_match.check(before.revision())?;
        let (asked, patch) = asked(&before.profile, patch)?;
        if caller.user() == Some(user) && asked.changes(&before.account) {
            return Err(Error::OwnAccount);
        }
        if before.account.state == AccountState::Deleted {
            return Err(Error::UserDeleted);
        }
        if asked.changes(&before.account) || patch.keys().any(|name| !NAMES.contains(&name.as_str())) {
            self.refuse_outranking(caller, user).await?;
        }
        let bound = bound(if_match, &before.account);
        let account = self.change_half(caller, &before.account, &asked, bound).await?;
        self.profile_half(caller, &before, account, &patch, if_match).await
    }

    /// Switches somebody off at once; auth purges the account when its window to be restored is over.
    ///
    /// # Errors
    /// 412 when `If-Match` names another state; 403 for somebody who may do more than the caller; 404; 409 for oneself and
    /// for the last administrator; 503.
    pub(crate) async fn delete_user(
        &self,
        caller: &Caller,
        user: UserId,
        if_match: &IfMatch,
    ) -> Result<(), Error> {
        if caller.user() == Some(user) {
            return Err(Error::OwnAccount);
        }
        let before = self.find_user(caller, user).await?;
        if_match.check(before.revision())?;
        self.refuse_outranking(caller, user).await?;
        let bound = bound(if_match, &before.account);
        self.set_state(caller, before, AccountState::Deleted, bound, "users.user.deleted").await.map(drop)
    }

    /// Takes a deletion back: the account is active again, unverified when its address never was proven, or disabled when it
    /// was before.
    ///
    /// # Errors
    /// 412 when `If-Match` names another state; 403 for somebody who may do more than the caller; 404, also when the
    /// window is over; 409 when nobody deleted the user; 503.
    pub(crate) async fn restore_user(
        &self,
        caller: &Caller,
        user: UserId,
        if_match: &IfMatch,
    ) -> Result<Me, Error> {
        for _ in 0..TRIES {
            let before = self.find_user(caller, user).await?;
            if_match.check(before.revision())?;
            if before.account.state != AccountState::Deleted {
                return Err(Error::NotDeleted);
            }
            self.refuse_outranking(caller, user).await?;
            let proven = before.account.email_verified;
            let state = if proven { AccountState::Active } else { AccountState::Unverified };
            // Bound to the deletion: the same ask would switch on who was restored meanwhile, and is disabled.
            let revision = Some(before.account.revision);
            match self.set_state(caller, before, state, revision, "users.user.restored").await {
                Err(Error::Stale) => {}
                restored => return restored,
            }
        }
        Err(Error::Stale)
    }

    async fn set_state(
        &self,
        caller: &Caller,
        before: Me,
        state: AccountState,
        revision: Option<i64>,
        action: &'static str,
    ) -> Result<Me, Error> {
        let asked = Asked { email: None, state: Some(state) };
        let account = self.change_half(caller, &before.account, &asked, revision).await?;
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            if !note_account(tx, &account).await? {
                return Err(Error::UserNotFound);
            }
            if account != before.account {
                let change = (Some(told(&before.account, &account)), Some(told(&account, &before.account)));
                record(tx, now, caller, action, account.id, change).await?;
            }
            Ok::<_, Error>(())
        };
        self.db.transaction(work).await?;
        Ok(Me { account, ..before })
    }

    async fn change_half(
        &self,
        caller: &Caller,
        before: &Account,
        asked: &Asked,
        revision: Option<i64>,
    ) -> Result<Account, Error> {
        if !asked.changes(before) {
            return Ok(before.clone());
        }
        let ask = ChangeAccount { user: before.id, revision, email: asked.email.clone(), state: asked.state };
        match self.auth.change_account(caller, ask).await {
            Err(error) if error.code == "auth.account_changed" => Err(Error::Stale),
            changed => Ok(changed?),
        }
    }

    async fn profile_half(
        &self,
        caller: &Caller,
        before: &Me,
        account: Account,
        patch: &Object,
        if_match: &IfMatch,
    ) -> Result<Me, Error> {
        let user = account.id;
        let work = self.profile_half_until_it_fits(caller, before, account, patch, if_match);
        self.profiles.forgetting(vec![user], work).await
    }

    async fn profile_half_until_it_fits(
        &self,
        caller: &Caller,
        before: &Me,
        account: Account,
        patch: &Object,
        if_match: &IfMatch,
    ) -> Result<Me, Error> {
        for _ in 0..TRIES {
            let profile = self.touch_stored(caller, account.id).await?;
            // The first touch makes the profile: that is revision 1 after none.
            let same = profile.revision == before.profile.revision.max(1);
            if matches!(if_match, IfMatch::OneOf(_)) && !same {
                return Err(Error::Stale);
            }
            let change = Change::patch(&profile, patch)?;
            let now = self.clock.now();
            let work = async |tx: &mut DbConn| {
                let profile = match change.changed.is_empty() {
                    true => Some(profile.clone()),
                    false => write(tx, now, caller, &profile, change).await?,
                };
                if profile.is_some() && !note_account(tx, &account).await? {
                    return Err(Error::UserNotFound);
                }
                if profile.is_some() && account != before.account {
                    let was = Some(told(&before.account, &account));
                    let is = Some(told(&account, &before.account));
                    record(tx, now, caller, "users.account.changed", account.id, (was, is)).await?;
                }
                Ok::<_, Error>(profile)
            };
            if let Some(profile) = self.db.transaction(work).await? {
                return Ok(Me { account, profile });
            }
        }
        Err(Error::Stale)
    }
}

/// The account's revision that a change is bound to, when the caller said which state he means.
fn bound(if_match: &IfMatch, account: &Account) -> Option<i64> {
    matches!(if_match, IfMatch::OneOf(_)).then_some(account.revision)
}

/// What a patch asks of the account, and what is left for the profile.
fn asked(before: &Profile, patch: &Object) -> Result<(Asked, Object), Error> {
    let (mut fields, mut asked, mut rest) = (Fields::default(), Asked::default(), patch.clone());
    match rest.remove("email") {
        None => {}
        Some(Value::String(email)) => asked.email = fields.take("/email", EmailAddress::parse(&email)),
        Some(_) => fields.broken("/email", "wrong_type", "Must be a string."),
    }
    match rest.remove("state").map(|state| state.as_str().and_then(AccountState::from_word)) {
        None => {}
        Some(Some(state @ (AccountState::Active | AccountState::Disabled))) => asked.state = Some(state),
        Some(_) => fields.broken("/state", "invalid_value", "Must be active or disabled."),
    }
    if let Err(error) = Change::patch(before, &rest) {
        for field in error.fields {
            fields.field(field);
        }
    }
    fields.finish()?;
    Ok((asked, rest))
}

/// What the audit trail is told of an account: what is different in another one. Of the address only its beginning.
fn told(account: &Account, other: &Account) -> Value {
    let state = (account.state != other.state).then(|| ("state", json!(account.state)));
    let email = (account.email != other.email).then(|| ("email", json!(masked(&account.email))));
    let verified = account.email_verified;
    let verified = (verified != other.email_verified).then(|| ("email_verified", json!(verified)));
    let told = [state, email, verified].into_iter().flatten();
    Value::Object(told.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn masked(email: &EmailAddress) -> String {
    let (local, domain) = email.as_str().split_once('@').unwrap_or_default();
    format!("{}***@{domain}", local.chars().take(1).collect::<String>())
}
