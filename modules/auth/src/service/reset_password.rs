//! Choosing a new password with the link of a reset: everything that the old one opened is closed in the same commit.
//!
//! Whoever opens the link reads the mail of the address. So an account that nobody has proven becomes active with it,
//! and that is safe: it had no password and no session, every other link of it is closed in the same commit, and with
//! them go the passwords of whoever registered the address before (see decision 0006). Nobody who waits for the owner
//! to prove the address gains anything by it. The link is bound to the account as it was when it was asked for: a
//! password that changed in between makes it worthless.

use contracts::auth::{AccountState, AccountStateChanged, AccountVerified, PasswordChanged};
use contracts::{Caller, EmailAddress, Error as Shared, Fields, SessionId, Time};
use platform::audit::{self, Entry};
use platform::db::DbConn;
use platform::outbox;
use serde_json::json;

use super::Service;
use super::register::{broken, entry};
use super::request_reset::may_reset;
use super::revoke_sessions::tell;
use crate::error::Error;
use crate::model::{
    Account, OneTimeRequest, Password, PasswordHash, PasswordReset, RequestKind, RevokedReason, Secret,
};
use crate::store::{accounts, devices, requests, sessions};

/// What somebody chose behind a link.
pub(crate) struct ResetPassword {
    pub(crate) token: String,
    pub(crate) new_password: Password,
}

impl Service {
    /// # Errors
    /// 422 for what is no token of a reset, 410 for one that was used, is over, or was overtaken by another change; 422
    /// with every rule that the password breaks, and then the link can still be used; 503 when hashing can't keep up.
    pub(crate) async fn reset_password(&self, caller: &Caller, ask: ResetPassword) -> Result<(), Error> {
        let secret = Secret::parse(&ask.token).ok_or(Error::UnknownToken)?;
        let request = find_reset(&mut *self.db.read().await?, &secret, self.now()).await?;
        self.check_reset(&request, &ask.new_password).await?;
        let password = self.hash_for(caller, &ask.new_password).await?;
        let (account, ended) = self
            .db
            .transaction(async |tx| {
                let now = self.now();
                let request = find_reset(tx, &secret, now).await?;
                self.write_reset(tx, caller, &request, &password, now).await
            })
            .await?;
        self.forget_standings(&ended).await;
        if account.state == AccountState::Unverified {
            self.forget_account(account.id).await;
        }
        metrics::counter!("doorward_password_changes_total", "how" => "reset").increment(1);
        Ok(())
    }

    /// Before anything is spent.
    async fn check_reset(&self, request: &OneTimeRequest, password: &Password) -> Result<(), Error> {
        let user = request.account.ok_or(Error::SpentToken)?;
        let account = accounts::find(&mut *self.db.read().await?, user).await?;
        let account = account.filter(|it| opens(request, it)).ok_or(Error::SpentToken)?;
        let email = EmailAddress::parse(&account.email.0).map_err(Shared::internal)?;
        let mut fields = Fields::default();
        self.check_password(&mut fields, "/new_password", password, Some(&email), None);
        if fields.is_empty() { Ok(()) } else { Err(broken(fields)) }
    }

    /// The account as it was, and the sessions that ended.
    async fn write_reset(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        request: &OneTimeRequest,
        password: &PasswordHash,
        now: Time,
    ) -> Result<(Account, Vec<SessionId>), Error> {
        let user = request.account.ok_or(Error::SpentToken)?;
        let account = accounts::lock(tx, user).await?;
        let account = account.filter(|it| opens(request, it)).ok_or(Error::SpentToken)?;
        if !requests::spend(tx, request.id, now).await? {
            return Err(Error::SpentToken);
        }
        if account.state == AccountState::Unverified {
            accounts::activate(tx, user, now).await?.ok_or(Error::SpentToken)?;
            outbox::publish(tx, now, caller, &AccountVerified { user }).await?;
            outbox::publish(tx, now, caller, &AccountStateChanged { user, state: AccountState::Active })
                .await?;
        } else if !accounts::renew(tx, user, account.credential_version, now).await? {
            return Err(Error::SpentToken);
        }
        requests::close_all(tx, user, now).await?;
        // Whoever reads the mail has locked out everybody else, so no login is left to be disowned.
        requests::close_reports(tx, user, now).await?;
        accounts::set_password(tx, user, password, now).await?;
        // Whoever knew the old password may have logged in from anywhere.
        devices::forget_all(tx, user).await?;
        let ended = sessions::end_all(tx, user, RevokedReason::PasswordReset, now).await?;
        for session in &ended {
            tell(tx, caller, user, *session, RevokedReason::PasswordReset, now).await?;
        }
        outbox::publish(tx, now, caller, &PasswordChanged { user, reset: true }).await?;
        let state = |word: AccountState, version: i64| {
            Some(json!({ "state": word.as_str(), "credential_version": version }))
        };
        let entry = Entry {
            before: state(account.state, account.credential_version),
            after: state(AccountState::Active, account.credential_version.saturating_add(1)),
            ..entry("auth.password.reset", user)
        };
        audit::record(tx, now, caller, entry).await?;
        self.forgive_network(tx, caller, &account.email.0).await?;
        Ok((account, ended))
    }
}

/// The reset that a secret belongs to, as long as it is open.
async fn find_reset(
    c: &mut DbConn,
    secret: &Secret<PasswordReset>,
    now: Time,
) -> Result<OneTimeRequest, Error> {
    let found = requests::find_by_secret(c, RequestKind::PasswordReset, secret.hash()).await?;
    let request = found.ok_or(Error::UnknownToken)?;
    if request.is_open(now) { Ok(request) } else { Err(Error::SpentToken) }
}

/// Whether the reset is for the account as it is now.
fn opens(request: &OneTimeRequest, account: &Account) -> bool {
    may_reset(account) && request.credential_version == Some(account.credential_version)
}
