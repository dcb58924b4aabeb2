//! Making a message of an event, once, however often the event comes.

use contracts::auth::{RefreshReused, RegistrationRepeated, VerificationRequested};
use contracts::notifications::Recipient;
use contracts::{Error, Event, Result, UserId};
use platform::db::{self, DbConn};
use platform::inbox;
use serde_json::{Map, json};

use super::Service;
use crate::model::Draft;
use crate::model::template::{self, REQUEST};

impl Service {
    /// Queues the message that an event asks for; an event that asks for none is left alone.
    pub(crate) async fn hear(&self, subscriber: &'static str, event: &Event) -> Result<()> {
        let Some(draft) = draft(event)? else { return Ok(()) };
        let caller = event.caller("notifications");
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            if inbox::once(tx, subscriber, event.id, now).await? {
                self.queue(tx, now, &caller, draft).await?;
            }
            Ok::<_, db::Error>(())
        };
        self.db.transaction(work).await?;
        self.wake();
        Ok(())
    }
}

fn draft(event: &Event) -> Result<Option<Draft>> {
    if event.is::<VerificationRequested>() {
        let fact: VerificationRequested = event.read()?;
        let mut data = Map::new();
        data.insert(REQUEST.to_owned(), json!(fact.request));
        let draft = mail(event, fact.user, "email_verification", data)?;
        return Ok(Some(Draft { locale: fact.locale, ..draft }));
    }
    if event.is::<RegistrationRepeated>() {
        let fact: RegistrationRepeated = event.read()?;
        return mail(event, fact.user, "registration_repeated", Map::new()).map(Some);
    }
    if event.is::<RefreshReused>() {
        let fact: RefreshReused = event.read()?;
        return mail(event, fact.user, "session_ended", Map::new()).map(Some);
    }
    Ok(None)
}

fn mail(event: &Event, user: UserId, name: &str, data: Map<String, serde_json::Value>) -> Result<Draft> {
    let template = template::find(name).ok_or_else(|| Error::internal("a template of our own is missing"))?;
    Ok(Draft {
        to: Recipient::User(user),
        template,
        locale: None,
        data,
        category: template.category.to_owned(),
        deduplication_key: Some(format!("event:{}", event.id)),
    })
}
