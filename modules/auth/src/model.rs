//! The nouns of this module and the rules that need no I/O: a value that exists is a value that is valid.
//!
//! Left out: what an e-mail address is (`contracts::EmailAddress`), and everything that asks the database or the
//! clock.

mod change;
mod device;
mod foreign;
mod network;
mod password;
mod profile;
mod secret;
#[cfg(test)]
mod texts_tests;

pub(crate) use device::{Device, Fingerprint};
pub(crate) use foreign::ForeignHash;
pub(crate) use network::Network;
pub(crate) use password::{Password, Policy, Rule, about};
pub(crate) use profile::{DisplayName, Locale};
pub(crate) use secret::{
    Invitation, PasswordReset, Refresh, Secret, SecretHash, SecretKind, SessionReport, Setup, Verification,
};

use contracts::auth::AccountState;
use contracts::{OneTimeRequestId, SessionId, Time, UserId};

platform::text_enum! {
    /// What a one-time request is for. Each kind has secrets of its own, see [`SecretKind`].
    pub(crate) enum RequestKind {
        Verification = "verification",
        Setup = "setup",
        PasswordReset = "password_reset",
        Invitation = "invitation",
        SessionReport = "session_report",
    }
}

platform::text_enum! {
    /// Why a session ended before its time.
    pub(crate) enum RevokedReason {
        SignedOut = "signed_out",
        Revoked = "revoked",
        RefreshReused = "refresh_reused",
        AccountDisabled = "account_disabled",
        AccountDeleted = "account_deleted",
        PasswordChanged = "password_changed",
        PasswordReset = "password_reset",
        Reported = "reported",
        SessionLimit = "session_limit",
    }
}

/// An account, as this module keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    /// In its one normal form; not printed.
    pub(crate) email: StoredEmail,
    pub(crate) state: AccountState,
    pub(crate) verified_at: Option<Time>,
    pub(crate) credential_version: i64,
    pub(crate) revision: i64,
    pub(crate) self_registered: bool,
    /// When the window began in which it can be restored.
    pub(crate) deleted_at: Option<Time>,
    /// Whether it was disabled when it was deleted: restoring it switches nobody on.
    pub(crate) disabled_when_deleted: bool,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
}

/// An address as it was stored: already in its one normal form. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoredEmail(pub(crate) String);

impl std::fmt::Debug for StoredEmail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredEmail(***)")
    }
}

/// A password hash as a PHC string. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash(pub(crate) String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

/// Something that one of its secrets may do once.
#[derive(Clone, Debug)]
pub(crate) struct OneTimeRequest {
    pub(crate) id: OneTimeRequestId,
    pub(crate) kind: RequestKind,
    pub(crate) account: Option<UserId>,
    /// The login that its owner may disown, of a session report.
    pub(crate) session: Option<SessionId>,
    /// The password that becomes valid with this request.
    pub(crate) password_hash: Option<PasswordHash>,
    /// What the account's credential version was; a reset under a later one is worth nothing.
    pub(crate) credential_version: Option<i64>,
    pub(crate) created_at: Time,
    pub(crate) expires_at: Time,
    pub(crate) used_at: Option<Time>,
}

impl OneTimeRequest {
    /// Whether one of its secrets still opens it.
    pub(crate) fn is_open(&self, now: Time) -> bool {
        self.used_at.is_none() && self.expires_at > now
    }
}

/// One login on one device; also the family of its refresh tokens.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) account: UserId,
    pub(crate) credential_version: i64,
    pub(crate) family_key: FamilyKey,
    pub(crate) client_address: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) created_at: Time,
    pub(crate) last_used_at: Time,
    pub(crate) expires_at: Time,
}

/// What turns a refresh token into its successor. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FamilyKey(pub(crate) Vec<u8>);

impl std::fmt::Debug for FamilyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FamilyKey(***)")
    }
}

/// A refresh token, as far as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct RefreshToken {
    pub(crate) hash: SecretHash,
    pub(crate) session: SessionId,
    pub(crate) generation: i64,
    pub(crate) created_at: Time,
    pub(crate) expires_at: Time,
    pub(crate) used_at: Option<Time>,
}

impl RefreshToken {
    /// Whether it can still be exchanged.
    pub(crate) fn is_unused(&self, now: Time) -> bool {
        self.used_at.is_none() && self.expires_at > now
    }
}
