//! Making a message of an event, once, however often the event comes; and forgetting whom it says to forget.

use contracts::auth::{
    AccountEmailChanged, AccountPurged, AccountVerified, FindAccount, InvitationRequested, PasswordChanged,
    PasswordResetRequested, RefreshReused, RegistrationRepeated, SignInNoticed, VerificationRequested,
};
use contracts::notifications::Recipient;
use contracts::{Error, Event, OneTimeRequestId, Result, Time, UserId};
use platform::db::{self, DbConn};
use platform::inbox;
use serde_json::{Map, Value, json};

use super::Service;
use crate::model::template::{self, REQUEST};
use crate::model::{Destination, Draft, words};
use crate::store::suppressions;

impl Service {
    /// Does what an event asks for; an event that asks for nothing is left alone.
    pub(crate) async fn hear(&self, subscriber: &'static str, event: &Event) -> Result<()> {
        if event.is::<AccountPurged>() {
            return self.forget(subscriber, event.id, &event.read()?).await;
        }
        if event.is::<AccountVerified>() {
            let fact: AccountVerified = event.read()?;
            return self.forgive(subscriber, event, fact.user).await;
        }
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

    /// An address that refused mail is proven again: it works.
    async fn forgive(&self, subscriber: &'static str, event: &Event, user: UserId) -> Result<()> {
        let caller = event.caller("notifications");
        let Some(account) = self.auth.find_account(&caller, FindAccount { user }).await? else {
            return Ok(());
        };
        let (now, key) = (self.clock.now(), self.address_key(&Destination::Email(account.email)));
        let work = async |tx: &mut DbConn| {
            if inbox::once(tx, subscriber, event.id, now).await? {
                suppressions::forgive(tx, &key).await?;
            }
            Ok::<_, db::Error>(())
        };
        Ok(self.db.transaction(work).await?)
    }
}

fn draft(event: &Event) -> Result<Option<Draft>> {
    if event.is::<VerificationRequested>() {
        let fact: VerificationRequested = event.read()?;
        let draft = mail(event, fact.user, "email_verification", request(fact.request))?;
        return Ok(Some(Draft { locale: fact.locale, ..draft }));
    }
    if event.is::<InvitationRequested>() {
        let fact: InvitationRequested = event.read()?;
        let draft = mail(event, fact.user, "invitation", request(fact.request))?;
        return Ok(Some(Draft { locale: fact.locale, ..draft }));
    }
    if event.is::<PasswordResetRequested>() {
        let fact: PasswordResetRequested = event.read()?;
        return mail(event, fact.user, "password_reset", request(fact.request)).map(Some);
    }
    if event.is::<PasswordChanged>() {
        let fact: PasswordChanged = event.read()?;
        let how = if fact.reset { "reset" } else { "changed" };
        return mail(event, fact.user, "password_changed", data([("how", Some(how.to_owned()))])).map(Some);
    }
    if event.is::<SignInNoticed>() {
        let fact: SignInNoticed = event.read()?;
        return mail(event, fact.user, "sign_in_noticed", sign_in(&fact)).map(Some);
    }
    if event.is::<AccountEmailChanged>() {
        let fact: AccountEmailChanged = event.read()?;
        let draft = mail(event, fact.user, "email_changed", Map::new())?;
        return Ok(Some(Draft { to: Recipient::Email(fact.previous), about: Some(fact.user), ..draft }));
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

fn request(request: OneTimeRequestId) -> Map<String, Value> {
    data([(REQUEST, Some(request.to_string()))])
}

fn sign_in(fact: &SignInNoticed) -> Map<String, Value> {
    let device = fact.user_agent.as_deref().and_then(words::device);
    data([
        (REQUEST, Some(fact.request.to_string())),
        ("at", Some(minute(fact.at))),
        ("device", device),
        ("address", fact.client_address.as_deref().and_then(words::name)),
    ])
}

/// A time as everybody reads it: `2026-01-31 09:30 UTC`.
fn minute(time: Time) -> String {
    let text = time.to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}

fn data<const N: usize>(values: [(&str, Option<String>); N]) -> Map<String, Value> {
    values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect()
}

fn mail(event: &Event, user: UserId, name: &str, data: Map<String, Value>) -> Result<Draft> {
    let template = template::find(name).ok_or_else(|| Error::internal("a template of our own is missing"))?;
    Ok(Draft {
        to: Recipient::User(user),
        about: None,
        template,
        locale: None,
        data,
        category: template.category.to_owned(),
        media: template.media.to_vec(),
        deduplication_key: Some(format!("event:{}", event.id)),
    })
}
