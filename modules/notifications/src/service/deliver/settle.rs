//! Writing down how a try went: the delivery, the message, the mailbox and the fact commit together.

use std::time::Duration;

use contracts::notifications::{MessageFailed, MessageSent};
use contracts::{Caller, Time};
use platform::db::{self, DbConn, Json};
use platform::outbox;

use super::Service;
use super::claim::Claimed;
use crate::model::{self, DeliveryState, Failure, Letter, Outcome};
use crate::store::deliveries::{self, Unsent};
use crate::store::mailbox::{self, Item};
use crate::store::messages;

/// Pauses between the tries to write down how it went. A message that has left and is not marked is sent again when
/// its lease ends, so a short trouble of the database is waited out.
const PAUSES_MS: [u64; 5] = [100, 400, 1_500, 5_000, 10_000];

impl Service {
    pub(super) async fn settle(&self, claimed: &Claimed, outcome: Result<Letter, Failure>) {
        let mut pauses = PAUSES_MS.iter();
        loop {
            let Err(error) = self.write_down(claimed, &outcome).await else { return };
            let Some(pause) = pauses.next() else {
                let (notification, attempt) = (claimed.message.id, claimed.delivery.attempts);
                tracing::error!(%notification, attempt, %error, "How a message went could not be written down.");
                return;
            };
            tokio::time::sleep(Duration::from_millis(*pause)).await;
        }
    }

    async fn write_down(&self, claimed: &Claimed, outcome: &Result<Letter, Failure>) -> db::Result<()> {
        let now = self.clock.now();
        match outcome {
            Ok(letter) => {
                let work = async |tx: &mut DbConn| self.sent(tx, now, claimed, letter).await;
                self.db.transaction(work).await?;
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

    async fn sent(&self, tx: &mut DbConn, now: Time, claimed: &Claimed, letter: &Letter) -> db::Result<()> {
        let delivery = &claimed.delivery;
        let first = deliveries::settle_sent(tx, delivery, now).await?;
        deliveries::finish_attempt(tx, delivery, now, Outcome::Sent, None).await?;
        if self.mailbox {
            mailbox::insert(tx, &item(claimed, letter, now)).await?;
        }
        if first {
            let (notification, channel) = (delivery.message, delivery.medium.as_str().to_owned());
            outbox::publish(tx, now, &ourselves(), &MessageSent { notification, channel }).await?;
            mark_message(tx, claimed, now).await?;
        }
        Ok(())
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
        let outcome = match failure {
            Failure::Temporary(_) => Outcome::Temporary,
            Failure::Permanent(_) => Outcome::Permanent,
            Failure::Obsolete(_) => Outcome::Obsolete,
        };
        let (parked, why) = (unsent.state == DeliveryState::Parked, unsent.last_error.clone());
        let ours = deliveries::settle_unsent(tx, delivery, unsent).await?;
        deliveries::finish_attempt(tx, delivery, now, outcome, Some(&why)).await?;
        if !ours {
            return Ok(());
        }
        if parked {
            let (notification, channel) = (delivery.message, delivery.medium.as_str().to_owned());
            outbox::publish(tx, now, &ourselves(), &MessageFailed { notification, channel }).await?;
        }
        mark_message(tx, claimed, now).await
    }

    /// What a delivery is after a failure: queued again, given up, or without a reason to be sent.
    fn after(&self, claimed: &Claimed, failure: &Failure, now: Time) -> Unsent {
        let spent = claimed.delivery.attempts >= claimed.delivery.last_attempt;
        let state = match failure {
            Failure::Temporary(_) if !spent => DeliveryState::Queued,
            Failure::Temporary(_) | Failure::Permanent(_) => DeliveryState::Parked,
            Failure::Obsolete(_) => DeliveryState::Obsolete,
        };
        let due_at = (state == DeliveryState::Queued).then(|| now.plus(self.pause(claimed)));
        Unsent { state, due_at, last_error: failure.to_string() }
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

/// A message is what all its deliveries are.
async fn mark_message(tx: &mut DbConn, claimed: &Claimed, now: Time) -> db::Result<()> {
    let deliveries = deliveries::of_message(tx, claimed.message.id).await?;
    let states: Vec<_> = deliveries.iter().map(|delivery| delivery.state).collect();
    messages::set_state(tx, claimed.message.id, model::settled(&states), now).await
}

fn ourselves() -> Caller {
    Caller::module("notifications")
}

fn item(claimed: &Claimed, letter: &Letter, now: Time) -> Item {
    Item {
        delivery_id: claimed.delivery.id,
        channel: claimed.delivery.medium,
        recipient: letter.to.as_str().to_owned(),
        subject: letter.subject.clone(),
        text: letter.text.clone(),
        html: letter.html.clone(),
        links: Json(letter.links.clone()),
        created_at: now,
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
