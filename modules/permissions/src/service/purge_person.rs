//! Forgetting somebody whose account is gone for good.

use crate::error::Error;
use crate::model::Holder;
use crate::service::{Service, assignments, members};
use crate::store;
use contracts::{Caller, EventId, UserId};
use platform::db::DbConn;
use platform::{forgotten, inbox};

impl Service {
    /// Removes the person's assignments, memberships and standing; once for each event.
    ///
    /// The last administrator is not kept here: the account is gone already, and only an account that can't be used,
    /// which is refused to the last administrator, goes this way.
    pub(crate) async fn purge_person(
        &self,
        subscriber: &str,
        event: EventId,
        caller: &Caller,
        user: UserId,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let who = Holder::User(user);
        let work = async |tx: &mut DbConn| {
            if !inbox::once(tx, subscriber, event, now).await? {
                return Ok::<_, Error>(());
            }
            store::graph::lock(tx).await?;
            for assignment in store::assignments::of_subject(tx, who).await? {
                assignments::remove(tx, now, caller, assignment.id).await?;
            }
            for member in store::members::delete_all_of(tx, who).await? {
                members::tell_removed(tx, now, caller, &member).await?;
            }
            store::standings::resume(tx, user).await?;
            store::standings::disprove(tx, user).await?;
            forgotten::note(tx, user, now).await?;
            Ok(())
        };
        self.memory.changing_user(user, self.db.transaction(work)).await?;
        Ok(self.db.truncate_log().await?)
    }
}
