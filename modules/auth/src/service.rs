//! What this module does, one use case a file, and the one value that holds what they need.
//!
//! A use case checks everything it can, then begins one transaction in which state, events and audit are written
//! together. Left out: HTTP (see `http`), SQL (see `store`), and when background work runs (the application says so).

mod accept_invitation;
mod appoint;
mod attempts;
mod change_account;
mod change_password;
mod check_session;
mod close_restored;
mod create_account;
mod discovery;
mod export_person;
mod find_account;
mod import_accounts;
mod list_accounts;
mod list_sessions;
mod login;
mod mint;
mod mint_link;
mod notice_sign_in;
mod passwords;
mod prove;
mod purge;
mod refresh;
mod register;
mod report_session;
mod request_reset;
mod resend;
mod reset_password;
mod revoke_sessions;
mod rotate_keys;
mod set_up;
mod signing_keys;
mod standing;
mod steady;
mod sweep;
mod take_over;
mod throttle;
mod verify;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contracts::auth::{
    Account, Accounts, Auth, ChangeAccount, CheckSession, CreateAccount, FindAccount, ImportAccounts,
    ImportedAccounts, ListAccounts, MintLink, MintedLink, PublishKeys, PublishedKeys, SessionStanding,
};
use contracts::permissions::Permissions;
use contracts::{Caller, Error as Shared, ExportPerson, PersonalData, SessionId, Time, UserId};
use platform::cache::{Cache, Caches};
use platform::clock::Clock;
use platform::db::Database;
use platform::limits::{Bucket, Limit};
use platform::settings::MasterKey;
use platform::tokens::{KeySource, PublicKeys};
use tokio::sync::Semaphore;
use url::Url;

use crate::model::Policy;
use crate::settings::Settings;
use crate::store::sessions::Standing;
use attempts::Attempts;
use passwords::{HashPool, threads};
use signing_keys::SigningKeys;

pub(crate) use accept_invitation::AcceptInvitation;
pub use appoint::{Appointed, Appointment, FirstAccess};
pub(crate) use change_password::ChangePassword;
pub use close_restored::{Closed, close_restored};
pub(crate) use discovery::Document;
pub(crate) use login::Login;
pub(crate) use mint::Tokens;
pub use passwords::{TunedHash, tune_hash};
pub(crate) use register::Register;
pub(crate) use reset_password::ResetPassword;
pub use rotate_keys::RotatedKeys;
pub(crate) use set_up::SetUp;
pub use set_up::SetupLink;

/// What the module needs from outside.
pub struct Dependencies {
    /// Where it keeps its tables; they must be there.
    pub db: Database,
    /// What time it is.
    pub clock: Clock,
    /// What the operator chose.
    pub settings: Settings,
    /// Where people reach this service; every link and the issuer of every token come from here.
    pub public_url: Url,
    /// Seals signing keys, and keeps the names of limits from being guessed.
    pub master_key: MasterKey,
    /// Who decides about roles: asked to appoint the first administrator.
    pub permissions: Arc<dyn Permissions>,
    /// Where the sessions and accounts are kept that are asked about often.
    pub caches: Caches,
}

/// The module.
pub struct Service {
    db: Database,
    clock: Clock,
    settings: Settings,
    /// The public URL without a slash at its end.
    issuer: String,
    audience: String,
    permissions: Arc<dyn Permissions>,
    standings: Cache<SessionId, Option<Standing>>,
    accounts: Cache<UserId, Option<Account>>,
    passwords: HashPool,
    keys: SigningKeys,
    attempts: Attempts,
    /// As many as there are hashing threads: all imports share them, and nobody who logs in waits behind more of theirs.
    import_turns: Semaphore,
    /// Goes into the name of every limit, so that who reads the table can't tell whose it is.
    limits_key: [u8; 32],
    /// Goes into what is remembered of devices, for the same reason.
    devices_key: [u8; 32],
    /// Words that no password may lean on, whoever chooses it.
    context_words: Vec<String>,
    /// Names the addresses of people who are gone without telling them.
    master_key: MasterKey,
}

impl Service {
    /// Starts the module: its hashing threads, and its signing key when there is none yet.
    ///
    /// # Errors
    /// A sentence for the operator when the settings are not fit for use; otherwise what the database or the master
    /// key say.
    pub async fn new(dependencies: Dependencies) -> Result<Self, Shared> {
        let Dependencies { db, clock, settings, public_url, master_key, permissions, caches } = dependencies;
        let problems = settings.problems();
        if !problems.is_empty() {
            return Err(Shared::invalid("auth.unfit_settings", problems.join(" ")));
        }
        let (issuer, audience) = settings.issuer_and_audience(&public_url);
        let service = Self {
            audience,
            keys: SigningKeys::open(&db, &clock, master_key.clone(), &issuer, settings.tokens.algorithm)
                .await?,
            passwords: HashPool::start(&settings.hash)?,
            attempts: Attempts::new(settings.hash.queue.saturating_add(threads(&settings.hash))),
            import_turns: Semaphore::new(threads(&settings.hash)),
            limits_key: master_key.derive("auth.limits"),
            devices_key: master_key.derive("auth.devices"),
            context_words: context_words(&settings.password.context_words, &public_url),
            master_key,
            db,
            clock,
            settings,
            issuer,
            permissions,
            standings: caches.shared_cache("auth.sessions"),
            accounts: caches.shared_cache("auth.accounts"),
        };
        service.follow_algorithm().await?;
        Ok(service)
    }

    /// The issuer of this module's tokens: the public URL without a slash at its end.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The audience of this module's access tokens.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// For how long anybody may keep what is published about this issuer, in seconds.
    pub(crate) fn jwks_max_age_seconds(&self) -> u64 {
        self.settings.tokens.jwks_max_age_seconds
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    fn policy(&self) -> Policy<'_> {
        Policy { min_length: self.settings.password.min_length, context_words: &self.context_words }
    }

    /// The limit's bucket for whom the parts stand together.
    fn bucket(&self, operation: &'static str, parts: &[&str]) -> Bucket {
        let key: &[u8] = &self.limits_key;
        let parts: Vec<&[u8]> =
            std::iter::once(key).chain(parts.iter().map(|part| part.as_bytes())).collect();
        Bucket::of(operation, &parts)
    }

    /// How many messages may be sent to one address because somebody typed it in, and to whom. Each purpose has its own
    /// count: whoever registers an address all the time must not keep its owner from the link of a reset.
    fn message_limit(&self, purpose: Purpose, address: &str) -> (Bucket, Limit) {
        let bucket = self.bucket("auth.messages", &[purpose.as_str(), address]);
        (bucket, hourly(self.settings.limits.messages_per_address))
    }
}

/// What a message is sent for.
#[derive(Clone, Copy)]
enum Purpose {
    /// Registering an address and proving it.
    Registration,
    /// Choosing another password.
    Reset,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Reset => "reset",
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("auth::Service").finish_non_exhaustive()
    }
}

/// The words of the settings, and those that the service is known by: the labels of its host but the last one.
fn context_words(chosen: &[String], public_url: &Url) -> Vec<String> {
    let host = public_url.domain().unwrap_or_default();
    let (labels, _) = host.rsplit_once('.').unwrap_or((host, ""));
    let known = labels.split('.').map(str::to_owned);
    chosen.iter().cloned().chain(known).filter(|word| word.chars().count() >= 4).collect()
}

/// So many an hour.
fn hourly(capacity: u32) -> Limit {
    Limit { capacity, window: Duration::from_secs(3_600) }
}

/// What other modules may ask; each answer is its use case's.
#[async_trait]
impl Auth for Service {
    async fn find_account(&self, _: &Caller, ask: FindAccount) -> Result<Option<Account>, Shared> {
        Ok(self.account(ask.user).await?)
    }

    async fn check_session(&self, _: &Caller, ask: CheckSession) -> Result<SessionStanding, Shared> {
        Ok(self.session_standing(ask).await?)
    }

    async fn publish_keys(&self, _: &Caller, _: PublishKeys) -> Result<PublishedKeys, Shared> {
        let keys = self.public_keys().await?;
        Ok(PublishedKeys {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            jwks: serde_json::to_value(keys).map_err(Shared::internal)?,
        })
    }

    async fn mint_link(&self, _: &Caller, ask: MintLink) -> Result<MintedLink, Shared> {
        Ok(self.link(ask.request).await?)
    }

    async fn create_account(&self, caller: &Caller, ask: CreateAccount) -> Result<Account, Shared> {
        Ok(self.create(caller, ask).await?)
    }

    async fn change_account(&self, caller: &Caller, ask: ChangeAccount) -> Result<Account, Shared> {
        Ok(self.change(caller, ask).await?)
    }

    async fn import_accounts(
        &self,
        caller: &Caller,
        ask: ImportAccounts,
    ) -> Result<ImportedAccounts, Shared> {
        Ok(self.import(caller, ask).await?)
    }

    async fn list_accounts(&self, _: &Caller, ask: ListAccounts) -> Result<Accounts, Shared> {
        Ok(self.accounts(ask).await?)
    }

    async fn export_person(&self, _: &Caller, ask: ExportPerson) -> Result<PersonalData, Shared> {
        Ok(self.personal_data(ask.user).await?)
    }
}

#[async_trait]
impl KeySource for Service {
    async fn load(&self) -> Result<PublicKeys, Shared> {
        self.public_keys().await
    }

    fn revision(&self) -> u64 {
        self.keys_revision()
    }
}
