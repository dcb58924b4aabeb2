//! Choosing a new password by somebody who is logged in and knows the old one.
//!
//! The old password is tried like one of a login: the same counters, the same hash of nobody's when there is none. So a
//! stolen session is no way to guess it. The session that asks goes on, the others end unless they are to be kept.

use contracts::auth::{AccountState, PasswordChanged};
use contracts::{Caller, EmailAddress, Error as Shared, Fields, SessionId, Time, UserId};
use platform::audit::{self, Entry, Outcome};
use platform::db::DbConn;
use platform::outbox;
use serde_json::json;

use super::Service;
use super::login::too_long;
use super::register::{broken, entry};
use super::revoke_sessions::tell;
use super::throttle::Try;
use crate::error::Error;
use crate::model::{Account, Password, PasswordHash, RevokedReason};
use crate::store::{accounts, requests, sessions};

/// What somebody typed in.
pub(crate) struct ChangePassword {
    pub(crate) current_password: Password,
    pub(crate) new_password: Password,
    pub(crate) keep_other_sessions: bool,
}

impl Service {
    /// # Errors
    /// 422 with every rule that the new password breaks; 401 when the current one is wrong; 429 after too many
    /// failures, also those of logins; 503.
    pub(crate) async fn change_password(
        &self,
        caller: &Caller,
        user: UserId,
        session: SessionId,
        ask: ChangePassword,
    ) -> Result<(), Error> {
        if !ask.current_password.fits() {
            return Err(too_long("/current_password"));
        }
        let account = accounts::find(&mut *self.db.read().await?, user).await?;
        let account = account.ok_or(Error::InvalidCredentials)?;
        self.check_change(&account, &ask.new_password)?;
        let this = self.admit(caller, &account.email.0).await?;
        let account = self.prove(caller, user, &this, &ask.current_password).await?;
        let password = self.passwords.hash(&ask.new_password).await?;
        let ended = self
            .db
            .transaction(async |tx| {
                let now = self.now();
                let keep = ask.keep_other_sessions;
                let ended = write_change(tx, caller, &account, session, &password, keep, now).await?;
                this.forgive(tx).await?;
                Ok::<_, Error>(ended)
            })
            .await?;
        self.forget_standings(&ended).await;
        metrics::counter!("doorward_password_changes_total", "how" => "change").increment(1);
        Ok(())
    }

    fn check_change(&self, account: &Account, password: &Password) -> Result<(), Error> {
        let email = EmailAddress::parse(&account.email.0).map_err(Shared::internal)?;
        let mut fields = Fields::default();
        self.check_password(&mut fields, "/new_password", password, Some(&email), None);
        if fields.is_empty() { Ok(()) } else { Err(broken(fields)) }
    }

    /// The account, when the password is its own.
    async fn prove(
        &self,
        caller: &Caller,
        user: UserId,
        this: &Try,
        password: &Password,
    ) -> Result<Account, Error> {
        let found = accounts::get_with_password(&mut *self.db.read().await?, user).await?;
        let (account, hash) = found.ok_or(Error::InvalidCredentials)?;
        let fits = self.passwords.verify(password, hash).await?;
        if fits && account.state == AccountState::Active {
            return Ok(account);
        }
        let now = self.now();
        self.db
            .transaction(async |tx| {
                this.count_failure(tx, now).await?;
                let refused =
                    Entry { outcome: Outcome::Refused, ..entry("auth.password.change_refused", user) };
                audit::record(tx, now, caller, refused).await?;
                Ok::<_, Error>(())
            })
            .await?;
        Err(Error::InvalidCredentials)
    }
}

/// The sessions that ended.
async fn write_change(
    tx: &mut DbConn,
    caller: &Caller,
    account: &Account,
    session: SessionId,
    password: &PasswordHash,
    keep_others: bool,
    now: Time,
) -> Result<Vec<SessionId>, Error> {
    let (user, version) = (account.id, account.credential_version.saturating_add(1));
    if !accounts::renew(tx, user, account.credential_version, now).await? {
        return Err(Error::InvalidCredentials);
    }
    requests::close_all(tx, user, now).await?;
    accounts::set_password(tx, user, password, now).await?;
    if keep_others {
        sessions::rebind_all(tx, user, version, now).await?;
    }
    // Whoever ended this session in the meantime has ended what it was doing.
    if !sessions::rebind(tx, user, session, version, now).await? {
        return Err(Error::InvalidCredentials);
    }
    let ended = if keep_others {
        Vec::new()
    } else {
        sessions::revoke_others(tx, user, session, RevokedReason::PasswordChanged, now).await?
    };
    for session in &ended {
        tell(tx, caller, user, *session, RevokedReason::PasswordChanged, now).await?;
    }
    outbox::publish(tx, now, caller, &PasswordChanged { user, reset: false }).await?;
    let versions = |version: i64| Some(json!({ "credential_version": version }));
    let entry = Entry {
        before: versions(account.credential_version),
        after: versions(version),
        ..entry("auth.password.changed", user)
    };
    audit::record(tx, now, caller, entry).await?;
    Ok(ended)
}
