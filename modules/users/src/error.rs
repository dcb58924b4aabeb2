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
    /// There is no such user.
    #[error("there is no such user")]
    UserNotFound,
    /// Nobody switches himself off or deletes himself here.
    #[error("it is the caller's own account")]
    OwnAccount,
    /// The user may do more than the caller.
    #[error("the user outranks the caller")]
    Outranked,
    /// The user is deleted: nothing but restoring is possible.
    #[error("the user is deleted")]
    UserDeleted,
    /// The user is not deleted.
    #[error("the user is not deleted")]
    NotDeleted,
    /// The idempotency key was used for somebody else.
    #[error("the idempotency key was used for somebody else")]
    KeyReused,
    /// There is no such import.
    #[error("there is no such import")]
    ImportNotFound,
    /// What was sent is not what the import began with.
    #[error("the import began with another file")]
    ImportOtherFile,
    /// Somebody else takes up the same import.
    #[error("the import goes on elsewhere")]
    ImportElsewhere,
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
            Error::UserNotFound => Self::not_found("users.not_found", "There is no such user."),
            Error::OwnAccount => Self::conflict(
                "users.own_account",
                "Nobody disables, deletes or moves his own account here; ask another administrator.",
            ),
            Error::Outranked => Self::denied(
                "users.outranks_you",
                "This user may do more than you; ask an administrator who may do as much.",
            ),
            Error::UserDeleted => {
                Self::conflict("users.deleted", "The user is deleted; restore the user first.")
            }
            Error::NotDeleted => Self::conflict("users.not_deleted", "The user is not deleted."),
            Error::KeyReused => Self::invalid(
                "platform.idempotency_key_reused",
                "This idempotency key was already used with another body. Use a new key for a new request.",
            ),
            Error::ImportNotFound => Self::not_found("users.import_not_found", "There is no such import."),
            Error::ImportOtherFile => Self::conflict(
                "users.import_other_file",
                "What was sent is not what this import began with; send the same file in the same way, or begin anew.",
            ),
            Error::ImportElsewhere => Self::conflict(
                "users.import_elsewhere",
                "Another request goes on with this import at the same time.",
            ),
            Error::Database(error) => error.into(),
            Error::Told(error) => error,
        }
    }
}
