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
    /// Queues the parked deliveries of a message again, each with a full allowance of tries. Their ids, and with them
    /// the Message-Id, stay the same.
    pub(crate) async fn retry_message(
        &self,
        caller: &Caller,
        id: NotificationId,
    ) -> Result<NotificationId, Error> {
        let now = self.clock.now();
        let tries = i64::from(self.settings.max_attempts);
        let work = async |tx: &mut DbConn| {
            if store::deliveries::queue_parked(tx, id, now, tries).await? == 0 {
                let known = store::messages::find(tx, id).await?.is_some();
                return Err(if known { Error::NotParked } else { Error::NotFound });
            }
            store::messages::set_state(tx, id, MessageState::Queued, now).await?;
            outbox::publish(tx, now, caller, &MessageQueued { notification: id }).await?;
            let entry = Entry {
                action: "notifications.message.retried",
                outcome: Outcome::Succeeded,
                subject_type: "notification",
                subject_id: id.to_string(),
                before: Some(json!({ "state": MessageState::Failed.as_str() })),
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
