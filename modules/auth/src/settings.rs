//! What an operator may choose, with the defaults. Every number says its unit; what is out of range stops the start.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

/// The settings of this module, section `auth`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What a new password must keep to.
    pub password: PasswordSettings,
    /// How passwords are hashed.
    pub hash: HashSettings,
    /// Access and refresh tokens.
    pub tokens: TokenSettings,
    /// Links with one-time secrets.
    pub links: LinkSettings,
    /// How often things may be tried.
    pub limits: LimitSettings,
    /// Where somebody is logged in.
    pub sessions: SessionSettings,
    /// What somebody logs in from.
    pub devices: DeviceSettings,
    /// What becomes of accounts that are deleted.
    pub deletion: DeletionSettings,
}

/// What becomes of accounts that are deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeletionSettings {
    /// For how long a deleted account can be restored before it is purged, in days: 0 (until the next sweep, within ten
    /// minutes) to 3650.
    pub window_days: u64,
}

impl DeletionSettings {
    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs(self.window_days.saturating_mul(86_400))
    }
}

impl Default for DeletionSettings {
    fn default() -> Self {
        Self { window_days: 30 }
    }
}

/// What a new password must keep to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordSettings {
    /// Characters a password needs: 8 to 64. NIST asks for 15 where the password is the only factor.
    pub min_length: usize,
    /// Words that everybody who attacks this service knows, such as its names: at most 100, each of 4 to 64
    /// characters. A password must be more than one of them with a few signs.
    pub context_words: Vec<String>,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self { min_length: 8, context_words: Vec::new() }
    }
}

/// How passwords are hashed (Argon2id, RFC 9106), and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HashSettings {
    /// Memory of one hash in KiB: 19456 (19 MiB) to 1048576.
    pub memory_kib: u32,
    /// Passes over the memory: 2 to 64.
    pub iterations: u32,
    /// Lanes: 1 to 16. They are computed one after the other.
    pub parallelism: u32,
    /// Hashing threads: 1 to 256; 0 means one a core.
    pub threads: usize,
    /// How far hashing stands back behind everything else.
    pub priority: HashPriority,
    /// Hashes that may wait: 1 to 10000. Beyond that, the answer is 503 at once.
    pub queue: usize,
    /// Hashes may be cheaper than is safe. No configuration can say so, only [`HashSettings::testing`].
    #[serde(skip)]
    pub(crate) cheap: bool,
}

/// How the system chooses between hashing and the rest of the process. Priorities belong to threads on Linux only;
/// elsewhere hashing competes like everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashPriority {
    /// Hashing gets what nobody else wants, and makes way at once (`SCHED_IDLE`).
    #[default]
    Idle,
    /// Hashing competes like everything else.
    Normal,
}

impl Default for HashSettings {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
            threads: 0,
            priority: HashPriority::Idle,
            queue: 128,
            cheap: false,
        }
    }
}

impl HashSettings {
    /// The cheapest that Argon2 can do: for tests.
    #[must_use]
    pub fn testing() -> Self {
        Self {
            memory_kib: 8,
            iterations: 1,
            priority: HashPriority::Normal,
            threads: 2,
            queue: 1_000,
            cheap: true,
            ..Self::default()
        }
    }
}

/// The algorithm that signs access tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// Ed25519 (RFC 8037).
    #[default]
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256, for clients that know nothing newer.
    #[serde(rename = "ES256")]
    Es256,
}

/// Access and refresh tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSettings {
    /// What signs access tokens.
    pub algorithm: SigningAlgorithm,
    /// After how long a new key signs instead, in days: 1 to 365; 0 is never.
    pub rotate_days: u64,
    /// For how long anybody may keep the published keys, in seconds: 10 to 86400. A new key is published for longer than
    /// this before it signs.
    pub jwks_max_age_seconds: u64,
    /// For whom access tokens are; empty means this service itself (`public_url`).
    pub audience: String,
    /// How long an access token is good, in seconds: 30 to 3600.
    pub access_seconds: u64,
    /// How long a session lives without being refreshed, in days: 1 to 365.
    pub idle_days: u64,
    /// How long a session lives at most, in days: 1 to 365.
    pub absolute_days: u64,
    /// How long after its use a refresh token may come back, because its answer got lost, in seconds: 0 to 60.
    pub grace_seconds: u64,
}

impl TokenSettings {
    pub(crate) fn rotation(&self) -> Option<Duration> {
        (self.rotate_days > 0).then(|| Duration::from_secs(self.rotate_days.saturating_mul(86_400)))
    }

    pub(crate) fn jwks_max_age(&self) -> Duration {
        Duration::from_secs(self.jwks_max_age_seconds)
    }

    pub(crate) fn access(&self) -> Duration {
        Duration::from_secs(self.access_seconds)
    }

    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_days.saturating_mul(86_400))
    }

    pub(crate) fn absolute(&self) -> Duration {
        Duration::from_secs(self.absolute_days.saturating_mul(86_400))
    }

    pub(crate) fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            algorithm: SigningAlgorithm::EdDsa,
            rotate_days: 30,
            jwks_max_age_seconds: 300,
            audience: String::new(),
            access_seconds: 600,
            idle_days: 30,
            absolute_days: 90,
            grace_seconds: 10,
        }
    }
}

/// Links with one-time secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkSettings {
    /// How long a verification link is good, in hours: 1 to 168.
    pub verification_hours: u64,
    /// How long the printed set-up link is good, in hours: 1 to 168.
    pub setup_hours: u64,
    /// How long an invitation is good, in hours: 1 to 720.
    pub invitation_hours: u64,
    /// How long the link of a password reset is good, in minutes: 5 to 1440.
    pub reset_minutes: u64,
    /// How long the owner of an account can disown a login by the link in its notice, in hours: 1 to 720.
    pub report_hours: u64,
}

impl LinkSettings {
    pub(crate) fn verification(&self) -> Duration {
        Duration::from_secs(self.verification_hours.saturating_mul(3_600))
    }

    pub(crate) fn invitation(&self) -> Duration {
        Duration::from_secs(self.invitation_hours.saturating_mul(3_600))
    }

    pub(crate) fn reset(&self) -> Duration {
        Duration::from_secs(self.reset_minutes.saturating_mul(60))
    }

    pub(crate) fn report(&self) -> Duration {
        Duration::from_secs(self.report_hours.saturating_mul(3_600))
    }

    pub(crate) fn setup(&self) -> Duration {
        Duration::from_secs(self.setup_hours.saturating_mul(3_600))
    }
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            verification_hours: 24,
            setup_hours: 24,
            invitation_hours: 168,
            reset_minutes: 60,
            report_hours: 168,
        }
    }
}

/// How often things may be tried. Each is at least 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Failed logins for one address from one network (IPv4 /24, IPv6 /64) in 15 minutes.
    pub login_failures_per_network: u32,
    /// Failed logins for one address from anywhere in an hour.
    pub login_failures_per_address: u32,
    /// Registrations from one network in an hour.
    pub registrations_per_network: u32,
    /// Messages that are sent to one address in an hour because somebody typed it in to register it, and as many to reset
    /// its password.
    pub messages_per_address: u32,
    /// Asks for another verification message for one address in an hour.
    pub resends_per_address: u32,
    /// Asks for a password reset for one address in an hour.
    pub resets_per_address: u32,
    /// Asks for a password reset from one network in an hour.
    pub resets_per_network: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            login_failures_per_network: 10,
            login_failures_per_address: 100,
            registrations_per_network: 10_000,
            messages_per_address: 5,
            resends_per_address: 5,
            resets_per_address: 5,
            resets_per_network: 1_000,
        }
    }
}

/// Where somebody is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionSettings {
    /// How many sessions an account has at most: 1 to 1000. Over it, the one that was not used for longest ends.
    pub max_per_account: u32,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self { max_per_account: 100 }
    }
}

/// What somebody logs in from: a network and a kind of client, remembered as a keyed hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceSettings {
    /// Whether the owner is told of a login from a device that was not seen before.
    pub notice: bool,
    /// How long a device is remembered after its last login, in days: 1 to 730.
    pub remembered_days: u64,
}

impl DeviceSettings {
    pub(crate) fn remembered(&self) -> Duration {
        Duration::from_secs(self.remembered_days.saturating_mul(86_400))
    }
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self { notice: true, remembered_days: 180 }
    }
}

impl Settings {
    /// Cheap hashes and everything else as by default: for tests.
    #[must_use]
    pub fn testing() -> Self {
        Self { hash: HashSettings::testing(), ..Self::default() }
    }

    /// Who makes access tokens, which is the public URL without a slash at its end, and for whom: every process must know
    /// it the same to verify them.
    #[must_use]
    pub fn issuer_and_audience(&self, public_url: &Url) -> (String, String) {
        let issuer = public_url.as_str().trim_end_matches('/').to_owned();
        let audience = if self.tokens.audience.is_empty() { &issuer } else { &self.tokens.audience };
        (issuer.clone(), audience.clone())
    }

    /// What is wrong with them, a sentence each; empty when they are fit for use.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let (hash, tokens, links, limits) = (&self.hash, &self.tokens, &self.links, &self.limits);
        let (least_memory, least_iterations) = if hash.cheap { (8, 1) } else { (19_456, 2) };
        let ranges: [(&str, u64, u64, u64); 27] = [
            ("password.min_length", self.password.min_length as u64, 8, 64),
            ("hash.memory_kib", hash.memory_kib.into(), least_memory, 1_048_576),
            ("hash.iterations", hash.iterations.into(), least_iterations, 64),
            ("hash.parallelism", hash.parallelism.into(), 1, 16),
            ("hash.threads", hash.threads as u64, 0, 256),
            ("hash.queue", hash.queue as u64, 1, 10_000),
            ("tokens.rotate_days", tokens.rotate_days, 0, 365),
            ("tokens.jwks_max_age_seconds", tokens.jwks_max_age_seconds, 10, 86_400),
            ("deletion.window_days", self.deletion.window_days, 0, 3_650),
            ("tokens.access_seconds", tokens.access_seconds, 30, 3_600),
            ("tokens.idle_days", tokens.idle_days, 1, 365),
            ("tokens.absolute_days", tokens.absolute_days, 1, 365),
            ("tokens.grace_seconds", tokens.grace_seconds, 0, 60),
            ("links.verification_hours", links.verification_hours, 1, 168),
            ("links.setup_hours", links.setup_hours, 1, 168),
            ("links.invitation_hours", links.invitation_hours, 1, 720),
            ("limits.login_failures_per_network", limits.login_failures_per_network.into(), 1, 1_000),
            ("limits.login_failures_per_address", limits.login_failures_per_address.into(), 1, 1_000),
            ("limits.registrations_per_network", limits.registrations_per_network.into(), 1, 1_000_000),
            ("limits.messages_per_address", limits.messages_per_address.into(), 1, 1_000),
            ("limits.resends_per_address", limits.resends_per_address.into(), 1, 1_000),
            ("limits.resets_per_address", limits.resets_per_address.into(), 1, 1_000),
            ("limits.resets_per_network", limits.resets_per_network.into(), 1, 1_000_000),
            ("links.reset_minutes", links.reset_minutes, 5, 1_440),
            ("links.report_hours", links.report_hours, 1, 720),
            ("sessions.max_per_account", self.sessions.max_per_account.into(), 1, 1_000),
            ("devices.remembered_days", self.devices.remembered_days, 1, 730),
        ];
        let words = &self.password.context_words;
        let good = |word: &String| (4..=64).contains(&word.chars().count());
        let words = (words.len() > 100 || !words.iter().all(good)).then(|| {
            "auth.password.context_words must be at most 100 words of 4 to 64 characters.".to_owned()
        });
        ranges
            .into_iter()
            .filter(|(_, value, min, max)| value < min || value > max)
            .map(|(name, _, min, max)| format!("auth.{name} must be between {min} and {max}."))
            .chain(words)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_fit_for_use() {
        assert_eq!(Settings::default().problems(), Vec::<String>::new());
        assert_eq!(Settings::testing().problems(), Vec::<String>::new());
    }

    #[test]
    fn no_configuration_makes_hashes_cheap() {
        let read = |json| serde_json::from_value::<Settings>(json);
        assert!(read(serde_json::json!({"hash": {"cheap": true}})).is_err());
        let settings = read(serde_json::json!({"hash": {"memory_kib": 8, "iterations": 1}})).unwrap();
        assert_eq!(settings.problems().len(), 2);
    }

    #[test]
    fn silly_numbers_are_told() {
        let mut settings = Settings::default();
        settings.hash.memory_kib = 1_024;
        settings.hash.iterations = 1;
        settings.password.min_length = 4;
        settings.tokens.access_seconds = 86_400;
        settings.limits.resends_per_address = 0;
        settings.sessions.max_per_account = 0;
        let problems = settings.problems().join("\n");
        let names = [
            "min_length",
            "memory_kib",
            "iterations",
            "access_seconds",
            "resends_per_address",
            "max_per_account",
        ];
        for name in names {
            assert!(problems.contains(name), "{name} is not in {problems}");
        }
    }
}
