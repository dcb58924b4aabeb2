//! What is made of what auth tells: profiles for whoever registers, the directory kept up, and everything forgotten
//! with an account that is gone.

use contracts::auth::AccountRegistered;
use contracts::{Event, UserId};
use platform::db::DbConn;
use platform::{forgotten, inbox};

use crate::error::Error;
use crate::service::Service;
use crate::service::directory::{erase, note_account};
use crate::service::find_profile::{fill, record};

impl Service {
    /// Makes the profile of somebody who registered, and lists the person. An account that is gone by now stays gone.
    pub(crate) async fn hear_registration(
        &self,
        subscriber: &str,
        event: &Event,
        fact: AccountRegistered,
    ) -> Result<(), Error> {
        let (now, caller) = (self.clock.now(), event.caller("users"));
        let Some(account) = self.changed_account(&caller, fact.user).await? else { return Ok(()) };
        let user = fact.user;
        let work = async |tx: &mut DbConn| {
            if inbox::once(tx, subscriber, event.id, now).await? {
                fill(tx, now, &caller, &account, fact).await?;
                note_account(tx, &account).await?;
            }
            Ok(())
        };
        self.profiles.forgetting(vec![user], self.db.transaction(work)).await
    }

    /// Lists an account as it is by now. What is heard twice or late changes nothing: an older account never goes over
    /// a newer one.
    pub(crate) async fn hear_change(&self, event: &Event, user: UserId) -> Result<(), Error> {
        let caller = event.caller("users");
        let Some(account) = self.changed_account(&caller, user).await? else { return Ok(()) };
        self.db.transaction(async |tx| note_account(tx, &account).await.map(drop)).await
    }

    /// Forgets everything about somebody whose account is gone.
    pub(crate) async fn hear_purge(
        &self,
        subscriber: &str,
        event: &Event,
        user: UserId,
    ) -> Result<(), Error> {
        let (now, caller) = (self.clock.now(), event.caller("users"));
        let work = async |tx: &mut DbConn| {
            if inbox::once(tx, subscriber, event.id, now).await? {
                erase(tx, user, event.time).await?;
                forgotten::note(tx, user, now).await?;
                record(tx, now, &caller, "users.user.purged", user, (None, None)).await?;
            }
            Ok::<_, Error>(())
        };
        self.profiles.forgetting(vec![user], self.db.transaction(work)).await?;
        Ok(self.db.truncate_log().await?)
    }
}
