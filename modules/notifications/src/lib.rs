//! Notifications: messages to people, by e-mail.
//!
//! Owns templates, messages, deliveries and their tries. Asks auth for addresses and links and users for names and
//! languages, at the moment a message leaves; keeps neither. Channels other than e-mail, preferences and webhooks are
//! left out.

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
pub use http::{dev_routes, routes};
pub use model::{Failure, Letter};
pub use service::{Channel, Parts, Service};
pub use settings::{Settings, Smtp, SmtpUrl};

/// The tables of this module.
pub const MIGRATIONS: platform::db::Migrations =
    platform::migrations!("notifications", ["2026-11-22-000501_messages"]);

/// What this module hears.
#[must_use]
pub fn subscribers(service: &Arc<Service>) -> Vec<Arc<dyn Subscriber>> {
    vec![Arc::new(events::AccountMails(Arc::clone(service)))]
}
