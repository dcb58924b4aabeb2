//! Telling permissions whether somebody's account can be used, because who can't log in is no administrator to count
//! on.
//!
//! An account is switched off only after permissions agreed, and called usable only after it is switched on: what goes
//! wrong in between leaves permissions too careful and never too bold. The event of the change sets it right; where there
//! was no change although permissions may have agreed, a [`Doubt`] does.

use contracts::auth::{AccountState, StandingDoubted};
use contracts::permissions::SetStanding;
use contracts::{Caller, Kind, UserId};
use platform::clock::Clock;
use platform::db::Database;
use platform::outbox;
use tokio::runtime::Handle;

use super::Service;
use crate::error::Error;
use crate::model::Account;
use crate::store::accounts;

/// The revision of an account whose owner registered and proved the address, and of which nothing else was ever said:
/// permissions never thought that it can't be used.
const PROVEN: i64 = 2;

impl Service {
    /// Asks whether the account may be switched off.
    ///
    /// # Errors
    /// `Conflict` when nobody would be left who is administrator.
    pub(super) async fn ask_to_switch_off(&self, caller: &Caller, user: UserId) -> Result<(), Error> {
        let ask = SetStanding { user, active: false };
        self.permissions.set_standing(&caller.acting_as_module("auth"), ask).await?;
        Ok(())
    }

    /// Says that the account can be used. A failure is not the caller's: the event will do it.
    pub(super) async fn tell_usable(&self, caller: &Caller, user: UserId) {
        let ask = SetStanding { user, active: true };
        if let Err(error) = self.permissions.set_standing(&caller.acting_as_module("auth"), ask).await {
            tracing::warn!(code = %error.code, user.id = %user, "permissions hears a little later that an account can be used");
        }
    }

    /// Takes back that the account is switched off, because it was not; the doubt stays when that does not succeed.
    pub(super) async fn take_back(&self, caller: &Caller, doubt: Doubt) {
        if self.tell_standing(caller, doubt.user).await.is_ok() {
            doubt.settle();
        }
    }

    /// What is about to be asked may be done there and come to nothing here.
    pub(super) fn doubt(&self, caller: &Caller, user: UserId) -> Doubt {
        let (db, clock, caller) = (self.db.clone(), self.clock.clone(), caller.clone());
        Doubt { db, clock, caller, user, settled: false }
    }

    /// Says what is true now, when a change is heard of.
    pub(crate) async fn repeat_standing(&self, caller: &Caller, user: UserId) -> Result<(), Error> {
        let account = accounts::find(&mut *self.db.read().await?, user).await?;
        let only_proven =
            |it: &Account| it.self_registered && it.state == AccountState::Active && it.revision == PROVEN;
        if account.as_ref().is_some_and(only_proven) {
            return Ok(());
        }
        self.tell_standing(caller, user).await
    }

    /// Says that the account can be used, when it can.
    pub(crate) async fn confirm_usable(&self, caller: &Caller, user: UserId) -> Result<(), Error> {
        let account = accounts::find(&mut *self.db.read().await?, user).await?;
        if account.is_some_and(|it| it.state == AccountState::Active) {
            let ask = SetStanding { user, active: true };
            self.permissions.set_standing(&caller.acting_as_module("auth"), ask).await?;
        }
        Ok(())
    }

    /// Says what is true now. Somebody else may change the account meanwhile; that change's own event comes after this.
    pub(crate) async fn tell_standing(&self, caller: &Caller, user: UserId) -> Result<(), Error> {
        let account = accounts::find(&mut *self.db.read().await?, user).await?;
        let active = account.is_some_and(|it| it.state == AccountState::Active);
        let ask = SetStanding { user, active };
        match self.permissions.set_standing(&caller.acting_as_module("auth"), ask).await {
            // The last administrator's account is off already: then it is not for permissions to keep it on.
            Err(error) if error.kind == Kind::Conflict && !active => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }
}

/// That permissions may think otherwise of an account than is true. Unless it is settled, the truth is told by an event: also
/// when the answer of permissions got lost, and when whoever asked went away in the middle.
pub(super) struct Doubt {
    db: Database,
    clock: Clock,
    caller: Caller,
    user: UserId,
    settled: bool,
}

impl Doubt {
    /// Permissions knows what is true, or will hear it.
    pub(super) fn settle(mut self) {
        self.settled = true;
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let (db, now, caller, user) = (self.db.clone(), self.clock.now(), self.caller.clone(), self.user);
        let tell = async move {
            let fact = StandingDoubted { user };
            let told = db.transaction(async |tx| outbox::publish(tx, now, &caller, &fact).await).await;
            if let Err(error) = told {
                tracing::error!(%error, user.id = %user, "permissions may take an account for switched off that is not; change its state twice");
            }
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(tell);
        }
    }
}
