//! What notifications does: accepts messages, delivers them, and shows what became of each.
//!
//! One use case a file below. The service begins and commits transactions; none is open while it asks another module
//! or talks to a mail server.

mod compose;
mod deliver;
mod export;
mod forget;
mod hear;
mod inbox;
mod list;
mod mailbox;
mod preferences;
mod queue;
mod receipts;
mod retry;
mod send;
mod stream;
mod sweep;
mod unsubscribe;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use contracts::auth::Auth;
use contracts::notifications::{Notifications, QueuedNotification, SendNotification};
use contracts::users::Users;
use contracts::{Caller, ExportPerson, PersonalData, Result};
use platform::clock::Clock;
use platform::db::Database;
use platform::redis::Redis;
use platform::settings::MasterKey;
use tokio::sync::Notify;
use url::Url;

pub use deliver::Channel;

pub(crate) use compose::{Asked, To};
pub(crate) use inbox::Looked;
pub(crate) use list::{Details, Tried};
pub(crate) use receipts::Received;
pub(crate) use stream::{InboxStream, Piece};
pub(crate) use unsubscribe::Unwanted;

use crate::error::StartError;
use crate::model::render::Renderer;
use crate::model::{Destination, Medium};
use crate::settings::{Settings, Smtp};
use deliver::{Line, Notes};
use stream::Streams;

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
    /// What links are signed with, and what stands for addresses.
    pub master_key: MasterKey,
    /// Where people reach Doorward; its host names the messages.
    pub public_url: Url,
    /// Whether every message is also kept in the mailbox: for development only.
    pub mailbox: bool,
    /// The folder where it is noted what has left until the database knows it; without one, a crash in between sends
    /// again.
    pub notes: Option<PathBuf>,
    /// Over which processes tell each other at once what came into an inbox; without it they look now and then.
    pub redis: Option<Redis>,
}

/// Ways for messages to leave, those to ask first at the front; at most two of each.
#[derive(Default)]
pub struct Outlets {
    /// For mail.
    pub email: Vec<Arc<dyn Channel>>,
    /// For short messages.
    pub sms: Vec<Arc<dyn Channel>>,
}

/// The module.
pub struct Service {
    db: Database,
    clock: Clock,
    auth: Arc<dyn Auth>,
    users: Arc<dyn Users>,
    settings: Settings,
    renderer: Renderer,
    email: Line,
    sms: Line,
    notes: Notes,
    mailbox: bool,
    master_key: MasterKey,
    host: String,
    base_url: String,
    queued: Notify,
    streams: Streams,
}

impl Service {
    /// Makes the module; messages leave through the mail servers and providers that are set.
    ///
    /// # Errors
    /// When the settings are not fit for use, or the file with certificates can't be read: a sentence that says so.
    pub fn new(parts: Parts) -> std::result::Result<Self, StartError> {
        let problems = [parts.smtp.problems(parts.mailbox), parts.settings.problems()].concat();
        if let Some(problem) = problems.into_iter().next() {
            return Err(StartError(problem));
        }
        let email = deliver::mail_servers(&parts.smtp)?;
        let sms = deliver::gateways(&parts.settings, &receipts_url(&base_url(&parts.public_url)))?;
        Self::build(parts, email, sms)
    }

    /// The same with other ways for messages to leave.
    ///
    /// # Errors
    /// When the settings are not fit for use.
    pub fn with_outlets(parts: Parts, outlets: Outlets) -> std::result::Result<Self, StartError> {
        let sms = outlets.sms.into_iter().map(|channel| (channel, 0)).collect();
        Self::build(parts, outlets.email, sms)
    }

    fn build(
        parts: Parts,
        email: Vec<Arc<dyn Channel>>,
        sms: Vec<(Arc<dyn Channel>, u64)>,
    ) -> std::result::Result<Self, StartError> {
        if let Some(problem) = parts.settings.problems().into_iter().next() {
            return Err(StartError(problem));
        }
        let renderer = Renderer::new(&parts.settings.product_name)
            .map_err(|error| StartError(format!("The message templates can't be read: {error}.")))?;
        deliver::describe();
        let email = email.into_iter().map(|channel| (channel, 0)).collect();
        let email = Line::new(Medium::Email, email, &parts.settings);
        let sms = Line::new(Medium::Sms, sms, &parts.settings);
        let host = parts.public_url.host_str().unwrap_or("localhost").to_owned();
        Ok(Self {
            db: parts.db,
            clock: parts.clock,
            auth: parts.auth,
            users: parts.users,
            settings: parts.settings,
            renderer,
            email,
            sms,
            notes: Notes::new(parts.notes),
            mailbox: parts.mailbox,
            master_key: parts.master_key,
            host,
            base_url: base_url(&parts.public_url),
            queued: Notify::new(),
            streams: Streams::new(parts.redis),
        })
    }

    /// The name that messages and pages speak in.
    pub(crate) fn product_name(&self) -> &str {
        &self.settings.product_name
    }

    /// The language of pages for people whose own is not known.
    pub(crate) fn default_language(&self) -> &'static str {
        crate::model::locale::best([self.settings.default_locale.as_str()])
    }

    /// Stands for an address or a number, without telling it.
    fn address_key(&self, to: &Destination) -> String {
        self.master_key.address_key(&to.text())
    }

    /// Where providers report to; the provider's name follows.
    fn receipts_url(&self) -> String {
        receipts_url(&self.base_url)
    }
}

fn base_url(public_url: &Url) -> String {
    public_url.as_str().trim_end_matches('/').to_owned()
}

fn receipts_url(base: &str) -> String {
    format!("{base}/api/v1/notifications/receipts")
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

    async fn export_person(&self, _: &Caller, ask: ExportPerson) -> Result<PersonalData> {
        Ok(self.export(ask.user).await?)
    }
}
