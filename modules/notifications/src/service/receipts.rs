//! Hearing from a provider what became of a short message.
//!
//! Anybody can send a receipt, so nothing in it counts before its signature is good. A receipt of a message that we did
//! not send that way changes nothing, nor does the same one again, nor one after the end. That it arrived counts also
//! when we never heard that the provider took it: its answer came too late, and nobody needs it twice.

use contracts::notifications::{MessageDelivered, MessageFailed, MessageSent};
use contracts::{Caller, Time};
use metrics::counter;
use platform::audit::{self, Entry, Outcome};
use platform::db::{self, DbConn};
use platform::outbox;
use serde_json::json;

use super::{Service, deliver};
use crate::error::Error;
use crate::model::receipt::{self, Arrival, Receipt};
use crate::model::{Delivery, DeliveryId, DeliveryState, Medium, Reason};
use crate::settings::{Kind, SmsProvider};
use crate::store::deliveries::{self, Arrived};

/// A receipt as it came.
pub(crate) struct Received<'a> {
    /// The provider's name in the path.
    pub(crate) provider: &'a str,
    /// Our id of the message, when the address says it.
    pub(crate) delivery: Option<DeliveryId>,
    /// The query as it was sent, since a signature may cover it.
    pub(crate) query: &'a str,
    /// The signature.
    pub(crate) signature: &'a str,
    pub(crate) body: &'a [u8],
}

impl Service {
    /// Takes a receipt.
    ///
    /// # Errors
    /// When the signature is not the provider's, when it can't be read, or is about no message of ours.
    pub(crate) async fn take_receipt(&self, caller: &Caller, received: &Received<'_>) -> Result<(), Error> {
        let (name, receipt) = self.genuine(received)?;
        let arrival = receipt.arrival;
        let word = match arrival {
            None => "on_its_way",
            Some(Arrival::Delivered) => "delivered",
            Some(Arrival::Undelivered) => "undelivered",
        };
        counter!(deliver::RECEIPTS, "provider" => name, "outcome" => word).increment(1);
        let found = deliveries::find(&mut *self.db.read().await?, receipt.delivery).await?;
        let delivery = found.filter(|found| is_about(&receipt, name, found)).ok_or(Error::NotFound)?;
        match arrival {
            Some(arrival) => self.arrived(caller, name, &delivery, &receipt, arrival).await,
            None => Ok(()),
        }
    }

    fn genuine(&self, received: &Received<'_>) -> Result<(&'static str, Receipt), Error> {
        let sms = &self.settings.sms;
        let named = deliver::NAMES.into_iter().zip([&sms.primary, &sms.fallback]);
        let (name, provider) =
            named.into_iter().find(|(name, _)| *name == received.provider).ok_or(Error::ForgedReceipt)?;
        if !self.is_signed(name, provider, received) {
            counter!(deliver::RECEIPTS, "provider" => name, "outcome" => "forged").increment(1);
            return Err(Error::ForgedReceipt);
        }
        let read = match provider.kind {
            Kind::Twilio => {
                received.delivery.and_then(|delivery| receipt::of_twilio(delivery, received.body))
            }
            _ => receipt::of_body(received.body),
        };
        Ok((name, read.ok_or(Error::BadReceipt)?))
    }

    fn is_signed(&self, name: &str, provider: &SmsProvider, received: &Received<'_>) -> bool {
        match provider.kind {
            Kind::None => false,
            Kind::Twilio => {
                let url = format!("{}/{name}?{}", self.receipts_url(), received.query);
                let token = provider.token.expose();
                receipt::is_signed_by_twilio(token, &url, received.body, received.signature)
            }
            Kind::Http => {
                let secret = provider.receipt_secret.expose();
                !secret.is_empty() && receipt::is_signed(secret, received.body, received.signature)
            }
        }
    }

    async fn arrived(
        &self,
        caller: &Caller,
        name: &str,
        delivery: &Delivery,
        receipt: &Receipt,
        arrival: Arrival,
    ) -> Result<(), Error> {
        match effect(delivery, arrival) {
            Effect::Settles => {}
            Effect::TooEarly => return Err(Error::Busy),
            Effect::Nothing => return Ok(()),
        }
        let now = self.clock.now();
        let after = after(name, receipt, arrival);
        let work = async |tx: &mut DbConn| {
            if !deliveries::settle_receipt(tx, delivery, now, after.clone()).await? {
                return Ok(false);
            }
            tell(tx, now, caller, delivery, &after).await.map(|()| true)
        };
        let settled: Result<bool, db::Error> = self.db.transaction(work).await;
        // Somebody else wrote it down just now: the provider is asked to say it again.
        if settled? { Ok(()) } else { self.again_or_over(delivery.id, arrival).await }
    }

    async fn again_or_over(&self, id: DeliveryId, arrival: Arrival) -> Result<(), Error> {
        let found = deliveries::find(&mut *self.db.read().await?, id).await?.ok_or(Error::NotFound)?;
        match effect(&found, arrival) {
            Effect::Nothing => Ok(()),
            Effect::Settles | Effect::TooEarly => Err(Error::Busy),
        }
    }
}

/// What a receipt does to the delivery that it is about.
enum Effect {
    /// That is its end.
    Settles,
    /// It may be about the try before: the provider is asked to say it again when it is known what it calls this one.
    TooEarly,
    /// It is over, or is sent again anyhow.
    Nothing,
}

fn effect(delivery: &Delivery, arrival: Arrival) -> Effect {
    use DeliveryState::{Parked, Queued, Sending, Sent};
    match (delivery.state, arrival) {
        (Sent, _) | (Sending | Queued | Parked, Arrival::Delivered) => Effect::Settles,
        (Sending, Arrival::Undelivered) if delivery.attempts == 1 => Effect::Settles,
        (Sending, Arrival::Undelivered) => Effect::TooEarly,
        _ => Effect::Nothing,
    }
}

fn after<'a>(name: &'a str, receipt: &Receipt, arrival: Arrival) -> Arrived<'a> {
    let said = receipt.code.as_deref().map(|code| format!(", code {code}")).unwrap_or_default();
    let lost = arrival == Arrival::Undelivered;
    Arrived {
        state: if lost { DeliveryState::Undelivered } else { DeliveryState::Delivered },
        reason: lost.then_some(Reason::Undelivered),
        provider: name,
        reference: receipt.reference.clone(),
        last_error: lost.then(|| format!("The provider says that it did not arrive{said}.")),
    }
}

async fn tell(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    delivery: &Delivery,
    after: &Arrived<'_>,
) -> db::Result<()> {
    let notification = delivery.message;
    let channel = || delivery.medium.as_str().to_owned();
    if delivery.state != DeliveryState::Sent {
        outbox::publish(tx, now, caller, &MessageSent { notification, channel: channel() }).await?;
    }
    if after.state == DeliveryState::Delivered {
        outbox::publish(tx, now, caller, &MessageDelivered { notification, channel: channel() }).await?;
    } else {
        outbox::publish(tx, now, caller, &MessageFailed { notification, channel: channel() }).await?;
    }
    deliver::mark(tx, notification, now).await?;
    let entry = Entry {
        action: "notifications.receipt.taken",
        outcome: Outcome::Succeeded,
        subject_type: "notification",
        subject_id: notification.to_string(),
        before: Some(json!({ "state": delivery.state.as_str() })),
        after: Some(json!({ "state": after.state.as_str(), "provider": after.provider })),
    };
    audit::record(tx, now, caller, entry).await
}

/// Whether a receipt is about this delivery: a short message, of this provider, under the name it has there. Of one that
/// was handed over and whose taking we have not heard of, neither is known.
fn is_about(receipt: &Receipt, name: &str, delivery: &Delivery) -> bool {
    use DeliveryState::{Parked, Queued, Sending};
    let unheard = delivery.attempts > 0 && matches!(delivery.state, Sending | Queued | Parked);
    let by_it = delivery.provider.as_deref().map_or(unheard, |provider| provider == name);
    let reference = match (&receipt.reference, &delivery.provider_ref) {
        (Some(said), Some(known)) => said == known || unheard,
        _ => true,
    };
    delivery.medium == Medium::Sms && by_it && reference
}
