//! Writing down how a try went: the delivery, the message, the mailbox and the fact commit together.

use std::time::Duration;

use contracts::notifications::{MessageFailed, MessageSent, MessageSuppressed};
use contracts::{Caller, NotificationId, Time};
use platform::db::{self, DbConn, Json};
use platform::outbox;

use super::Service;
use super::attempt::Done;
use super::claim::Claimed;
use crate::model::inbox::{InboxItem, InboxItemId};
use crate::model::{
    self, DeliveryState, Destination, Failure, FailureKind, Letter, Message, Outcome, Reason,
};
use crate::store::deliveries::{self, Ending, Unsent};
use crate::store::mailbox::{self, Item};
use crate::store::{inbox, messages, suppressions};

/// Pauses between the tries to write down how it went. A message that has left and is not marked is sent again when
/// its lease ends, so a short trouble of the database is waited out.
const PAUSES_MS: [u64; 5] = [100, 400, 1_500, 5_000, 10_000];

impl Service {
    pub(super) async fn settle(&self, claimed: &Claimed, outcome: Result<Done, Failure>) {
        let mut pauses = PAUSES_MS.iter();
        loop {
            let Err(error) = self.write_down(claimed, &outcome).await else {
                let handed_over = outcome.is_ok_and(|done| done.taken.provider.is_some());
                if handed_over || claimed.lost {
                    self.notes.forget(&claimed.delivery).await;
                }
                return;
            };
            let Some(pause) = pauses.next() else {
                let (notification, attempt) = (claimed.message.id, claimed.delivery.attempts);
                tracing::error!(%notification, attempt, %error, "How a message went could not be written down.");
                return;
            };
            tokio::time::sleep(Duration::from_millis(*pause)).await;
        }
    }

    async fn write_down(&self, claimed: &Claimed, outcome: &Result<Done, Failure>) -> db::Result<()> {
        let now = self.clock.now();
        match outcome {
            Ok(done) => {
                let work = async |tx: &mut DbConn| self.sent(tx, now, claimed, done).await;
                self.db.transaction(work).await?;
                if let Some(Letter { to: Destination::Person(user), .. }) = &done.letter {
                    self.streams.tell(*user).await;
                }
                tracing::debug!(notification = %claimed.message.id, "A message was sent.");
            }
            Err(failure) => {
                let unsent = self.after(claimed, failure, now);
                tell(claimed, &unsent);
                let work = async |tx: &mut DbConn| self.unsent(tx, now, claimed, failure, unsent).await;
                self.db.transaction(work).await?;
            }
        }
        Ok(())
    }

    async fn sent(&self, tx: &mut DbConn, now: Time, claimed: &Claimed, done: &Done) -> db::Result<()> {
        let delivery = &claimed.delivery;
        let segments = done.segments.map(i64::from);
        let first = deliveries::settle_sent(tx, delivery, now, &done.taken, segments).await?;
        let provider = done.taken.provider;
        let ending = Ending { outcome: Outcome::Sent, reason: None, provider, detail: None };
        deliveries::finish_attempt(tx, delivery, now, ending).await?;
        if !first {
            return Ok(());
        }
        match &done.letter {
            Some(letter @ Letter { to: Destination::Person(user), .. }) => {
                let sequence = inbox::next_sequence(tx, *user).await?;
                inbox::insert(tx, *user, inbox_item(&claimed.message, letter, sequence, now)).await?;
            }
            Some(letter) if self.mailbox => mailbox::insert(tx, &item(claimed, letter, now)).await?,
            _ => {}
        }
        let (notification, channel) = (delivery.message, delivery.medium.as_str().to_owned());
        outbox::publish(tx, now, &ourselves(), &MessageSent { notification, channel }).await?;
        mark_message(tx, claimed, now).await
    }

    async fn unsent(
        &self,
        tx: &mut DbConn,
        now: Time,
        claimed: &Claimed,
        failure: &Failure,
        unsent: Unsent,
    ) -> db::Result<()> {
        let delivery = &claimed.delivery;
        let outcome = match failure.kind {
            FailureKind::Temporary => Outcome::Temporary,
            FailureKind::Permanent => Outcome::Permanent,
            FailureKind::Suppressed => Outcome::Suppressed,
            FailureKind::Obsolete => Outcome::Obsolete,
        };
        let (state, reason, why) = (unsent.state, unsent.reason, unsent.last_error.clone());
        let ours = deliveries::settle_unsent(tx, delivery, unsent).await?;
        let ending = Ending { outcome, reason: Some(reason), provider: failure.provider, detail: Some(&why) };
        deliveries::finish_attempt(tx, delivery, now, ending).await?;
        if !ours {
            return Ok(());
        }
        if failure.reason == Reason::RecipientRefused {
            remember_refusal(tx, claimed, failure, now).await?;
        }
        let (notification, channel) = (delivery.message, delivery.medium.as_str().to_owned());
        match state {
            DeliveryState::Parked => {
                outbox::publish(tx, now, &ourselves(), &MessageFailed { notification, channel }).await?;
            }
            DeliveryState::Suppressed => {
                let reason = reason.as_str().to_owned();
                let fact = MessageSuppressed { notification, channel, reason };
                outbox::publish(tx, now, &ourselves(), &fact).await?;
            }
            _ => {}
        }
        mark_message(tx, claimed, now).await
    }

    /// What a delivery is after a failure: queued again, given up, or without a reason to be sent.
    fn after(&self, claimed: &Claimed, failure: &Failure, now: Time) -> Unsent {
        let spent = claimed.delivery.attempts >= claimed.delivery.last_attempt;
        let state = match failure.kind {
            FailureKind::Temporary if !spent => DeliveryState::Queued,
            FailureKind::Temporary | FailureKind::Permanent => DeliveryState::Parked,
            FailureKind::Suppressed => DeliveryState::Suppressed,
            FailureKind::Obsolete => DeliveryState::Obsolete,
        };
        let due_at = (state == DeliveryState::Queued).then(|| now.plus(self.pause(claimed)));
        Unsent { state, reason: failure.reason, due_at, last_error: failure.to_string() }
    }

    /// Counted from the beginning of the allowance, so that a message that is tried again by hand starts with short
    /// waits.
    fn pause(&self, claimed: &Claimed) -> Duration {
        let settings = &self.settings;
        let left = claimed.delivery.last_attempt - claimed.delivery.attempts;
        let failures = i64::from(settings.max_attempts) - left;
        let base = Duration::from_millis(settings.retry_base_ms);
        let most = Duration::from_millis(settings.retry_max_ms);
        model::backoff(failures, base, settings.retry_factor, most, rand::random())
    }
}

/// An address that refused mail gets none any more, except about security, until its owner proves it again.
async fn remember_refusal(
    tx: &mut DbConn,
    claimed: &Claimed,
    failure: &Failure,
    now: Time,
) -> db::Result<()> {
    let Some(key) = failure.address_key.clone() else { return Ok(()) };
    let address = suppressions::Address { key, medium: claimed.delivery.medium };
    suppressions::bounced(tx, &address, now).await.map(|_| ())
}

/// A message is what all its deliveries are.
async fn mark_message(tx: &mut DbConn, claimed: &Claimed, now: Time) -> db::Result<()> {
    mark(tx, claimed.message.id, now).await
}

/// The same for any message. Its row is locked before its deliveries are read, so that of two that end at the same
/// time the second one sees the first.
pub(in crate::service) async fn mark(tx: &mut DbConn, id: NotificationId, now: Time) -> db::Result<()> {
    messages::touch(tx, id, now).await?;
    let states = deliveries::states_of_message(tx, id).await?;
    messages::set_state(tx, id, model::settled(&states), now).await
}

fn ourselves() -> Caller {
    Caller::module("notifications")
}

fn item(claimed: &Claimed, letter: &Letter, now: Time) -> Item {
    Item {
        delivery_id: claimed.delivery.id,
        channel: claimed.delivery.medium,
        recipient: letter.to.text(),
        subject: letter.subject.clone(),
        text: letter.text.clone(),
        html: letter.html.clone(),
        links: Json(letter.links.clone()),
        created_at: now,
    }
}

fn inbox_item(message: &Message, letter: &Letter, sequence: i64, now: Time) -> InboxItem {
    InboxItem {
        id: InboxItemId::new(),
        sequence,
        message: message.id,
        template: message.template.clone(),
        category: message.category.clone(),
        subject: letter.subject.clone(),
        text: letter.text.clone(),
        links: letter.links.clone(),
        created_at: now,
        read_at: None,
    }
}

/// What the operator reads. Never who it goes to.
fn tell(claimed: &Claimed, unsent: &Unsent) {
    let (notification, attempt) = (claimed.message.id, claimed.delivery.attempts);
    let (template, why) = (claimed.message.template.as_str(), unsent.last_error.as_str());
    match unsent.state {
        DeliveryState::Parked => {
            tracing::error!(%notification, template, attempt, why, "A message was given up: {why}");
        }
        DeliveryState::Queued => {
            tracing::warn!(%notification, template, attempt, why, "A message could not be sent yet: {why}");
        }
        _ => tracing::info!(%notification, template, attempt, why, "A message is not sent any more: {why}"),
    }
}
