//! Keeping a message and what has to be done about it, in the transaction of whoever accepts it.

use contracts::notifications::MessageQueued;
use contracts::{Caller, NotificationId, Time};
use platform::db::{self, DbConn};
use platform::outbox;

use super::Service;
use crate::model::{Delivery, DeliveryId, DeliveryState, Draft, Medium, Message, MessageState};
use crate::store;

impl Service {
    /// Keeps the message, its delivery and the fact; gives the earlier one when there is one with the same
    /// deduplication key. Call [`Service::wake`] after the commit.
    pub(super) async fn queue(
        &self,
        tx: &mut DbConn,
        now: Time,
        caller: &Caller,
        draft: Draft,
    ) -> db::Result<NotificationId> {
        let key = draft.deduplication_key.as_deref();
        let message = Message {
            id: NotificationId::new(),
            to: draft.to,
            template: draft.template.name.to_owned(),
            locale: draft.locale,
            data: draft.data,
            category: draft.category,
            state: MessageState::Queued,
            created_at: now,
            updated_at: now,
        };
        if !store::messages::insert(tx, &message, key).await? {
            return store::messages::by_deduplication_key(tx, key.unwrap_or_default()).await;
        }
        store::deliveries::insert(tx, &self.first_delivery(message.id, now)).await?;
        outbox::publish(tx, now, caller, &MessageQueued { notification: message.id }).await?;
        Ok(message.id)
    }

    fn first_delivery(&self, message: NotificationId, now: Time) -> Delivery {
        let id = DeliveryId::new();
        Delivery {
            id,
            message,
            medium: Medium::Email,
            state: DeliveryState::Queued,
            attempts: 0,
            last_attempt: i64::from(self.settings.max_attempts),
            due_at: Some(now),
            rfc_message_id: format!("{id}@{}", self.host),
            last_error: None,
            sent_at: None,
        }
    }

    /// Tells the worker of this process that there is something to do.
    pub(super) fn wake(&self) {
        self.queued.notify_one();
    }
}
