//! What auth answers and tells: accounts, sessions, and the links that carry one-time secrets.
//!
//! Verifying an access token is not here: keys are published, and every process verifies by itself.

use serde::{Deserialize, Serialize};

use crate::event::facts;
use crate::wire::contract;
use crate::{EmailAddress, OneTimeRequestId, SessionId, Time, UserId};

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(feature = "sql", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
#[cfg_attr(feature = "sql", diesel(sql_type = diesel::sql_types::Text))]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// Registered; its e-mail address is not proven yet, so it can't log in.
    Unverified,
    /// In use.
    Active,
    /// Switched off by an administrator.
    Disabled,
}

impl AccountState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Unverified, Self::Active, Self::Disabled];

    /// The word it is stored and shown as.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    /// The state that a word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// An account as other modules see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose it is.
    pub id: UserId,
    /// Its login address; mail goes here and nowhere else.
    pub email: EmailAddress,
    /// Whether the owner has proven the address.
    pub email_verified: bool,
    /// What it may do.
    pub state: AccountState,
    /// Rises with every change; part of entity tags.
    pub revision: i64,
    /// When it was registered.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// Asks for one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindAccount {
    /// Whose.
    pub user: UserId,
}

/// Asks whether a session may still act for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckSession {
    /// Who is said to be logged in.
    pub user: UserId,
    /// The login it comes from.
    pub session: SessionId,
}

/// Whether a session may still act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStanding {
    /// True when the session is that person's, neither revoked nor expired, and the account is active.
    pub live: bool,
}

/// Asks for the link of a request, at the moment it is sent; every ask makes a new secret, all of them open the
/// same request, and it is spent once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintLink {
    /// The request, from the event that told of it.
    pub request: OneTimeRequestId,
}

/// A link with its secret. Don't keep it: `Debug` hides it, and it never rides in an event.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintedLink {
    /// Where the person goes.
    pub url: String,
    /// Until when.
    pub expires_at: Time,
}

impl std::fmt::Debug for MintedLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MintedLink").field("url", &"***").field("expires_at", &self.expires_at).finish()
    }
}

contract! {
    /// What other modules may ask of auth.
    "auth" Auth / RemoteAuth / auth_routes {
        /// One account, or none when there is no such person.
        find_account(FindAccount) -> Option<Account>;
        /// Whether a session may still act; false for one that never was.
        check_session(CheckSession) -> SessionStanding;
        /// The link of a request. `Gone` when it is spent or over, `NotFound` when it never was.
        mint_link(MintLink) -> MintedLink;
    }
}

facts! {
    /// Somebody registered, or was registered.
    AccountRegistered = "auth.account.registered", about user {
        /// Who.
        user: UserId,
        /// The name given with the registration.
        display_name: Option<String>,
        /// The language given with the registration (BCP 47).
        locale: Option<String>,
    }

    /// The owner proved the address.
    AccountVerified = "auth.account.verified", about user {
        /// Who.
        user: UserId,
    }

    /// An account may do more or less than before.
    AccountStateChanged = "auth.account.state_changed", about user {
        /// Whose.
        user: UserId,
        /// What it is now.
        state: AccountState,
    }

    /// Somebody should prove an address; the link is minted when the message is sent.
    VerificationRequested = "auth.verification.requested", about request {
        /// Who.
        user: UserId,
        /// What the link is minted for.
        request: OneTimeRequestId,
        /// The language given with the registration (BCP 47), for a profile that is not there yet.
        locale: Option<String>,
    }

    /// Somebody tried to register an address that already has an owner.
    RegistrationRepeated = "auth.registration.repeated", about user {
        /// The owner.
        user: UserId,
    }

    /// Somebody became the first administrator.
    AdministratorAppointed = "auth.administrator.appointed", about user {
        /// Who.
        user: UserId,
    }

    /// Somebody logged in.
    SessionCreated = "auth.session.created", about session {
        /// Who.
        user: UserId,
        /// The login.
        session: SessionId,
    }

    /// A login ended.
    SessionRevoked = "auth.session.revoked", about session {
        /// Whose.
        user: UserId,
        /// The login.
        session: SessionId,
        /// Why: `signed_out`, `revoked`, `refresh_reused`, `account_disabled`.
        reason: String,
    }

    /// A refresh token came back after its successor was in use: one of the two was stolen.
    RefreshReused = "auth.refresh.reused", about session {
        /// Whose.
        user: UserId,
        /// The login that was ended because of it.
        session: SessionId,
    }
}
