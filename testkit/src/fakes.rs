//! Stand-ins for the four contracts: small, in memory, and told what to answer. Each passes the same conformance
//! suite as the real one, so that a test that leans on a fake leans on something true.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use contracts::auth::{
    Account, AccountState, Accounts, Auth, ChangeAccount, CheckSession, CreateAccount, FindAccount,
    ImportAccounts, ImportOutcome, ImportedAccounts, ListAccounts, MintLink, MintedLink, PublishKeys,
    PublishedKeys, SessionStanding,
};
use contracts::notifications::{Notifications, QueuedNotification, Recipient, SendNotification};
use contracts::permissions::{
    AssignRole, AssignedRole, Decision, Evaluate, FindOutranking, Outranking, Permissions, Reason,
    SetStanding, Standing, Subject,
};
use contracts::users::{FindProfile, Profile, Users};
use contracts::{
    AssignmentId, Caller, EmailAddress, Error, ExportPerson, NotificationId, OneTimeRequestId, PersonalData,
    Result, SessionId, Time, UserId,
};

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct AuthState {
    accounts: HashMap<UserId, Account>,
    sessions: HashSet<CheckSession>,
    requests: HashMap<OneTimeRequestId, bool>,
    minted: usize,
}

/// Knows the accounts, sessions and requests that a test gave it.
#[derive(Default)]
pub struct FakeAuth(Mutex<AuthState>);

impl FakeAuth {
    /// Adds an active account with a proven address.
    pub fn add_account(&self, email: &str) -> Account {
        let now = Time::from_micros(1_767_225_600_000_000);
        let account = Account {
            id: UserId::new(),
            email: EmailAddress::parse(email).unwrap(),
            email_verified: true,
            state: AccountState::Active,
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        self.set_account(account.clone());
        account
    }

    /// Puts an account as it is.
    pub fn set_account(&self, account: Account) {
        held(&self.0).accounts.insert(account.id, account);
    }

    /// Forgets an account, as a purge does.
    pub fn forget_account(&self, user: UserId) {
        held(&self.0).accounts.remove(&user);
    }

    /// The account with an address.
    pub fn account_of(&self, email: &str) -> Option<Account> {
        held(&self.0).accounts.values().find(|it| it.email.as_str() == email).cloned()
    }

    /// Logs a person in.
    pub fn add_session(&self, user: UserId) -> SessionId {
        let session = SessionId::new();
        held(&self.0).sessions.insert(CheckSession { user, session });
        session
    }

    /// Logs a person out.
    pub fn end_session(&self, user: UserId, session: SessionId) {
        held(&self.0).sessions.remove(&CheckSession { user, session });
    }

    /// Logs a person out everywhere.
    pub fn end_sessions(&self, user: UserId) {
        held(&self.0).sessions.retain(|it| it.user != user);
    }

    /// Opens a request that links can be minted for.
    pub fn open_request(&self) -> OneTimeRequestId {
        let request = OneTimeRequestId::new();
        held(&self.0).requests.insert(request, true);
        request
    }

    /// Spends a request.
    pub fn spend_request(&self, request: OneTimeRequestId) {
        held(&self.0).requests.insert(request, false);
    }
}

#[async_trait]
impl Auth for FakeAuth {
    async fn find_account(&self, _: &Caller, ask: FindAccount) -> Result<Option<Account>> {
        Ok(held(&self.0).accounts.get(&ask.user).cloned())
    }

    async fn publish_keys(&self, _: &Caller, _: PublishKeys) -> Result<PublishedKeys> {
        let issuer = "https://id.example.org".to_owned();
        // The key of RFC 8037 appendix A.2.
        let key = serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        });
        Ok(PublishedKeys { audience: issuer.clone(), issuer, jwks: serde_json::json!({ "keys": [key] }) })
    }

    async fn check_session(&self, _: &Caller, ask: CheckSession) -> Result<SessionStanding> {
        Ok(SessionStanding { live: held(&self.0).sessions.contains(&ask) })
    }

    async fn mint_link(&self, _: &Caller, ask: MintLink) -> Result<MintedLink> {
        let mut state = held(&self.0);
        match state.requests.get(&ask.request) {
            Some(true) => {
                state.minted += 1;
                Ok(MintedLink {
                    url: format!("http://127.0.0.1:8080/verify#token=fake-{}", state.minted),
                    expires_at: Time::from_micros(1_767_225_600_000_000).plus(Duration::from_secs(3600)),
                })
            }
            Some(false) => Err(Error::gone("auth.request_spent", "The link was used or is over.")),
            None => Err(Error::not_found("auth.request_unknown", "There is no such request.")),
        }
    }

    async fn create_account(&self, _: &Caller, ask: CreateAccount) -> Result<Account> {
        let mut state = held(&self.0);
        if let Some(there) = state.accounts.get(&ask.user) {
            return Ok(there.clone());
        }
        if ask.password.is_some_and(|password| password.expose().chars().count() < 8) {
            let text = "A password needs at least 8 characters.";
            return Err(Error::invalid("platform.invalid_input", text).at("/password", "too_short", text));
        }
        taken(&state, ask.user, &ask.email)?;
        let account = fresh(ask.user, ask.email, ask.state, None);
        state.accounts.insert(ask.user, account.clone());
        Ok(account)
    }

    async fn change_account(&self, _: &Caller, ask: ChangeAccount) -> Result<Account> {
        let mut state = held(&self.0);
        if let Some(email) = &ask.email {
            taken(&state, ask.user, email)?;
        }
        let account = state.accounts.get_mut(&ask.user);
        let account =
            account.ok_or_else(|| Error::not_found("auth.account_unknown", "There is no such account."))?;
        if ask.revision.is_some_and(|meant| meant != account.revision) {
            return Err(Error::conflict("auth.account_changed", "The account was changed meanwhile."));
        }
        let before = account.clone();
        if let Some(email) = ask.email.filter(|email| *email != account.email) {
            (account.email, account.email_verified) = (email, false);
        }
        account.state = match (ask.state, account.state, account.email_verified) {
            (None, AccountState::Active, false) => AccountState::Unverified,
            (Some(AccountState::Active | AccountState::Unverified), AccountState::Deleted, proven) => {
                if proven {
                    AccountState::Active
                } else {
                    AccountState::Unverified
                }
            }
            (wished, was, _) => wished.unwrap_or(was),
        };
        account.email_verified = match account.state {
            AccountState::Active => true,
            AccountState::Unverified => false,
            AccountState::Disabled | AccountState::Deleted => account.email_verified,
        };
        if (&account.email, account.state) != (&before.email, before.state) {
            account.revision += 1;
        }
        Ok(account.clone())
    }

    async fn import_accounts(&self, _: &Caller, ask: ImportAccounts) -> Result<ImportedAccounts> {
        let mut state = held(&self.0);
        let before = ask.dry_run.then(|| state.accounts.clone());
        let mut outcomes = Vec::new();
        for it in ask.accounts {
            let there = state.accounts.get(&it.user).cloned();
            outcomes.push(match (there, taken(&state, it.user, &it.email)) {
                (Some(there), _) => ImportOutcome::Present(there),
                (None, Err(error)) => ImportOutcome::Refused(error),
                (None, Ok(())) => {
                    let account = fresh(it.user, it.email, it.state, it.created_at);
                    state.accounts.insert(it.user, account.clone());
                    ImportOutcome::Created(account)
                }
            });
        }
        state.accounts = before.unwrap_or_else(|| std::mem::take(&mut state.accounts));
        Ok(ImportedAccounts { outcomes })
    }

    async fn list_accounts(&self, _: &Caller, ask: ListAccounts) -> Result<Accounts> {
        let state = held(&self.0);
        let after = state.accounts.values().filter(|it| ask.after.is_none_or(|after| it.id > after));
        let mut items: Vec<Account> = after.cloned().collect();
        items.sort_by_key(|it| it.id);
        items.truncate(ask.limit as usize);
        Ok(Accounts { items })
    }

    async fn export_person(&self, _: &Caller, ask: ExportPerson) -> Result<PersonalData> {
        let account = held(&self.0).accounts.get(&ask.user).cloned();
        Ok(section("account", serde_json::to_value(account).unwrap()))
    }
}

fn fresh(id: UserId, email: EmailAddress, state: AccountState, created_at: Option<Time>) -> Account {
    let now = Time::from_micros(1_767_225_600_000_000);
    let email_verified = state == AccountState::Active;
    let created_at = created_at.unwrap_or(now);
    Account { id, email, email_verified, state, revision: 1, created_at, updated_at: now }
}

fn taken(state: &AuthState, user: UserId, email: &EmailAddress) -> Result<()> {
    if state.accounts.values().any(|it| it.id != user && it.email == *email) {
        let text = "This address belongs to an account already.";
        return Err(Error::conflict("auth.address_taken", text).at("/email", "taken", text));
    }
    Ok(())
}

fn section(name: &str, value: serde_json::Value) -> PersonalData {
    PersonalData { sections: [(name.to_owned(), value)].into() }
}

/// Knows the profiles that a test gave it.
#[derive(Default)]
pub struct FakeUsers(Mutex<HashMap<UserId, Profile>>);

impl FakeUsers {
    /// Puts a profile.
    pub fn set_profile(&self, profile: Profile) {
        held(&self.0).insert(profile.id, profile);
    }
}

#[async_trait]
impl Users for FakeUsers {
    async fn find_profile(&self, _: &Caller, ask: FindProfile) -> Result<Option<Profile>> {
        Ok(held(&self.0).get(&ask.user).cloned())
    }

    async fn export_person(&self, _: &Caller, ask: ExportPerson) -> Result<PersonalData> {
        let profile = held(&self.0).get(&ask.user).cloned();
        Ok(section("profile", serde_json::to_value(profile).unwrap()))
    }
}

#[derive(Default)]
struct PermissionsState {
    granted: HashSet<(Subject, String, String)>,
    roles: HashSet<String>,
    assigned: Vec<(AssignmentId, AssignRole)>,
    administrators: HashSet<UserId>,
    inactive: HashSet<UserId>,
    outranking: HashSet<UserId>,
    loses_answers: bool,
}

/// Allows what a test granted, and nothing else.
#[derive(Default)]
pub struct FakePermissions(Mutex<PermissionsState>);

impl FakePermissions {
    /// Allows a person one permission, such as `roles:write`, on everything.
    pub fn allow(&self, user: UserId, permission: &str) {
        let (resource, action) = permission.split_once(':').unwrap();
        held(&self.0).granted.insert((Subject::user(user), resource.to_owned(), action.to_owned()));
    }

    /// Takes such a permission away again.
    pub fn refuse(&self, user: UserId, permission: &str) {
        let (resource, action) = permission.split_once(':').unwrap();
        held(&self.0).granted.remove(&(Subject::user(user), resource.to_owned(), action.to_owned()));
    }

    /// Makes a role known, so that it can be assigned.
    pub fn add_role(&self, role: &str) {
        held(&self.0).roles.insert(role.to_owned());
    }

    /// Makes somebody an administrator whose leaving is guarded.
    pub fn add_administrator(&self, user: UserId) {
        held(&self.0).administrators.insert(user);
    }

    /// Makes somebody outrank everybody but himself.
    pub fn add_outranking(&self, user: UserId) {
        held(&self.0).outranking.insert(user);
    }

    /// From now on does what it is told about standings, and its answers get lost; or answers again.
    pub fn lose_answers(&self, loses: bool) {
        held(&self.0).loses_answers = loses;
    }

    /// Whether it takes an account for one that can be used.
    pub fn counts_on(&self, user: UserId) -> bool {
        !held(&self.0).inactive.contains(&user)
    }

    /// Every role that was given so far.
    pub fn assigned(&self) -> Vec<AssignRole> {
        held(&self.0).assigned.iter().map(|(_, ask)| ask.clone()).collect()
    }
}

#[async_trait]
impl Permissions for FakePermissions {
    async fn evaluate(&self, _: &Caller, ask: Evaluate) -> Result<Decision> {
        let wanted = (ask.subject, ask.resource_type, ask.action);
        let allowed = held(&self.0).granted.contains(&wanted);
        let reason = allowed
            .then(|| Reason { role: "granted".to_owned(), permission: format!("{}:{}", wanted.1, wanted.2) });
        Ok(Decision { allowed, reason })
    }

    async fn assign_role(&self, _: &Caller, ask: AssignRole) -> Result<AssignedRole> {
        let mut state = held(&self.0);
        if !state.roles.contains(&ask.role) {
            return Err(Error::not_found("permissions.role_unknown", "There is no such role."));
        }
        let known = state.assigned.iter().find(|(_, had)| {
            (&had.subject, &had.role, &had.resource) == (&ask.subject, &ask.role, &ask.resource)
        });
        if let Some((assignment, _)) = known {
            return Ok(AssignedRole { assignment: *assignment });
        }
        let assignment = AssignmentId::new();
        state.assigned.push((assignment, ask));
        Ok(AssignedRole { assignment })
    }

    async fn set_standing(&self, _: &Caller, ask: SetStanding) -> Result<Standing> {
        let mut state = held(&self.0);
        let others = state.administrators.iter().any(|it| *it != ask.user && !state.inactive.contains(it));
        if !ask.active && state.administrators.contains(&ask.user) && !others {
            let text = "Nobody would be left who is administrator.";
            return Err(Error::conflict("permissions.last_administrator", text));
        }
        if ask.active {
            state.inactive.remove(&ask.user);
        } else {
            state.inactive.insert(ask.user);
        }
        if state.loses_answers { Err(contracts::wire::gone()) } else { Ok(Standing { active: ask.active }) }
    }

    async fn find_outranking(&self, _: &Caller, ask: FindOutranking) -> Result<Outranking> {
        if ask.users.len() > 1_000 {
            let text = "At most 1000 people are looked at at once.";
            return Err(Error::invalid("platform.invalid_input", text).at("/users", "too_many", text));
        }
        let state = held(&self.0);
        let outranks = |user: &UserId| *user != ask.actor && state.outranking.contains(user);
        let users: HashSet<UserId> = ask.users.into_iter().filter(outranks).collect();
        Ok(Outranking { users: users.into_iter().collect() })
    }

    async fn export_person(&self, _: &Caller, ask: ExportPerson) -> Result<PersonalData> {
        let state = held(&self.0);
        let own = state.assigned.iter().filter(|(_, it)| it.subject == Subject::user(ask.user));
        let roles: Vec<&str> = own.map(|(_, it)| it.role.as_str()).collect();
        let mut data = section("role_assignments", serde_json::json!(roles));
        data.sections.extend(section("groups", serde_json::json!([])).sections);
        Ok(data)
    }
}

/// Takes every message whose template a test made known.
#[derive(Default)]
pub struct FakeNotifications {
    templates: Mutex<HashSet<String>>,
    sent: Mutex<Vec<(NotificationId, SendNotification)>>,
}

impl FakeNotifications {
    /// Makes a template known.
    pub fn add_template(&self, template: &str) {
        held(&self.templates).insert(template.to_owned());
    }

    /// Every message that was taken so far.
    pub fn sent(&self) -> Vec<SendNotification> {
        held(&self.sent).iter().map(|(_, ask)| ask.clone()).collect()
    }
}

#[async_trait]
impl Notifications for FakeNotifications {
    async fn send(&self, _: &Caller, ask: SendNotification) -> Result<QueuedNotification> {
        if !held(&self.templates).contains(&ask.template) {
            return Err(Error::invalid("notifications.template_unknown", "There is no such template.").at(
                "/template",
                "unknown",
                "There is no such template.",
            ));
        }
        let mut sent = held(&self.sent);
        let known = sent.iter().find(|(_, had)| {
            ask.deduplication_key.is_some() && had.deduplication_key == ask.deduplication_key
        });
        if let Some((notification, _)) = known {
            return Ok(QueuedNotification { notification: *notification });
        }
        let notification = NotificationId::new();
        sent.push((notification, ask));
        Ok(QueuedNotification { notification })
    }

    async fn export_person(&self, _: &Caller, ask: ExportPerson) -> Result<PersonalData> {
        let sent = held(&self.sent);
        let own = sent.iter().filter(|(_, it)| matches!(it.to, Recipient::User(user) if user == ask.user));
        let templates: Vec<&str> = own.map(|(_, it)| it.template.as_str()).collect();
        let mut known = section("notifications", serde_json::json!(templates));
        known.sections.insert("inbox".to_owned(), serde_json::json!([]));
        known.sections.insert("notification_preferences".to_owned(), serde_json::json!({}));
        Ok(known)
    }
}
