//! Forgetting a person who was purged: messages to the person, about the person and to the last address, what stands in
//! the inbox, and what was decided about messages.

use contracts::auth::AccountPurged;
use contracts::{EventId, Result};
use platform::audit::{self, Entry, Outcome};
use platform::db::{self, DbConn};
use platform::{forgotten, inbox};
use serde_json::json;

use super::Service;
use crate::store;

impl Service {
    /// Everything in one commit. Deliveries go first and messages last, the order in which senders lock them; one that is
    /// being sent finds nothing left to write down.
    pub(super) async fn forget(
        &self,
        subscriber: &'static str,
        event: EventId,
        gone: &AccountPurged,
    ) -> Result<()> {
        let (now, caller) = (self.clock.now(), contracts::Caller::module("notifications"));
        let work = async |tx: &mut DbConn| {
            if !inbox::once(tx, subscriber, event, now).await? {
                return Ok::<_, db::Error>(());
            }
            let messages = store::messages::ids_of_person(tx, gone.user, &gone.address_key).await?;
            let deliveries = store::deliveries::ids_of_messages(tx, messages.clone()).await?;
            store::mailbox::delete(tx, deliveries.clone()).await?;
            store::deliveries::delete(tx, deliveries).await?;
            store::inbox::delete(tx, gone.user).await?;
            store::preferences::delete(tx, gone.user).await?;
            store::suppressions::delete(tx, &gone.address_key).await?;
            forgotten::note(tx, gone.user, now).await?;
            let erased = store::messages::delete(tx, messages).await?;
            let entry = Entry {
                action: "notifications.person.forgotten",
                outcome: Outcome::Succeeded,
                subject_type: "user",
                subject_id: gone.user.to_string(),
                before: Some(json!({ "messages": erased })),
                after: None,
            };
            audit::record(tx, now, &caller, entry).await
        };
        self.db.transaction(work).await?;
        Ok(self.db.truncate_log().await?)
    }
}
