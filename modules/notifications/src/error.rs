//! What can go wrong here, in this module's own words, and what the caller is told about it.

use contracts::Error as Told;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no such message.
    #[error("there is no such message")]
    NotFound,
    /// Nothing of the message was given up.
    #[error("nothing of the message was given up")]
    NotParked,
    /// Whoever sends may not say that a message is about security.
    #[error("a further right is needed to send what is about security")]
    SecurityDenied,
    /// Nobody has such an item, or somebody else.
    #[error("there is no such item")]
    ItemNotFound,
    /// Nobody signed this link.
    #[error("the link is not ours")]
    BadUnsubscribe,
    /// The provider did not sign this receipt.
    #[error("the receipt is not the provider's")]
    ForgedReceipt,
    /// It is no receipt.
    #[error("it is no receipt")]
    BadReceipt,
    /// Others change the same at the same time.
    #[error("others change the same at the same time")]
    Busy,
    /// The person, or this process, has too many streams open.
    #[error("too many streams are open")]
    TooManyStreams,
    /// The process stops.
    #[error("the process stops")]
    Stopping,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] platform::db::Error),
    /// Said already in the words of the house.
    #[error(transparent)]
    Told(#[from] Told),
}

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::not_found("notifications.not_found", "There is no such notification."),
            Error::NotParked => Self::conflict(
                "notifications.not_failed",
                "Only a notification that was given up, did not arrive or was over a limit can be tried again.",
            ),
            Error::SecurityDenied => Self::denied(
                "notifications.security_denied",
                "Sending this as a message about security needs the right notifications:send-security too.",
            ),
            Error::ItemNotFound => Self::not_found("notifications.item_not_found", "There is no such item."),
            Error::BadUnsubscribe => {
                let text = "The link is not whole, or was not made here.";
                Self::invalid("notifications.invalid_unsubscribe", text)
            }
            Error::ForgedReceipt => Self::unauthenticated(
                "notifications.receipt_refused",
                "The receipt is not signed as it must be.",
            ),
            Error::BadReceipt => Self::invalid("notifications.invalid_receipt", "This is no receipt."),
            Error::Busy => {
                Self::unavailable("notifications.busy", "Somebody else is changing this; try again.")
                    .retry_after(1)
            }
            Error::TooManyStreams => {
                let text = "Too many streams are open; close one, or try again later.";
                Self::limited("notifications.too_many_streams", text).retry_after(30)
            }
            Error::Stopping => {
                Self::unavailable("platform.stopping", "The service is stopping.").retry_after(1)
            }
            Error::Database(error) => error.into(),
            Error::Told(error) => error,
        }
    }
}

/// Why the module can't start: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub(crate) String);
