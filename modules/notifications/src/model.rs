//! The nouns of notifications and the rules that need no I/O: messages, deliveries, attempts, and when to try again.
//!
//! Words, languages, templates and categories have rooms of their own below. Nothing here knows how a message travels.

pub(crate) mod category;
pub(crate) mod inbox;
pub(crate) mod letter;
pub(crate) mod locale;
pub(crate) mod receipt;
pub(crate) mod render;
pub(crate) mod sms;
pub(crate) mod template;
#[cfg(test)]
mod texts_tests;
pub(crate) mod words;

use std::time::Duration;

use contracts::notifications::Recipient;
use contracts::{NotificationId, Time, UserId};
use serde_json::{Map, Value};

pub use letter::{Destination, Failure, FailureKind, Letter, Taken, Unsubscribe};
use template::Template;

platform::id_type! {
    /// One message over one channel.
    pub struct DeliveryId;
}

platform::id_type! {
    /// One try of a delivery.
    pub struct AttemptId;
}

platform::text_enum! {
    /// What became of a message, over all its channels.
    pub enum MessageState {
        Queued = "queued",
        Sent = "sent",
        Failed = "failed",
        Suppressed = "suppressed",
        Obsolete = "obsolete",
    }
}

platform::text_enum! {
    /// What became of a message on one channel.
    pub enum DeliveryState {
        Queued = "queued",
        Sending = "sending",
        Sent = "sent",
        Delivered = "delivered",
        Undelivered = "undelivered",
        Parked = "parked",
        Suppressed = "suppressed",
        Obsolete = "obsolete",
    }
}

platform::text_enum! {
    /// The way a message takes.
    pub enum Medium {
        /// By mail.
        Email = "email",
        /// As a short message to a phone.
        Sms = "sms",
        /// Into the person's inbox here.
        Inbox = "inbox",
    }
}

platform::text_enum! {
    /// What became of one try.
    pub enum Outcome {
        Sent = "sent",
        Temporary = "temporary",
        Permanent = "permanent",
        Suppressed = "suppressed",
        Obsolete = "obsolete",
        Interrupted = "interrupted",
    }
}

platform::text_enum! {
    /// Why a message was not sent over a channel: stable words.
    pub enum Reason {
        /// There is no such person.
        NoAccount = "no_account",
        /// The account is disabled or deleted.
        AccountInactive = "account_inactive",
        /// The address is not proven.
        EmailUnverified = "email_unverified",
        /// The person has no phone number.
        NoPhone = "no_phone",
        /// Nobody has proven the phone number.
        PhoneUnverified = "phone_unverified",
        /// Short messages don't go to this country.
        CountryNotAllowed = "country_not_allowed",
        /// The person wants no such messages.
        PreferenceOff = "preference_off",
        /// The address was unsubscribed.
        Unsubscribed = "unsubscribed",
        /// The address refused mail before.
        Bounced = "bounced",
        /// Too many messages to this receiver.
        OverLimit = "over_limit",
        /// The hour's budget is spent.
        BudgetSpent = "budget_spent",
        /// A provider refused it for good.
        ProviderRefused = "provider_refused",
        /// The receiver does not exist, as a provider says.
        RecipientRefused = "recipient_refused",
        /// No provider took it.
        ProviderUnavailable = "provider_unavailable",
        /// Every provider is left alone after too many failures.
        CircuitOpen = "circuit_open",
        /// It was taken and did not arrive.
        Undelivered = "undelivered",
        /// Its link was used or is over.
        LinkGone = "link_gone",
        /// It is too old.
        Expired = "expired",
        /// There is no such channel here any more.
        ChannelUnavailable = "channel_unavailable",
        /// It needs more parts than a short message may have.
        TooLong = "too_long",
        /// It can't be put into words.
        Unrenderable = "unrenderable",
        /// Another part of Doorward did not answer.
        PartUnavailable = "part_unavailable",
        /// The try took too long.
        TimedOut = "timed_out",
        /// The try broke, or its process ended.
        Crashed = "crashed",
    }
}

/// A message that may be sent: its template exists and its variables fit.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) to: Recipient,
    /// Whom it is about, when it goes to an address: forgotten with that person.
    pub(crate) about: Option<UserId>,
    pub(crate) template: &'static Template,
    /// The language to write in when the person has chosen none.
    pub(crate) locale: Option<String>,
    pub(crate) data: Map<String, Value>,
    pub(crate) category: String,
    pub(crate) media: Vec<Medium>,
    pub(crate) deduplication_key: Option<String>,
}

/// A message as it is kept.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) id: NotificationId,
    /// None when what is kept can't be read as an address or a number any more.
    pub(crate) to: Option<Recipient>,
    pub(crate) about: Option<UserId>,
    pub(crate) template: String,
    pub(crate) locale: Option<String>,
    pub(crate) data: Map<String, Value>,
    pub(crate) category: String,
    pub(crate) state: MessageState,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
}

/// A message on one channel, as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) id: DeliveryId,
    pub(crate) message: NotificationId,
    pub(crate) medium: Medium,
    pub(crate) state: DeliveryState,
    /// Why it is not sent, when it is not.
    pub(crate) reason: Option<Reason>,
    /// How many tries were begun.
    pub(crate) attempts: i64,
    /// The number of the try after which it is given up.
    pub(crate) last_attempt: i64,
    /// When a worker should take it up; while one is sending, the end of its lease.
    pub(crate) due_at: Option<Time>,
    /// From then on there is no reason left to send it.
    pub(crate) expires_at: Time,
    /// Whether it was counted against the limits.
    pub(crate) admitted: bool,
    /// The Message-Id (RFC 5322 section 3.6.4), the same at every try.
    pub(crate) rfc_message_id: String,
    pub(crate) last_error: Option<String>,
    pub(crate) sent_at: Option<Time>,
    /// Who took it.
    pub(crate) provider: Option<String>,
    /// What the provider calls it.
    pub(crate) provider_ref: Option<String>,
    /// How many parts a short message had.
    pub(crate) segments: Option<i64>,
    /// When the provider said what became of it.
    pub(crate) receipt_at: Option<Time>,
    /// Whether it goes before all that is not.
    pub(crate) urgent: bool,
}

/// One try, as it is kept. Without an end when it is going on.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) delivery: DeliveryId,
    pub(crate) number: i64,
    pub(crate) started_at: Time,
    pub(crate) finished_at: Option<Time>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) reason: Option<Reason>,
    /// Who was asked to take it, the last one when several were.
    pub(crate) provider: Option<String>,
    /// Why, for an administrator; names no address and no secret.
    pub(crate) detail: Option<String>,
}

/// What a message is, given what became of its deliveries.
pub(crate) fn settled(deliveries: &[DeliveryState]) -> MessageState {
    let any = |states: &[DeliveryState]| deliveries.iter().any(|state| states.contains(state));
    if any(&[DeliveryState::Queued, DeliveryState::Sending]) {
        MessageState::Queued
    } else if any(&[DeliveryState::Parked, DeliveryState::Undelivered]) {
        MessageState::Failed
    } else if any(&[DeliveryState::Sent, DeliveryState::Delivered]) {
        MessageState::Sent
    } else if any(&[DeliveryState::Suppressed]) {
        MessageState::Suppressed
    } else {
        MessageState::Obsolete
    }
}

/// How long to wait after the given number of failures in a row: somewhere between nothing and `base · factor^n`, and
/// never more than `most`, so that messages that failed together do not come back together.
/// `share` is a random number from 0 to 1.
pub(crate) fn backoff(failures: i64, base: Duration, factor: f64, most: Duration, share: f64) -> Duration {
    let steps = i32::try_from(failures.saturating_sub(1).clamp(0, 64)).unwrap_or(64);
    let longest = (base.as_secs_f64() * factor.max(1.0).powi(steps)).min(most.as_secs_f64());
    Duration::try_from_secs_f64(longest * share.clamp(0.0, 1.0)).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waiting_doubles_up_to_a_limit() {
        let wait = |failures| {
            backoff(failures, Duration::from_secs(30), 2.0, Duration::from_secs(3_600), 1.0).as_secs()
        };
        assert_eq!([1, 2, 3, 7, 8, 12, 4_000].map(wait), [30, 60, 120, 1_920, 3_600, 3_600, 3_600]);
    }

    proptest! {
        #[test]
        fn waiting_is_bounded_whatever_the_numbers(failures: i64, base: u32, factor in any::<f64>(), most: u32, share: f64) {
            let (base, most) = (Duration::from_millis(base.into()), Duration::from_millis(most.into()));
            prop_assert!(backoff(failures, base, factor, most, share) <= most);
        }
    }

    #[test]
    fn a_message_is_what_its_deliveries_are() {
        use DeliveryState as D;
        assert_eq!(settled(&[D::Sending]), MessageState::Queued);
        assert_eq!(settled(&[D::Parked, D::Queued]), MessageState::Queued);
        assert_eq!(settled(&[D::Parked, D::Sent]), MessageState::Failed);
        assert_eq!(settled(&[D::Undelivered, D::Delivered]), MessageState::Failed);
        assert_eq!(settled(&[D::Sent, D::Obsolete]), MessageState::Sent);
        assert_eq!(settled(&[D::Delivered, D::Suppressed]), MessageState::Sent);
        assert_eq!(settled(&[D::Suppressed, D::Obsolete]), MessageState::Suppressed);
        assert_eq!(settled(&[D::Obsolete]), MessageState::Obsolete);
    }
}
