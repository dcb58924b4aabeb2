//! Changing an account from outside: its address, and whether it can be used.
//!
//! The story: see what the account would become; when it can't be used any more, ask permissions, which keeps the last
//! administrator; then one transaction in which the account is as it was looked at, or everything begins anew. Every
//! change ends the account's logins and closes its links, because both were given for what the account was.

use contracts::auth::{
    Account as Shared, AccountEmailChanged, AccountState, AccountStateChanged, AccountVerified, ChangeAccount,
};
use contracts::{Caller, EmailAddress, Kind, SessionId, Time, UserId};
use platform::audit::{self, Entry};
use platform::db::{self, DbConn};
use platform::outbox;
use serde_json::{Map, Value};

use super::Service;
use super::find_account::shared;
use super::register::entry;
use super::revoke_sessions::tell;
use super::standing::Doubt;
use crate::error::Error;
use crate::model::{Account, RevokedReason};
use crate::store::{accounts, requests, sessions};

/// Whoever did not say which revision he means begins anew so often when somebody else was faster.
const TRIES: u32 = 5;

/// What was done.
struct Done {
    account: Account,
    ended: Vec<SessionId>,
}

impl Service {
    /// # Errors
    /// 404 when there is no such account; 409 when it is in another revision, when the address has an owner, and when
    /// nobody would be left who is administrator.
    pub(super) async fn change(&self, caller: &Caller, ask: ChangeAccount) -> Result<Shared, Error> {
        for _ in 0..TRIES {
            let found = accounts::find(&mut *self.db.read().await?, ask.user).await?;
            let before = found.ok_or(Error::UnknownAccount)?;
            if ask.revision.is_some_and(|meant| meant != before.revision) {
                return Err(Error::AccountChanged);
            }
            let after = before.changed(ask.email.as_ref(), ask.state, self.now());
            if !after.differs(&before) {
                self.forget_account(before.id).await;
                self.forget_ended(before.id).await?;
                return shared(&before);
            }
            self.refuse_taken(&before, &after).await?;
            if let Some(done) = self.change_once(caller, &before, &after).await? {
                metrics::counter!("doorward_account_changes_total", "state" => done.account.state.as_str())
                    .increment(1);
                return shared(&done.account);
            }
        }
        Err(Error::AccountChanged)
    }

    /// Told before anything is switched off; the unique address decides in the end.
    async fn refuse_taken(&self, before: &Account, after: &Account) -> Result<(), Error> {
        if before.email == after.email {
            return Ok(());
        }
        let owners = accounts::taken(&mut *self.db.read().await?, vec![after.email.0.clone()]).await?;
        if owners.is_empty() { Ok(()) } else { Err(Error::AddressTaken) }
    }

    /// None when somebody else changed the account meanwhile.
    async fn change_once(
        &self,
        caller: &Caller,
        before: &Account,
        after: &Account,
    ) -> Result<Option<Done>, Error> {
        let usable = |account: &Account| account.state == AccountState::Active;
        let doubt = (!usable(after)).then(|| self.doubt(caller, before.id));
        if doubt.is_some()
            && let Err(error) = self.ask_to_switch_off(caller, before.id).await
        {
            let told = contracts::Error::from(error);
            // A refusal is an answer: nothing was done.
            doubt.filter(|_| told.kind == Kind::Conflict).into_iter().for_each(Doubt::settle);
            return Err(told.into());
        }
        let done = self.db.transaction(async |tx| self.write_change(tx, caller, before, after).await).await;
        self.forget_account(before.id).await;
        match (&done, doubt) {
            (Ok(Some(done)), doubt) => {
                doubt.into_iter().for_each(Doubt::settle);
                self.forget_standings(&done.ended).await;
                if usable(after) && !usable(before) {
                    self.tell_usable(caller, before.id).await;
                }
            }
            (Ok(None) | Err(_), Some(doubt)) => self.take_back(caller, doubt).await,
            (Ok(None) | Err(_), None) => {}
        }
        done
    }

    async fn write_change(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        before: &Account,
        after: &Account,
    ) -> Result<Option<Done>, Error> {
        let now = self.now();
        let written =
            accounts::update(tx, after, before.revision, now).await.map_err(|error| match error {
                db::Error::Duplicate => Error::AddressTaken,
                other => other.into(),
            })?;
        let Some(account) = written else { return Ok(None) };
        requests::close_all(tx, account.id, now).await?;
        // All logins end here, so none is left to be disowned.
        requests::close_reports(tx, account.id, now).await?;
        let reason = match account.state {
            AccountState::Disabled => RevokedReason::AccountDisabled,
            AccountState::Deleted => RevokedReason::AccountDeleted,
            AccountState::Unverified | AccountState::Active => RevokedReason::Revoked,
        };
        let ended = sessions::end_all(tx, account.id, reason, now).await?;
        for session in &ended {
            tell(tx, caller, account.id, *session, reason, now).await?;
        }
        tell_change(tx, caller, before, &account, now).await?;
        if account.state == AccountState::Unverified {
            self.ask_for_proof(tx, caller, account.id, None).await?;
        }
        Ok(Some(Done { account, ended }))
    }
}

async fn tell_change(
    tx: &mut DbConn,
    caller: &Caller,
    before: &Account,
    after: &Account,
    now: Time,
) -> Result<(), Error> {
    let user: UserId = after.id;
    if before.email != after.email {
        let previous = EmailAddress::parse(&before.email.0).map_err(contracts::Error::internal)?;
        outbox::publish(tx, now, caller, &AccountEmailChanged { user, previous }).await?;
    }
    if before.verified_at.is_none() && after.verified_at.is_some() {
        outbox::publish(tx, now, caller, &AccountVerified { user }).await?;
    }
    if before.state != after.state {
        outbox::publish(tx, now, caller, &AccountStateChanged { user, state: after.state }).await?;
    }
    let (was, is) = (redacted(before, after), redacted(after, before));
    let entry = Entry { before: Some(was), after: Some(is), ..entry("auth.account.changed", user) };
    audit::record(tx, now, caller, entry).await?;
    Ok(())
}

/// The fields of one account that the other has otherwise; of an address only that it is another one.
fn redacted(one: &Account, other: &Account) -> Value {
    let mut fields = Map::new();
    if one.email != other.email {
        fields.insert("email".to_owned(), Value::Bool(true));
    }
    if one.verified_at.is_some() != other.verified_at.is_some() {
        fields.insert("email_verified".to_owned(), Value::Bool(one.verified_at.is_some()));
    }
    if one.state != other.state {
        fields.insert("state".to_owned(), Value::from(one.state.as_str()));
    }
    Value::Object(fields)
}
