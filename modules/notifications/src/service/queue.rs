//! Keeping a message and what has to be done about it, in the transaction of whoever accepts it.

use contracts::notifications::{MessageQueued, Recipient};
use contracts::{Caller, NotificationId, Time};
use platform::db::{self, DbConn};
use platform::outbox;

use super::Service;
use crate::model::{
    Delivery, DeliveryId, DeliveryState, Destination, Draft, Medium, Message, MessageState, template,
};
use crate::store;
use crate::store::messages::Kept;

impl Service {
    /// Keeps the message, its deliveries and the fact; gives the earlier one when there is one with the same
    /// deduplication key. Call [`Service::wake`] after the commit.
    pub(super) async fn queue(
        &self,
        tx: &mut DbConn,
        now: Time,
        caller: &Caller,
        draft: Draft,
    ) -> db::Result<NotificationId> {
        let key = draft.deduplication_key.as_deref();
        let address_key = self.key_of(&draft.to);
        let message = Message {
            id: NotificationId::new(),
            to: Some(draft.to),
            about: draft.about,
            template: draft.template.name.to_owned(),
            locale: draft.locale,
            data: draft.data,
            category: draft.category,
            state: MessageState::Queued,
            created_at: now,
            updated_at: now,
        };
        let kept = Kept { deduplication_key: key, address_key };
        if !store::messages::insert(tx, &message, kept).await? {
            return store::messages::by_deduplication_key(tx, key.unwrap_or_default()).await;
        }
        for medium in draft.media {
            store::deliveries::insert(tx, &self.first_delivery(&message, medium, now)).await?;
        }
        outbox::publish(tx, now, caller, &MessageQueued { notification: message.id }).await?;
        Ok(message.id)
    }

    /// Stands for a bare address, so that it can be found without being known.
    fn key_of(&self, to: &Recipient) -> Option<String> {
        match to {
            Recipient::User(_) => None,
            Recipient::Email(address) => Some(self.address_key(&Destination::Email(address.clone()))),
            Recipient::Phone(number) => Some(self.address_key(&Destination::Phone(number.clone()))),
        }
    }

    fn first_delivery(&self, message: &Message, medium: Medium, now: Time) -> Delivery {
        let id = DeliveryId::new();
        Delivery {
            id,
            message: message.id,
            medium,
            state: DeliveryState::Queued,
            reason: None,
            attempts: 0,
            last_attempt: i64::from(self.settings.max_attempts),
            due_at: Some(now),
            expires_at: now.plus(self.settings.expiry()),
            admitted: false,
            rfc_message_id: format!("{id}@{}", self.host),
            last_error: None,
            sent_at: None,
            provider: None,
            provider_ref: None,
            segments: None,
            receipt_at: None,
            urgent: template::is_own(&message.template, &message.category),
        }
    }

    /// Tells the worker of this process that there is something to do.
    pub(super) fn wake(&self) {
        self.queued.notify_one();
    }
}
