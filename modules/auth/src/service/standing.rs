//! Telling permissions whether somebody's account can be used, because who can't log in is no administrator to count
//! on.
//!
//! An account is switched off only after permissions agreed, and called usable only after it is switched on: what goes
//! wrong in between leaves permissions too careful and never too bold. The event of the change sets it right.

use contracts::auth::AccountState;
use contracts::permissions::SetStanding;
use contracts::{Caller, Kind, UserId};

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

    /// Takes back that the account is switched off, because it was not. Why it was not is the caller's answer; what goes
    /// wrong here is the operator's.
    pub(super) async fn take_back(&self, caller: &Caller, user: UserId) {
        if let Err(error) = self.tell_standing(caller, user).await {
            let error = contracts::Error::from(error);
            tracing::error!(code = %error.code, user.id = %user, "permissions takes an account for switched off that is not; change its state again");
        }
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

    /// Says what is true now. Somebody else may change the account meanwhile; that change's own event comes after this.
    async fn tell_standing(&self, caller: &Caller, user: UserId) -> Result<(), Error> {
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
