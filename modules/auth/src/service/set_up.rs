//! The first administrator: made once, by whoever holds the link that the first start printed.
//!
//! The link proves that somebody can read the program's output, which is proof enough for the address as well. The
//! role is given by permissions after the commit; when that fails, the event that tells of the appointment does the
//! same a moment later.

use contracts::auth::{
    AccountRegistered, AccountState, AccountStateChanged, AccountVerified, AdministratorAppointed,
};
use contracts::permissions::{AssignRole, Subject};
use contracts::{Caller, EmailAddress, Error as Shared, Fields, OneTimeRequestId, SessionId, Time, UserId};
use platform::db::DbConn;
use platform::{audit, outbox};

use super::Service;
use super::mint_link::add_secret;
use super::register::{broken, entry, new_account};
use super::take_over::take_over;
use crate::error::Error;
use crate::model::{OneTimeRequest, Password, PasswordHash, RequestKind, Secret, Setup};
use crate::store::{accounts, requests, setup};

/// The role of administrators.
pub(super) const ADMIN: &str = "admin";

/// What the first administrator typed in.
pub(crate) struct SetUp {
    pub(crate) token: String,
    pub(crate) email: String,
    pub(crate) password: Password,
}

/// The link that makes the first administrator. It is for the operator's eyes: `Debug` hides it, `reveal` doesn't.
pub struct SetupLink(String);

impl SetupLink {
    /// The address to open.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SetupLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetupLink(***)")
    }
}

impl Service {
    /// A fresh link for the first administrator; none when there is one. Links from earlier starts stay good until
    /// their time is over, because several replicas may start at once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn setup_link(&self) -> Result<Option<SetupLink>, Shared> {
        Ok(self.new_setup_link().await?)
    }

    async fn new_setup_link(&self) -> Result<Option<SetupLink>, Error> {
        let now = self.now();
        self.db
            .transaction(async |tx| {
                if setup::is_completed(tx).await? {
                    return Ok(None);
                }
                let request = OneTimeRequest {
                    id: OneTimeRequestId::new(),
                    kind: RequestKind::Setup,
                    account: None,
                    session: None,
                    password_hash: None,
                    credential_version: None,
                    created_at: now,
                    expires_at: now.plus(self.settings.links.setup()),
                    used_at: None,
                };
                let id = request.id;
                requests::insert(tx, request).await?;
                let secret: Secret<Setup> = add_secret(tx, id, now).await?;
                Ok(Some(SetupLink(self.url("setup", &secret))))
            })
            .await
    }

    /// Makes the first administrator.
    ///
    /// # Errors
    /// 410 once there is one, or when the link is over; 422 with every broken rule; 409 when the address has an owner
    /// already.
    pub(crate) async fn set_up(&self, caller: &Caller, ask: SetUp) -> Result<(UserId, EmailAddress), Error> {
        if setup::is_completed(&mut *self.db.read().await?).await? {
            return Err(Error::SetupCompleted);
        }
        let (secret, email) = self.check_set_up(&ask)?;
        self.find_open_setup(&mut *self.db.read().await?, &secret).await?;
        let password = self.passwords.hash(&ask.password).await?;
        let (user, ended) = self
            .db
            .transaction(async |tx| {
                let request = self.find_open_setup(tx, &secret).await?;
                let now = self.now();
                if !setup::complete(tx, now).await? {
                    return Err(Error::SetupCompleted);
                }
                let made = appoint(tx, caller, &email, &password, now).await?;
                let spent = requests::spend(tx, request, now).await?;
                if spent { Ok(made) } else { Err(Error::SpentToken) }
            })
            .await?;
        self.forget_account(user).await;
        self.forget_standings(&ended).await;
        self.tell_usable(caller, user).await;
        self.give_role(caller, user).await;
        Ok((user, email))
    }

    fn check_set_up(&self, ask: &SetUp) -> Result<(Secret<Setup>, EmailAddress), Error> {
        let mut fields = Fields::default();
        let secret = Secret::parse(&ask.token);
        if secret.is_none() {
            fields.broken("/token", "unknown_token", "This is not a valid token.");
        }
        let email = self.check_credentials(&mut fields, &ask.email, &ask.password);
        match (secret, email) {
            (Some(secret), Some(email)) if fields.is_empty() => Ok((secret, email)),
            _ => Err(broken(fields)),
        }
    }

    async fn find_open_setup(
        &self,
        c: &mut DbConn,
        secret: &Secret<Setup>,
    ) -> Result<OneTimeRequestId, Error> {
        let found = requests::find_by_secret(c, RequestKind::Setup, secret.hash()).await?;
        let request = found.ok_or(Error::UnknownToken)?;
        if request.is_open(self.now()) { Ok(request.id) } else { Err(Error::SpentToken) }
    }

    /// Asks permissions for the role. A failure is not the administrator's: the event will do it.
    async fn give_role(&self, caller: &Caller, user: UserId) {
        let ask = AssignRole {
            subject: Subject::user(user),
            role: ADMIN.to_owned(),
            resource: None,
            expires_at: None,
        };
        if let Err(error) = self.permissions.assign_role(&caller.acting_as_module("auth"), ask).await {
            tracing::warn!(code = %error.code, user.id = %user, "the administrator gets the role a little later");
        }
    }
}

/// An active account with this password, and the sessions that ended with it. One that nobody has proven yet is taken over;
/// one that somebody has proven is not.
pub(super) async fn appoint(
    tx: &mut DbConn,
    caller: &Caller,
    email: &EmailAddress,
    password: &PasswordHash,
    now: Time,
) -> Result<(UserId, Vec<SessionId>), Error> {
    let fresh = new_account(email, now);
    let mut made = (fresh.id, Vec::new());
    if accounts::insert(tx, fresh).await? {
        let user = made.0;
        accounts::activate(tx, user, now).await?.ok_or(Error::AddressTaken)?;
        accounts::set_password(tx, user, password, now).await?;
        outbox::publish(tx, now, caller, &AccountRegistered { user, display_name: None, locale: None })
            .await?;
        outbox::publish(tx, now, caller, &AccountVerified { user }).await?;
        outbox::publish(tx, now, caller, &AccountStateChanged { user, state: AccountState::Active }).await?;
    } else {
        let found = accounts::find_by_email(tx, email).await?;
        let there = found.filter(|it| it.state == AccountState::Unverified).ok_or(Error::AddressTaken)?;
        made = (there.id, take_over(tx, caller, &there, Some(password), now).await?);
    }
    note_appointment(tx, caller, made.0, now).await?;
    Ok(made)
}

/// Tells that somebody is administrator now.
pub(super) async fn note_appointment(
    tx: &mut DbConn,
    caller: &Caller,
    user: UserId,
    now: Time,
) -> Result<(), Error> {
    outbox::publish(tx, now, caller, &AdministratorAppointed { user }).await?;
    audit::record(tx, now, caller, entry("auth.administrator.appointed", user)).await?;
    Ok(())
}
