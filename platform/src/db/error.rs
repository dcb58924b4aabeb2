//! What can go wrong with a database, sorted by what a caller can do about it.
//!
//! Texts name neither hosts nor SQL, so that they may be logged; the engine's own words are the source.

use std::borrow::Cow;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// What became of a question to the database.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A database error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database does not answer, or every connection is taken. Trying again later may help.
    #[error("the database is not available: {0}")]
    Unavailable(Cow<'static, str>),
    /// The database gave up waiting for a lock or for the statement's end. Trying again may help.
    #[error("the database took too long: {0}")]
    Timeout(Cow<'static, str>),
    /// A unique constraint says that this is there already. Which one follows from the statement.
    #[error("there is such a row already")]
    Duplicate,
    /// A foreign key points at nothing, or at something that is still in use.
    #[error("a row points at a row that is not there, or is still pointed at")]
    ForeignKey,
    /// A query that must find a row found none.
    #[error("there is no such row")]
    NotFound,
    /// The settings or the database itself are not fit for use; the text is a sentence for the operator.
    #[error("{0}")]
    Setup(String),
    /// A mistake of ours, such as SQL that the engine refuses.
    #[error("the database refused")]
    Other(#[source] DieselError),
}

impl Error {
    /// Whether a connection is of no use after this.
    pub(super) fn ends_connection(error: &DieselError) -> bool {
        match error {
            DieselError::DatabaseError(kind, details) => {
                // A server that takes no writes any more is not the one that was connected to: there was a failover.
                matches!(
                    kind,
                    DatabaseErrorKind::UnableToSendCommand
                        | DatabaseErrorKind::ClosedConnection
                        | DatabaseErrorKind::ReadOnlyTransaction
                ) || details.message().starts_with("terminating connection")
            }
            _ => false,
        }
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        let DieselError::DatabaseError(kind, details) = &error else {
            return match error {
                DieselError::NotFound => Self::NotFound,
                other => Self::Other(other),
            };
        };
        match kind {
            DatabaseErrorKind::UniqueViolation => Self::Duplicate,
            DatabaseErrorKind::ForeignKeyViolation => Self::ForeignKey,
            DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => {
                Self::Unavailable("the connection broke".into())
            }
            DatabaseErrorKind::ReadOnlyTransaction => {
                Self::Unavailable("it takes no writes right now".into())
            }
            _ => from_message(details.message()).unwrap_or(Self::Other(error)),
        }
    }
}

/// What is said of a disk that is full, broken or read-only: by SQLite, and by PostgreSQL.
const DISK: [&str; 6] = [
    "disk I/O error",
    "database or disk is full",
    "unable to open database file",
    "attempt to write a readonly database",
    "could not extend file",
    "could not write to file",
];

/// Neither engine's error code reaches us through diesel, only its message.
fn from_message(message: &str) -> Option<Error> {
    let starts_with = |starts: &[&str]| starts.iter().any(|start| message.starts_with(start));
    if starts_with(&["canceling statement due to", "deadlock detected"]) {
        Some(Error::Timeout("it waited too long for a statement or a lock".into()))
    } else if starts_with(&["database is locked", "database table is locked"]) {
        Some(Error::Timeout("another writer holds the database".into()))
    } else if starts_with(&["terminating connection", "the database system is", "sorry, too many clients"]) {
        Some(Error::Unavailable("it is starting, stopping or full".into()))
    } else if starts_with(&DISK) {
        Some(Error::Unavailable("its disk does not take or give data".into()))
    } else {
        None
    }
}

impl From<Error> for contracts::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(_) | Error::Timeout(_) => Self::unavailable(
                "platform.database_unavailable",
                "The database does not answer right now. Please try again.",
            )
            .retry_after(1)
            .caused_by(error),
            Error::Duplicate => {
                Self::conflict("platform.already_exists", "There is something like this already.")
                    .caused_by(error)
            }
            Error::ForeignKey | Error::NotFound | Error::Setup(_) | Error::Other(_) => Self::internal(error),
        }
    }
}
