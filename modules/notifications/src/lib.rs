//! Notifications: messages to people, by e-mail, to phones and into their inbox.
//!
//! Owns templates, messages, deliveries and their tries. Asks auth for addresses and links and users for names and
//! languages, at the moment a message leaves; keeps neither. What comes into an inbox is kept, with what people decided
//! to get. Webhooks are left out.

mod error;
mod events;
mod http;
mod model;
mod schema;
mod service;
mod settings;
mod store;

use std::sync::Arc;

use platform::bus::Subscriber;

pub use error::StartError;
pub use events::SUBSCRIPTIONS;
pub use http::{DEV_PAGES, dev_routes, routes};
pub use model::{Destination, Failure, FailureKind, Letter, Medium, Reason, Taken, Unsubscribe};
pub use service::{Channel, Outlets, Parts, Service};
pub use settings::{
    Circuit, Format, HiddenText, Kind, Limits, Settings, Sms, SmsProvider, Smtp, SmtpUrl, Stream,
};

/// The tables of this module.
pub const MIGRATIONS: platform::db::Migrations = platform::migrations!(
    "notifications",
    [
        "2026-11-22-000501_messages",
        "2026-11-22-000502_inbox",
        "2026-11-22-000503_preferences",
        "2026-11-28-000504_urgent",
    ]
);

/// What this module hears.
#[must_use]
pub fn subscribers(service: &Arc<Service>) -> Vec<Arc<dyn Subscriber>> {
    vec![Arc::new(events::AccountMails(Arc::clone(service)))]
}

#[cfg(test)]
fn migrations() -> Vec<platform::db::Migrations> {
    vec![platform::MIGRATIONS, MIGRATIONS]
}
