//! Accepting an invitation: its link proves the address and lets its owner choose the first password.
//!
//! Everything that was typed in is checked before anything is hashed, and hashed before the secret is spent. The
//! account must still be without a password of its owner's: unproven, or vouched for and never used.

use contracts::auth::{AccountState, AccountStateChanged, AccountVerified};
use contracts::{Caller, EmailAddress, Error as Shared, Fields, Time, UserId};
use platform::audit::{self, Entry};
use platform::db::DbConn;
use platform::outbox;
use serde_json::json;

use super::Service;
use super::register::{broken, entry};
use crate::error::Error;
use crate::model::{Account, Invitation, OneTimeRequest, Password, PasswordHash, RequestKind, Secret};
use crate::store::{accounts, requests};

/// What somebody typed in.
pub(crate) struct AcceptInvitation {
    pub(crate) token: String,
    pub(crate) password: Password,
}

impl Service {
    /// # Errors
    /// 422 for what is no invitation and for every rule that the password breaks; 410 for one that was used or is over;
    /// 503 when hashing or the database can't keep up.
    pub(crate) async fn accept(&self, caller: &Caller, ask: AcceptInvitation) -> Result<(), Error> {
        let user = self.accept_once(caller, ask).await;
        let word = match &user {
            Ok(_) => "accepted",
            Err(Error::SpentToken) => "spent",
            Err(_) => "refused",
        };
        metrics::counter!("doorward_invitations_total", "outcome" => word).increment(1);
        let user = user?;
        self.forget_account(user).await;
        self.tell_usable(caller, user).await;
        Ok(())
    }

    async fn accept_once(&self, caller: &Caller, ask: AcceptInvitation) -> Result<UserId, Error> {
        let secret = Secret::<Invitation>::parse(&ask.token);
        let invited = match &secret {
            Some(secret) => Some(self.find_invited(&mut *self.db.read().await?, secret).await?.1),
            None => None,
        };
        let mut fields = Fields::default();
        if secret.is_none() {
            fields.broken("/token", "unknown_token", "This is not a valid token.");
        }
        let email = invited.map(|account| EmailAddress::parse(&account.email.0)).transpose();
        let email = email.map_err(Shared::internal)?;
        self.check_password(&mut fields, "/password", &ask.password, email.as_ref(), None);
        let Some(secret) = secret.filter(|_| fields.is_empty()) else { return Err(broken(fields)) };
        let password = self.hash_for(caller, &ask.password).await?;
        self.db
            .transaction(async |tx| {
                let now = self.now();
                let (request, account) = self.find_invited(tx, &secret).await?;
                let user = redeem(tx, caller, &request, account.id, &password, now).await?;
                // Whoever reads the mail is here, so the first login from here is no news.
                self.remember_device(tx, caller, now, user).await?;
                Ok(user)
            })
            .await
    }

    /// The open invitation that a secret belongs to, and who is invited.
    async fn find_invited(
        &self,
        c: &mut DbConn,
        secret: &Secret<Invitation>,
    ) -> Result<(OneTimeRequest, Account), Error> {
        let found = requests::find_by_secret(c, RequestKind::Invitation, secret.hash()).await?;
        let request = found.ok_or(Error::UnknownToken)?;
        if !request.is_open(self.now()) {
            return Err(Error::SpentToken);
        }
        let Some(user) = request.account else {
            return Err(Shared::internal("an invitation without an account").into());
        };
        let account = accounts::find(c, user).await?.ok_or(Error::SpentToken)?;
        Ok((request, account))
    }
}

/// The account is locked first, as everywhere; what is decided is decided by the updates.
async fn redeem(
    tx: &mut DbConn,
    caller: &Caller,
    request: &OneTimeRequest,
    user: UserId,
    password: &PasswordHash,
    now: Time,
) -> Result<UserId, Error> {
    let was_unverified = accounts::activate(tx, user, now).await?.is_some();
    if !was_unverified {
        accounts::note_first_password(tx, user, now).await?.ok_or(Error::SpentToken)?;
        if accounts::has_password(tx, user).await? {
            return Err(Error::SpentToken);
        }
    }
    if !requests::spend(tx, request.id, now).await? {
        return Err(Error::SpentToken);
    }
    requests::close_all(tx, user, now).await?;
    accounts::set_password(tx, user, password, now).await?;
    if was_unverified {
        outbox::publish(tx, now, caller, &AccountVerified { user }).await?;
        outbox::publish(tx, now, caller, &AccountStateChanged { user, state: AccountState::Active }).await?;
    }
    let was = if was_unverified { "unverified" } else { "active" };
    let states = (json!({ "state": was, "password": false }), json!({ "state": "active", "password": true }));
    let entry =
        Entry { before: Some(states.0), after: Some(states.1), ..entry("auth.invitation.accepted", user) };
    audit::record(tx, now, caller, entry).await?;
    Ok(user)
}
