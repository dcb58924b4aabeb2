//! The nouns of notifications and the rules that need no I/O: messages, deliveries, attempts, and when to try again.
//!
//! Words, languages and templates have rooms of their own below. Nothing here knows how a message travels.

pub(crate) mod locale;
pub(crate) mod render;
pub(crate) mod template;
pub(crate) mod words;

use std::fmt;
use std::time::Duration;

use contracts::notifications::Recipient;
use contracts::{EmailAddress, Fields, NotificationId, Time};
use serde_json::{Map, Value};

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
        Obsolete = "obsolete",
    }
}

platform::text_enum! {
    /// What became of a message on one channel.
    pub enum DeliveryState {
        Queued = "queued",
        Sending = "sending",
        Sent = "sent",
        Parked = "parked",
        Obsolete = "obsolete",
    }
}

platform::text_enum! {
    /// The way a message takes.
    pub enum Medium {
        Email = "email",
    }
}

platform::text_enum! {
    /// What became of one try.
    pub enum Outcome {
        Sent = "sent",
        Temporary = "temporary",
        Permanent = "permanent",
        Obsolete = "obsolete",
        Interrupted = "interrupted",
    }
}

/// A message that may be sent: its template exists and its variables fit.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) to: Recipient,
    pub(crate) template: &'static Template,
    /// The language to write in when the person has chosen none.
    pub(crate) locale: Option<String>,
    pub(crate) data: Map<String, Value>,
    pub(crate) category: String,
    pub(crate) deduplication_key: Option<String>,
}

/// A message as it is kept.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) id: NotificationId,
    pub(crate) to: Recipient,
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
    /// How many tries were begun.
    pub(crate) attempts: i64,
    /// The number of the try after which it is given up.
    pub(crate) last_attempt: i64,
    /// When a worker should take it up; while one is sending, the end of its lease.
    pub(crate) due_at: Option<Time>,
    /// The Message-Id (RFC 5322 section 3.6.4), the same at every try.
    pub(crate) rfc_message_id: String,
    pub(crate) last_error: Option<String>,
    pub(crate) sent_at: Option<Time>,
}

/// One try, as it is kept. Without an end when it is going on.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) delivery: DeliveryId,
    pub(crate) number: i64,
    pub(crate) started_at: Time,
    pub(crate) finished_at: Option<Time>,
    pub(crate) outcome: Option<Outcome>,
    /// Why, for an administrator; names no address and no secret.
    pub(crate) detail: Option<String>,
}

/// A message as its receiver sees it, with the address it goes to. It doesn't print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The address: the one that auth keeps for the person, or the one given with the message.
    pub to: EmailAddress,
    /// The Message-Id without angle brackets, the same at every try.
    pub message_id: String,
    /// When it is sent.
    pub date: Time,
    /// One line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// A whole HTML page that loads nothing.
    pub html: String,
    /// Every link it holds.
    pub links: Vec<String>,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

/// Why a try failed: a sentence for an administrator, without addresses and secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Trying again later may help.
    #[error("{0}")]
    Temporary(String),
    /// Trying again changes nothing.
    #[error("{0}")]
    Permanent(String),
    /// There is no reason left to send it, such as a link that was already used.
    #[error("{0}")]
    Obsolete(String),
}

/// Checks the name of a category: `security`, `product_news`.
pub(crate) fn category(given: &str, fields: &mut Fields) -> String {
    let good = (1..=64).contains(&given.len())
        && given.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && given.starts_with(|c: char| c.is_ascii_lowercase());
    if !good {
        let rule = "Must be 1 to 64 lower-case letters, digits and underscores, a letter first.";
        fields.broken("/category", "malformed", rule);
    }
    given.to_owned()
}

/// What a message is, given what became of its deliveries.
pub(crate) fn settled(deliveries: &[DeliveryState]) -> MessageState {
    let any = |state| deliveries.contains(&state);
    if any(DeliveryState::Queued) || any(DeliveryState::Sending) {
        MessageState::Queued
    } else if any(DeliveryState::Parked) {
        MessageState::Failed
    } else if any(DeliveryState::Sent) {
        MessageState::Sent
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
        assert_eq!(settled(&[D::Sent, D::Obsolete]), MessageState::Sent);
        assert_eq!(settled(&[D::Obsolete]), MessageState::Obsolete);
    }

    #[test]
    fn categories_are_words() {
        for (given, good) in [
            ("security", true),
            ("a_1", true),
            ("", false),
            ("A", false),
            ("1a", false),
            ("a b", false),
            ("a-b", false),
        ] {
            let mut fields = Fields::default();
            category(given, &mut fields);
            assert_eq!(fields.is_empty(), good, "{given}");
        }
    }
}
