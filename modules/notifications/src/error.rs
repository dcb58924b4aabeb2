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
                "Only a notification that was given up can be tried again.",
            ),
            Error::Database(error) => error.into(),
            Error::Told(error) => error,
        }
    }
}

/// Why the module can't start: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub(crate) String);
