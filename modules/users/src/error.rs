//! What can go wrong here, in this module's own words, and what the caller is told about it.

use contracts::Error as Told;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The account behind a live session is not there.
    #[error("the account is gone")]
    AccountGone,
    /// It was changed since the caller read it.
    #[error("it was changed in between")]
    Stale,
    /// There are no preferences under that name.
    #[error("there is no such namespace")]
    NamespaceNotFound,
    /// One more namespace would be too many.
    #[error("there are too many namespaces")]
    TooManyNamespaces(u32),
    /// The value takes more room than there is.
    #[error("the preferences are too large")]
    TooLarge(usize),
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
            Error::AccountGone => Self::not_found("users.account_gone", "The account is gone."),
            Error::Stale => platform::http::precondition_failed(),
            Error::NamespaceNotFound => {
                Self::not_found("users.preferences_not_found", "There are no preferences under this name.")
            }
            Error::TooManyNamespaces(most) => Self::conflict(
                "users.too_many_namespaces",
                format!("There can be at most {most} namespaces; remove one first."),
            ),
            Error::TooLarge(most) => platform::http::too_large(most),
            Error::Database(error) => error.into(),
            Error::Told(error) => error,
        }
    }
}
