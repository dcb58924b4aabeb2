//! A message as its receiver sees it, who takes it away, and why it was not taken.

use std::fmt;

use contracts::{EmailAddress, PhoneNumber, Time, UserId};

use super::Reason;

/// Where a letter goes.
#[derive(Clone, PartialEq, Eq)]
pub enum Destination {
    /// A mailbox.
    Email(EmailAddress),
    /// A phone.
    Phone(PhoneNumber),
    /// The inbox of somebody here.
    Person(UserId),
}

impl Destination {
    /// The address as the dev mailbox shows it and as limits count it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Email(address) => address.as_str().to_owned(),
            Self::Phone(number) => number.as_str().to_owned(),
            Self::Person(user) => user.to_string(),
        }
    }
}

/// Where a reader says that such mails are not wanted any more (RFC 8058). The address is a secret of the reader.
#[derive(Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// An address that takes `List-Unsubscribe=One-Click`.
    pub url: String,
}

/// A message as its receiver sees it, with the address it goes to. It doesn't print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The address: the one that auth keeps for the person, or the one given with the message.
    pub to: Destination,
    /// The delivery, the same at every try: what providers may use to tell a repetition.
    pub delivery: String,
    /// The Message-Id without angle brackets, the same at every try.
    pub message_id: String,
    /// When it is sent.
    pub date: Time,
    /// One line; empty for a short message.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// A whole HTML page that loads nothing; of anything but mail only the development mailbox shows it.
    pub html: String,
    /// Every link it holds.
    pub links: Vec<String>,
    /// How many parts a short message needs.
    pub segments: u32,
    /// For mails that may be switched off.
    pub unsubscribe: Option<Unsubscribe>,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

/// Who took a letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The provider's name; none when it only went into the development mailbox or the inbox.
    pub provider: Option<&'static str>,
    /// What the provider calls it.
    pub reference: Option<String>,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Trying again later may help.
    Temporary,
    /// Trying again changes nothing.
    Permanent,
    /// It is held back on purpose.
    Suppressed,
    /// There is no reason left to send it, such as a link that was already used.
    Obsolete,
}

/// Why a try failed: a stable word, and a sentence for an administrator without addresses and secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// What to do about it.
    pub kind: FailureKind,
    /// The stable word.
    pub reason: Reason,
    /// The sentence.
    pub text: String,
    /// Whether the provider is in trouble, and not the message: another one should be asked for the next messages.
    pub of_provider: bool,
    /// Who was asked to take it.
    pub provider: Option<&'static str>,
    /// Stands for the address, when it is the address that is no good.
    pub address_key: Option<String>,
}

impl Failure {
    fn new(kind: FailureKind, reason: Reason, text: impl Into<String>) -> Self {
        Self { kind, reason, text: text.into(), of_provider: false, provider: None, address_key: None }
    }

    /// Trying again later may help.
    #[must_use]
    pub fn temporary(reason: Reason, text: impl Into<String>) -> Self {
        Self::new(FailureKind::Temporary, reason, text)
    }

    /// The provider is in trouble; trying again later, or another one, may help.
    #[must_use]
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self { of_provider: true, ..Self::temporary(Reason::ProviderUnavailable, text) }
    }

    /// Trying again changes nothing.
    #[must_use]
    pub fn permanent(reason: Reason, text: impl Into<String>) -> Self {
        Self::new(FailureKind::Permanent, reason, text)
    }

    /// It is held back on purpose.
    #[must_use]
    pub fn suppressed(reason: Reason, text: impl Into<String>) -> Self {
        Self::new(FailureKind::Suppressed, reason, text)
    }

    /// There is no reason left to send it.
    #[must_use]
    pub fn obsolete(reason: Reason, text: impl Into<String>) -> Self {
        Self::new(FailureKind::Obsolete, reason, text)
    }
}
