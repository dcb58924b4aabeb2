//! Accepting a message: for a person with the right to send, and for another module.

use contracts::Caller;
use contracts::notifications::{QueuedNotification, SendNotification};
use platform::audit::{self, Entry, Outcome};
use platform::db::DbConn;
use platform::http::IdempotencyKey;
use platform::idempotency::{self, Answer};
use serde_json::json;

use super::{Asked, Service, compose};
use crate::error::Error;

impl Service {
    /// Accepts the message; the same key brings the same answer and no second message.
    pub(crate) async fn send_for_person(
        &self,
        caller: &Caller,
        key: Option<&IdempotencyKey>,
        asked: &Asked,
    ) -> Result<Answer, Error> {
        let draft = compose::asked(asked, self.choice())?;
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            idempotency::once(tx, now, key, async |tx| {
                let channels: Vec<_> = draft.media.iter().map(|medium| medium.as_str()).collect();
                let (template, category) = (draft.template.name, &draft.category);
                let after = json!({ "template": template, "category": category, "channels": channels });
                let id = self.queue(tx, now, caller, draft).await?;
                let entry = Entry {
                    action: "notifications.message.requested",
                    outcome: Outcome::Succeeded,
                    subject_type: "notification",
                    subject_id: id.to_string(),
                    before: None,
                    after: Some(after),
                };
                audit::record(tx, now, caller, entry).await?;
                let location = Some(format!("/api/v1/notifications/{id}"));
                Ok::<_, Error>(Answer { status: 202, location, body: json!({ "id": id }) })
            })
            .await
        };
        let answer = self.db.transaction(work).await?;
        self.wake();
        Ok(answer)
    }

    /// What there is here to choose from.
    fn choice(&self) -> compose::Choice<'_> {
        compose::Choice { categories: &self.settings.categories, sms: self.mailbox || !self.sms.is_empty() }
    }

    /// Accepts the message; the same deduplication key brings the same message.
    pub(super) async fn send_for_module(
        &self,
        caller: &Caller,
        ask: SendNotification,
    ) -> Result<QueuedNotification, Error> {
        let draft = compose::from_module(ask, self.choice())?;
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| self.queue(tx, now, caller, draft).await;
        let notification = self.db.transaction(work).await?;
        self.wake();
        Ok(QueuedNotification { notification })
    }
}
