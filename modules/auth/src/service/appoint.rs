//! Making an administrator from outside of HTTP: by whoever may run commands beside the database.
//!
//! Asking again changes nothing: somebody whose address is proven keeps password and account, and only gets the role.
//! Who can run the command vouches for the address when he chooses the password; an invitation lets its owner prove it.

use contracts::auth::{AccountRegistered, AccountState, AdministratorAppointed};
use contracts::permissions::{AssignRole, Subject};
use contracts::{Caller, EmailAddress, Error as Shared, Fields, Time, UserId};
use platform::db::DbConn;
use platform::{audit, outbox};

use super::Service;
use super::register::{broken, entry, new_account};
use super::set_up::{ADMIN, appoint};
use crate::error::Error;
use crate::model::{Account, Password, PasswordHash, RequestKind};
use crate::store::{accounts, requests, setup};

/// How an administrator gets in.
#[derive(Clone)]
pub enum FirstAccess {
    /// With this password.
    Password(String),
    /// By an invitation that is sent to the address.
    Invitation,
}

impl std::fmt::Debug for FirstAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Invitation) { "Invitation" } else { "Password(***)" })
    }
}

/// Who is administrator now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appointed {
    /// The person.
    pub user: UserId,
    /// Whether there was an account in use already: its password stays as it is.
    pub was_there: bool,
}

impl Service {
    /// Makes the person with this address an administrator.
    ///
    /// # Errors
    /// `Invalid` with every rule that address and password break; `Conflict` when the account is disabled or deleted;
    /// what the database and permissions say.
    pub async fn appoint_administrator(
        &self,
        caller: &Caller,
        email: &str,
        access: FirstAccess,
    ) -> Result<Appointed, Shared> {
        let (email, password) = self.check_appointment(email, access).await?;
        let found = accounts::find_by_email(&mut *self.db.read().await.map_err(Error::from)?, &email).await;
        let found = found.map_err(Error::from)?;
        let appointed = match found {
            Some(account) if account.state == AccountState::Active => {
                self.end_set_up().await?;
                Appointed { user: account.id, was_there: true }
            }
            Some(account) if account.state != AccountState::Unverified => {
                let text = "The account with this address is disabled or deleted. Enable it first.";
                return Err(Shared::conflict("auth.account_not_usable", text));
            }
            unproven => {
                let user = match password {
                    Some(password) => self.appoint_with_password(caller, &email, &password).await?,
                    None => self.appoint_by_invitation(caller, &email, unproven).await?,
                };
                Appointed { user, was_there: false }
            }
        };
        let ask = AssignRole {
            subject: Subject::user(appointed.user),
            role: ADMIN.to_owned(),
            resource: None,
            expires_at: None,
        };
        self.permissions.assign_role(caller, ask).await?;
        Ok(appointed)
    }

    async fn check_appointment(
        &self,
        email: &str,
        access: FirstAccess,
    ) -> Result<(EmailAddress, Option<PasswordHash>), Error> {
        let mut fields = Fields::default();
        let (email, password) = match access {
            FirstAccess::Password(text) => {
                let password = Password::typed(text);
                (self.check_credentials(&mut fields, email, &password), Some(password))
            }
            FirstAccess::Invitation => (fields.take("/email", EmailAddress::parse(email)), None),
        };
        let Some(email) = email.filter(|_| fields.is_empty()) else { return Err(broken(fields)) };
        let password = match password {
            Some(password) => Some(self.passwords.hash(&password).await?),
            None => None,
        };
        Ok((email, password))
    }

    /// From now on, the printed link makes nobody administrator.
    async fn end_set_up(&self) -> Result<(), Error> {
        setup::complete(&mut *self.db.write().await?, self.now()).await?;
        Ok(())
    }

    async fn appoint_with_password(
        &self,
        caller: &Caller,
        email: &EmailAddress,
        password: &PasswordHash,
    ) -> Result<UserId, Error> {
        let now = self.now();
        let user = self
            .db
            .transaction(async |tx| {
                setup::complete(tx, now).await?;
                appoint(tx, caller, email, password, now).await
            })
            .await?;
        self.forget_account(user).await;
        self.tell_usable(caller, user).await;
        Ok(user)
    }

    async fn appoint_by_invitation(
        &self,
        caller: &Caller,
        email: &EmailAddress,
        unproven: Option<Account>,
    ) -> Result<UserId, Error> {
        let now = self.now();
        let fresh = Account { self_registered: false, ..new_account(email, now) };
        let user = unproven.as_ref().map_or(fresh.id, |account| account.id);
        self.ask_to_switch_off(caller, user).await?;
        self.db
            .transaction(async |tx| {
                setup::complete(tx, now).await?;
                self.write_invited(tx, caller, unproven, fresh, now).await
            })
            .await?;
        self.forget_account(user).await;
        Ok(user)
    }

    /// An unproven account is taken over, with all its open links.
    async fn write_invited(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        unproven: Option<Account>,
        fresh: Account,
        now: Time,
    ) -> Result<(), Error> {
        let user = unproven.as_ref().map_or(fresh.id, |account| account.id);
        match unproven {
            Some(account) => {
                let taken_over = Account { self_registered: false, ..account };
                let written = accounts::update(tx, &taken_over, taken_over.revision, now).await?;
                written.ok_or(Error::AccountChanged)?;
                requests::close_all(tx, user, now).await?;
            }
            None => {
                if !accounts::insert(tx, fresh).await? {
                    return Err(Error::AddressTaken);
                }
                let fact = AccountRegistered { user, display_name: None, locale: None };
                outbox::publish(tx, now, caller, &fact).await?;
            }
        }
        self.open_proof(tx, caller, user, RequestKind::Invitation, None).await?;
        outbox::publish(tx, now, caller, &AdministratorAppointed { user }).await?;
        audit::record(tx, now, caller, entry("auth.administrator.appointed", user)).await?;
        Ok(())
    }
}
