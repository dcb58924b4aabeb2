//! What notifications answers and tells: messages to people.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::facts;
use crate::wire::contract;
use crate::{EmailAddress, ExportPerson, Module, NotificationId, PersonalData, PhoneNumber, UserId};

/// Who a message goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// A person; the address is looked up when the message is sent.
    User(UserId),
    /// An address outside.
    Email(EmailAddress),
    /// A phone number outside.
    Phone(PhoneNumber),
}

/// Asks to send a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SendNotification {
    /// Who gets it.
    pub to: Recipient,
    /// The template's name.
    pub template: String,
    /// The template's variables.
    pub data: Map<String, Value>,
    /// Over which channels (`email`, `sms`, `inbox`); none leaves it to the template.
    #[serde(default)]
    pub channels: Option<Vec<String>>,
    /// Such as `security`; people may switch off others.
    pub category: String,
    /// Asks with the same key make one message.
    pub deduplication_key: Option<String>,
}

/// The message that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedNotification {
    /// Its id; its state is found by it.
    pub notification: NotificationId,
}

contract! {
    /// What other modules may ask of notifications.
    "notifications" Notifications / RemoteNotifications / notifications_routes {
        /// Accepts a message. `Invalid` for an unknown template or variables that don't fit it.
        once send(SendNotification) -> QueuedNotification, by &[Module::Auth, Module::Users, Module::Permissions];
        /// Everything notifications knows about a person: `notifications`, `inbox`, `notification_preferences`.
        repeatable export_person(ExportPerson) -> PersonalData, by &[Module::Users];
    }
}

facts! {
    /// A message was accepted.
    MessageQueued = "notifications.message.queued", about notification {
        /// Which message.
        notification: NotificationId,
    }

    /// A message left over a channel.
    MessageSent = "notifications.message.sent", about notification {
        /// Which message.
        notification: NotificationId,
        /// Over which channel.
        channel: String,
    }

    /// A message arrived, as its provider says.
    MessageDelivered = "notifications.message.delivered", about notification {
        /// Which message.
        notification: NotificationId,
        /// Over which channel.
        channel: String,
    }

    /// A message was held back on a channel.
    MessageSuppressed = "notifications.message.suppressed", about notification {
        /// Which message.
        notification: NotificationId,
        /// On which channel.
        channel: String,
        /// Why, as a stable word such as `preference_off`.
        reason: String,
    }

    /// Somebody decided anew which messages to get.
    NotificationPreferencesChanged = "notifications.preferences.changed", about user {
        /// Who.
        user: UserId,
    }

    /// A message was given up on a channel.
    MessageFailed = "notifications.message.failed", about notification {
        /// Which message.
        notification: NotificationId,
        /// Over which channel.
        channel: String,
    }
}
