//! Trying again what was given up.

use contracts::notifications::MessageQueued;
use contracts::{Caller, NotificationId};
use platform::audit::{self, Entry, Outcome};
use platform::db::DbConn;
use platform::outbox;
use serde_json::json;

use super::Service;
use crate::error::Error;
use crate::model::MessageState;
use crate::store;

impl Service {
    /// Queues again what was given up, did not arrive or was over a limit, each with a full allowance of tries. Their
    /// ids, and with them the Message-Id, stay the same.
    pub(crate) async fn retry_message(
        &self,
        caller: &Caller,
        id: NotificationId,
    ) -> Result<NotificationId, Error> {
        let now = self.clock.now();
        let tries = i64::from(self.settings.max_attempts);
        let expires_at = now.plus(self.settings.expiry());
        let work = async |tx: &mut DbConn| {
            let before = store::messages::find(tx, id).await?.ok_or(Error::NotFound)?.state;
            if store::deliveries::queue_given_up(tx, id, now, expires_at, tries).await? == 0 {
                return Err(Error::NotParked);
            }
            store::messages::set_state(tx, id, MessageState::Queued, now).await?;
            outbox::publish(tx, now, caller, &MessageQueued { notification: id }).await?;
            let entry = Entry {
                action: "notifications.message.retried",
                outcome: Outcome::Succeeded,
                subject_type: "notification",
                subject_id: id.to_string(),
                before: Some(json!({ "state": before.as_str() })),
                after: Some(json!({ "state": MessageState::Queued.as_str() })),
            };
            audit::record(tx, now, caller, entry).await?;
            Ok(id)
        };
        let id = self.db.transaction(work).await?;
        self.wake();
        Ok(id)
    }
}
