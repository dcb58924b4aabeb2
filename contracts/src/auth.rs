//! What auth answers and tells: accounts, sessions, and the links that carry one-time secrets.
//!
//! Verifying an access token is not here: keys are published, and every process verifies by itself.

use serde::{Deserialize, Serialize};

use crate::event::facts;
use crate::wire::contract;
use crate::{
    Concealed, EmailAddress, Error, ExportPerson, Module, OneTimeRequestId, PersonalData, SessionId, Time,
    UserId,
};

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
    /// Deleted: it can do nothing, and is purged when its window to be restored is over.
    Deleted,
}

impl AccountState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Unverified, Self::Active, Self::Disabled, Self::Deleted];

    /// The word it is stored and shown as.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
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

/// Asks to make an account for somebody. The asking side chooses the id, so that asking again makes nothing new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateAccount {
    /// The id it gets.
    pub user: UserId,
    /// Its login address.
    pub email: EmailAddress,
    /// Its password; none leaves it to the invitation or to a password reset.
    pub password: Option<Concealed>,
    /// `unverified`, `active` (somebody vouches for the address) or `disabled`.
    pub state: AccountState,
    /// Whether the person gets a message with a link by which the address is proven and a password chosen.
    pub invite: bool,
    /// How the person is called; goes into the event that tells of the account.
    pub display_name: Option<String>,
    /// The language of the invitation (BCP 47).
    pub locale: Option<String>,
}

/// Asks to change an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeAccount {
    /// Whose.
    pub user: UserId,
    /// The revision that the change is meant for; none takes whatever is there.
    pub revision: Option<i64>,
    /// The new login address: the account is unverified until its owner proves it, and the old address is told.
    pub email: Option<EmailAddress>,
    /// The new state. `deleted` begins the window in which the account can be restored; leaving it restores.
    pub state: Option<AccountState>,
}

/// One account to take over from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportAccount {
    /// The id it gets.
    pub user: UserId,
    /// Its login address.
    pub email: EmailAddress,
    /// `unverified`, `active` or `disabled`.
    pub state: AccountState,
    /// A password hash, in the form in which the other system wrote it.
    pub password_hash: Option<Concealed>,
    /// A password, which is hashed here; refused beside a hash.
    pub password: Option<Concealed>,
    /// When it was registered over there; none means now.
    pub created_at: Option<Time>,
    /// How the person is called; goes into the event that tells of the account.
    pub display_name: Option<String>,
    /// The person's language (BCP 47).
    pub locale: Option<String>,
}

/// Asks to take over some accounts: each by itself, all in one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportAccounts {
    /// Only says what would happen.
    pub dry_run: bool,
    /// At most 1,000.
    pub accounts: Vec<ImportAccount>,
}

/// What became of each account, in the order in which they were given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ImportedAccounts {
    /// One for each.
    pub outcomes: Vec<ImportOutcome>,
}

/// What became of one account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportOutcome {
    /// It is there now (or would be).
    Created(Account),
    /// The same id was there already: an import that was begun before.
    Present(Account),
    /// It was not taken over, and why; pointers are those of [`ImportAccount`].
    Refused(Error),
}

/// Asks for accounts in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListAccounts {
    /// Those after this one; none begins.
    pub after: Option<UserId>,
    /// At most so many, up to 1,000.
    pub limit: u32,
}

/// Some accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// In the order of their ids; fewer than asked for means that there are no more.
    pub items: Vec<Account>,
}

/// Asks for the keys that access tokens are verified with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishKeys {}

/// The keys, and for what tokens they are good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishedKeys {
    /// Whoever makes the tokens.
    pub issuer: String,
    /// For whom they are.
    pub audience: String,
    /// A JWK set (RFC 7517) without private halves.
    pub jwks: serde_json::Value,
}

contract! {
    /// What other modules may ask of auth.
    "auth" Auth / RemoteAuth / auth_routes {
        /// One account, or none when there is no such person.
        repeatable find_account(FindAccount) -> Option<Account>,
            by &[Module::Users, Module::Permissions, Module::Notifications];
        /// Whether a session may still act; false for one that never was.
        repeatable check_session(CheckSession) -> SessionStanding, by &Module::ALL;
        /// The link of a request. `Gone` when it is spent or over, `NotFound` when it never was.
        once mint_link(MintLink) -> MintedLink, by &[Module::Notifications];
        /// Makes an account. `Conflict` when the address has another owner, `Invalid` for a password that breaks a
        /// rule; the account as it is when this id has one already.
        long create_account(CreateAccount) -> Account, by &[Module::Users];
        /// Changes an account. `NotFound` when there is none, `Conflict` when the revision is another one, the new
        /// address has an owner, or nobody would be left who is administrator.
        long change_account(ChangeAccount) -> Account, by &[Module::Users];
        /// Takes over accounts from elsewhere.
        long import_accounts(ImportAccounts) -> ImportedAccounts, by &[Module::Users];
        /// Accounts in the order of their ids, deleted ones too, until they are purged.
        repeatable list_accounts(ListAccounts) -> Accounts, by &[Module::Users];
        /// Everything auth knows about a person: `account`, `sessions`.
        repeatable export_person(ExportPerson) -> PersonalData, by &[Module::Users];
        /// The keys that access tokens are verified with, for processes that have no auth of their own.
        repeatable publish_keys(PublishKeys) -> PublishedKeys, by &Module::ALL;
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

    /// Permissions was asked whether an account may be switched off, and it is not sure what came of it. Who keeps whether
    /// accounts can be used is told what is true.
    StandingDoubted = "auth.account.standing_doubted", about user {
        /// Whose.
        user: UserId,
    }

    /// An account may do more or less than before.
    AccountStateChanged = "auth.account.state_changed", about user {
        /// Whose.
        user: UserId,
        /// What it is now.
        state: AccountState,
    }

    /// An account got another login address.
    AccountEmailChanged = "auth.account.email_changed", about user {
        /// Whose.
        user: UserId,
        /// The address it had, which is told.
        previous: EmailAddress,
    }

    /// An account is gone for good: everybody forgets the person.
    AccountPurged = "auth.account.purged", about user {
        /// Who it was.
        user: UserId,
        /// Stands for the address without telling it: see `MasterKey::address_key`.
        address_key: String,
    }

    /// Somebody forgot a password; the link is minted when the message is sent.
    PasswordResetRequested = "auth.password.reset_requested", about request {
        /// Who.
        user: UserId,
        /// What the link is minted for.
        request: OneTimeRequestId,
    }

    /// A password is another one now; its owner is told.
    PasswordChanged = "auth.password.changed", about user {
        /// Whose.
        user: UserId,
        /// Whether by the link of a reset, and not by who knew the old one.
        reset: bool,
    }

    /// Somebody was invited; the link is minted when the message is sent.
    InvitationRequested = "auth.invitation.requested", about request {
        /// Who.
        user: UserId,
        /// What the link is minted for.
        request: OneTimeRequestId,
        /// The language to write in (BCP 47), for a profile that is not there yet.
        locale: Option<String>,
    }

    /// Somebody logged in with a device that was not seen before; its owner is told, with a link that ends the login.
    SignInNoticed = "auth.session.noticed", about session {
        /// Who.
        user: UserId,
        /// The login.
        session: SessionId,
        /// What the link is minted for.
        request: OneTimeRequestId,
        /// When.
        at: Time,
        /// Where from, as far as it is known.
        client_address: Option<String>,
        /// What the client said it was.
        user_agent: Option<String>,
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
        /// Why: `signed_out`, `revoked`, `refresh_reused`, `account_disabled`, `account_deleted`, `password_changed`,
        /// `password_reset`, `reported`, `session_limit`.
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
