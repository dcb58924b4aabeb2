//! What notifications does: accepts messages, delivers them, and shows what became of each.
//!
//! One use case a file below. The service begins and commits transactions; none is open while it asks another module
//! or talks to a mail server.

mod compose;
mod deliver;
mod hear;
mod list;
mod mailbox;
mod queue;
mod retry;
mod send;

use std::sync::Arc;

use async_trait::async_trait;
use contracts::auth::Auth;
use contracts::notifications::{Notifications, QueuedNotification, SendNotification};
use contracts::users::Users;
use contracts::{Caller, ExportPerson, PersonalData, Result};
use platform::clock::Clock;
use platform::db::Database;
use tokio::sync::Notify;
use url::Url;

pub use deliver::Channel;

pub(crate) use compose::{Asked, To};
pub(crate) use list::{Details, Tried};

use crate::error::StartError;
use crate::model::render::Renderer;
use crate::settings::{Settings, Smtp};

/// What the service is made of.
pub struct Parts {
    /// Where messages are kept.
    pub db: Database,
    /// What time it is.
    pub clock: Clock,
    /// Knows addresses and mints links.
    pub auth: Arc<dyn Auth>,
    /// Knows names and languages.
    pub users: Arc<dyn Users>,
    /// How messages are written and delivered.
    pub settings: Settings,
    /// The mail server.
    pub smtp: Smtp,
    /// Where people reach Doorward; its host names the messages.
    pub public_url: Url,
    /// Whether every message is also kept in the mailbox: for development only.
    pub mailbox: bool,
}

/// The module.
pub struct Service {
    db: Database,
    clock: Clock,
    auth: Arc<dyn Auth>,
    users: Arc<dyn Users>,
    settings: Settings,
    renderer: Renderer,
    channel: Option<Arc<dyn Channel>>,
    mailbox: bool,
    host: String,
    queued: Notify,
}

impl Service {
    /// Makes the module; messages leave through the mail server when one is set.
    ///
    /// # Errors
    /// When the settings are not fit for use, or the file with certificates can't be read: a sentence that says so.
    pub fn new(parts: Parts) -> std::result::Result<Self, StartError> {
        if let Some(problem) = parts.smtp.problems(parts.mailbox).into_iter().next() {
            return Err(StartError(problem));
        }
        let channel = deliver::smtp_channel(&parts.smtp)?;
        Self::build(parts, channel)
    }

    /// The same with another way for messages to leave.
    ///
    /// # Errors
    /// When the settings are not fit for use.
    pub fn with_channel(parts: Parts, channel: Arc<dyn Channel>) -> std::result::Result<Self, StartError> {
        Self::build(parts, Some(channel))
    }

    fn build(parts: Parts, channel: Option<Arc<dyn Channel>>) -> std::result::Result<Self, StartError> {
        if let Some(problem) = parts.settings.problems().into_iter().next() {
            return Err(StartError(problem));
        }
        let renderer = Renderer::new(&parts.settings.product_name)
            .map_err(|error| StartError(format!("The message templates can't be read: {error}.")))?;
        deliver::describe();
        let host = parts.public_url.host_str().unwrap_or("localhost").to_owned();
        Ok(Self {
            db: parts.db,
            clock: parts.clock,
            auth: parts.auth,
            users: parts.users,
            settings: parts.settings,
            renderer,
            channel,
            mailbox: parts.mailbox,
            host,
            queued: Notify::new(),
        })
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("notifications::Service").finish_non_exhaustive()
    }
}

#[async_trait]
impl Notifications for Service {
    async fn send(&self, caller: &Caller, ask: SendNotification) -> Result<QueuedNotification> {
        Ok(self.send_for_module(caller, ask).await?)
    }

    async fn export_person(&self, _: &Caller, _: ExportPerson) -> Result<PersonalData> {
        Err(contracts::Error::unavailable("notifications.not_built", "This is not built yet."))
    }
}
