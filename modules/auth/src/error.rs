//! This module's own words for what goes wrong, and what they are to everybody else. The codes are promises.

use contracts::Error as Shared;

/// What goes wrong here.
#[derive(Debug)]
pub(crate) enum Error {
    /// Wrong password, unknown address, disabled account, unproven address: one and the same.
    InvalidCredentials,
    /// Too many failed logins; seconds until the next try.
    TooManyFailures(u32),
    /// Too many passwords are being hashed.
    Busy,
    /// Too many asks for messages or registrations; seconds until the next one.
    TooManyRequests(u32),
    /// Unknown, used, expired, or of an ended session: one and the same.
    InvalidRefreshToken,
    /// A one-time token that never was.
    UnknownToken,
    /// A one-time token that was used or is over.
    SpentToken,
    /// No request has this id.
    UnknownRequest,
    /// Not a live session of the caller.
    UnknownSession,
    /// There is an administrator already.
    SetupCompleted,
    /// No account has this id.
    UnknownAccount,
    /// The account is not in the revision any more that a change was meant for.
    AccountChanged,
    /// The address belongs to an account whose owner has proven it.
    AddressTaken,
    /// The id was somebody's who was forgotten for good.
    PurgedId,
    /// The database's trouble.
    Database(platform::db::Error),
    /// Somebody else's, or broken rules of the input.
    Shared(Shared),
}

impl From<Error> for Shared {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidCredentials => Self::unauthenticated(
                "auth.invalid_credentials",
                "The e-mail address or the password is wrong.",
            ),
            Error::TooManyFailures(seconds) => Self::limited(
                "auth.too_many_failures",
                "Too many failed logins. Please wait before trying again.",
            )
            .retry_after(seconds),
            Error::Busy => {
                let text = "Too many passwords are being checked right now. Please try again.";
                Self::unavailable("auth.busy", text).retry_after(1)
            }
            Error::TooManyRequests(seconds) => {
                Self::limited("auth.too_many_requests", "Too many requests. Please wait before trying again.")
                    .retry_after(seconds)
            }
            Error::InvalidRefreshToken => Self::unauthenticated(
                "auth.invalid_refresh_token",
                "The refresh token is not valid. Log in again.",
            ),
            Error::UnknownToken => {
                let text = "This is not a valid token.";
                Self::invalid("auth.unknown_token", text).at("/token", "unknown_token", text)
            }
            Error::SpentToken => Self::gone("auth.spent_token", "This link was used already, or is too old."),
            Error::UnknownRequest => Self::not_found("auth.unknown_request", "There is no such request."),
            Error::UnknownSession => Self::not_found("auth.unknown_session", "You have no such session."),
            Error::SetupCompleted => Self::gone("auth.setup_completed", "There is an administrator already."),
            Error::UnknownAccount => Self::not_found("auth.account_unknown", "There is no such account."),
            Error::AccountChanged => {
                Self::conflict("auth.account_changed", "The account was changed meanwhile.")
            }
            Error::AddressTaken => Self::conflict(
                "auth.address_taken",
                "This address belongs to an account already.",
            )
            .at("/email", "taken", "This address belongs to an account already."),
            Error::PurgedId => {
                let text = "This id belonged to somebody who was purged, and is nobody else's.";
                Self::conflict("auth.id_purged", text).at("/id", "purged", text)
            }
            Error::Database(error) => error.into(),
            Error::Shared(error) => error,
        }
    }
}

impl From<platform::db::Error> for Error {
    fn from(error: platform::db::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Shared> for Error {
    fn from(error: Shared) -> Self {
        Self::Shared(error)
    }
}
