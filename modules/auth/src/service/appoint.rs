//! Making an administrator from outside of HTTP: by whoever may run commands beside the database.
//!
//! Asking again changes nothing: who is an administrator already keeps password, sessions and account. Any other account that
//! is there is taken over, because whoever made it may know its password. Who can run the command vouches for the address
//! when he chooses the password; an invitation lets its owner prove it.

use contracts::auth::{AccountRegistered, AccountState};
use contracts::permissions::{AssignRole, Evaluate, Subject};
use contracts::{Caller, EmailAddress, Error as Shared, Fields, SessionId, Time, UserId};
use platform::db::DbConn;
use platform::outbox;

use super::Service;
use super::register::{broken, new_account};
use super::set_up::{ADMIN, appoint, note_appointment};
use super::standing::Doubt;
use super::take_over::take_over;
use crate::error::Error;
use crate::model::{Account, Password, PasswordHash, RequestKind};
use crate::store::{accounts, setup};

/// What a permission calls every action and every type.
const EVERYTHING: &str = "*";

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
    /// What became of the account.
    pub how: Appointment,
}

/// What became of the account of an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appointment {
    /// It was made.
    Made,
    /// It was there: its password is forgotten, its sessions are ended, and its links are closed.
    TakenOver,
    /// It was an administrator's before, and nothing changed.
    Already,
}

impl Service {
    /// Makes the person with this address an administrator.
    ///
    /// # Errors
    /// `Invalid` with every rule that address and password break; `Conflict` when the account is disabled or deleted, or is
    /// changed at this moment; what the database and permissions say.
    pub async fn appoint_administrator(
        &self,
        caller: &Caller,
        email: &str,
        access: FirstAccess,
    ) -> Result<Appointed, Shared> {
        let (email, password) = self.check_appointment(email, access).await?;
        let found = accounts::find_by_email(&mut *self.db.read().await.map_err(Error::from)?, &email).await;
        let there = found.map_err(Error::from)?;
        let how = match &there {
            None => Appointment::Made,
            Some(account) => self.appointment_of(caller, account).await?,
        };
        let user = match (how, there, &password) {
            (Appointment::Already, Some(account), _) => {
                self.end_set_up().await?;
                account.id
            }
            (_, there, Some(password)) => self.appoint_with_password(caller, &email, there, password).await?,
            (_, there, None) => self.appoint_by_invitation(caller, &email, there).await?,
        };
        let ask = AssignRole {
            subject: Subject::user(user),
            role: ADMIN.to_owned(),
            resource: None,
            expires_at: None,
        };
        self.permissions.assign_role(caller, ask).await?;
        Ok(Appointed { user, how })
    }

    /// What is to become of an account that is there. One that is unproven is in nobody's use, whatever role it has.
    async fn appointment_of(&self, caller: &Caller, account: &Account) -> Result<Appointment, Shared> {
        match account.state {
            AccountState::Disabled | AccountState::Deleted => {
                let text = "The account with this address is disabled or deleted. Enable it first.";
                Err(Shared::conflict("auth.account_not_usable", text))
            }
            AccountState::Active if self.is_administrator(caller, account.id).await? => {
                Ok(Appointment::Already)
            }
            AccountState::Active | AccountState::Unverified => Ok(Appointment::TakenOver),
        }
    }

    /// Whether somebody may do everything there is.
    async fn is_administrator(&self, caller: &Caller, user: UserId) -> Result<bool, Shared> {
        let ask = Evaluate {
            subject: Subject::user(user),
            action: EVERYTHING.to_owned(),
            resource_type: EVERYTHING.to_owned(),
            resource_id: None,
            resource_properties: serde_json::Map::new(),
        };
        Ok(self.permissions.evaluate(caller, ask).await?.allowed)
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
        there: Option<Account>,
        password: &PasswordHash,
    ) -> Result<UserId, Error> {
        let now = self.now();
        let (user, ended) = self
            .db
            .transaction(async |tx| {
                setup::complete(tx, now).await?;
                let Some(account) = &there else { return appoint(tx, caller, email, password, now).await };
                let ended = take_over(tx, caller, account, Some(password), now).await?;
                note_appointment(tx, caller, account.id, now).await?;
                Ok((account.id, ended))
            })
            .await?;
        self.forget_account(user).await;
        self.forget_standings(&ended).await;
        self.tell_usable(caller, user).await;
        Ok(user)
    }

    async fn appoint_by_invitation(
        &self,
        caller: &Caller,
        email: &EmailAddress,
        there: Option<Account>,
    ) -> Result<UserId, Error> {
        let now = self.now();
        let fresh = Account { self_registered: false, ..new_account(email, now) };
        let user = there.as_ref().map_or(fresh.id, |account| account.id);
        let in_use = there.as_ref().is_some_and(|account| account.state == AccountState::Active);
        let doubt = in_use.then(|| self.doubt(caller, user));
        self.ask_to_switch_off(caller, user).await?;
        let invited = self
            .db
            .transaction(async |tx| {
                setup::complete(tx, now).await?;
                self.write_invited(tx, caller, there, fresh, now).await
            })
            .await;
        self.forget_account(user).await;
        match (&invited, doubt) {
            (Ok(ended), doubt) => {
                doubt.into_iter().for_each(Doubt::settle);
                self.forget_standings(ended).await;
            }
            (Err(_), Some(doubt)) => self.take_back(caller, doubt).await,
            (Err(_), None) => {}
        }
        invited.map(|_| user)
    }

    /// The sessions that ended.
    async fn write_invited(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        there: Option<Account>,
        fresh: Account,
        now: Time,
    ) -> Result<Vec<SessionId>, Error> {
        let user = there.as_ref().map_or(fresh.id, |account| account.id);
        let ended = match there {
            Some(account) => take_over(tx, caller, &account, None, now).await?,
            None => {
                if !accounts::insert(tx, fresh).await? {
                    return Err(Error::AddressTaken);
                }
                let fact = AccountRegistered { user, display_name: None, locale: None };
                outbox::publish(tx, now, caller, &fact).await?;
                Vec::new()
            }
        };
        self.open_proof(tx, caller, user, RequestKind::Invitation, None).await?;
        note_appointment(tx, caller, user, now).await?;
        Ok(ended)
    }
}
