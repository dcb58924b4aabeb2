//! Registration: the same answer after the same work, whoever the address belongs to.
//!
//! A fresh or unproven address gets a link, and the password of *this* attempt becomes valid when its own link is
//! opened, so that nobody can register first and wait for the owner to prove the address. An address with an owner
//! gets a notice instead. `docs/decisions/0006-pending-registrations.md` tells why, and what risk is left.

use contracts::auth::{AccountRegistered, AccountState, RegistrationRepeated, VerificationRequested};
use contracts::{Caller, EmailAddress, Fields, OneTimeRequestId, Time, UserId};
use platform::audit::{self, Entry, Outcome};
use platform::db::DbConn;
use platform::limits;
use platform::outbox;
use serde_json::json;

use super::steady::steady;
use super::{Purpose, Service, hourly};
use crate::error::Error;
use crate::model::{
    Account, DisplayName, Locale, Network, OneTimeRequest, Password, PasswordHash, RequestKind, StoredEmail,
    about,
};
use crate::store::{accounts, requests};

/// What somebody typed in.
pub(crate) struct Register {
    pub(crate) email: String,
    pub(crate) password: Password,
    pub(crate) display_name: Option<String>,
    pub(crate) locale: Option<String>,
    /// The languages that the client likes, should none be said: `Accept-Language`.
    pub(crate) accept_language: String,
}

/// The same, as far as it keeps the rules.
struct Registration {
    email: EmailAddress,
    password: PasswordHash,
    display_name: Option<DisplayName>,
    locale: Option<Locale>,
}

impl Service {
    /// # Errors
    /// Every broken rule at once; 429 for a network that registers too often; 503 when hashing or the database can't
    /// keep up.
    pub(crate) async fn register(&self, caller: &Caller, ask: Register) -> Result<(), Error> {
        let (email, display_name, locale) = self.checked(&ask)?;
        self.refuse_busy_network(caller).await?;
        let password = self.hash_for(caller, &ask.password).await?;
        let registration = Registration { email, password, display_name, locale };
        // The hash takes as long for everybody, and what is written does not.
        steady(self.db.transaction(async |tx| self.write_registration(tx, caller, registration).await))
            .await?;
        metrics::counter!("doorward_registrations_total").increment(1);
        Ok(())
    }

    fn checked(&self, ask: &Register) -> Result<(EmailAddress, Option<DisplayName>, Option<Locale>), Error> {
        let mut fields = Fields::default();
        let name = ask.display_name.as_deref().map(DisplayName::parse);
        let email = fields.take("/email", EmailAddress::parse(&ask.email));
        let known = name.as_ref().and_then(|name| name.as_ref().ok());
        self.check_password(&mut fields, "/password", &ask.password, email.as_ref(), known);
        let name = name.and_then(|parsed| fields.take("/display_name", parsed));
        let locale = ask.locale.as_deref().map(Locale::parse);
        let locale = match locale {
            Some(parsed) => fields.take("/locale", parsed),
            None => Locale::preferred(&ask.accept_language),
        };
        match email {
            Some(email) if fields.is_empty() => Ok((email, name, locale)),
            _ => Err(broken(fields)),
        }
    }

    /// An address and a new password for it, with every rule that they break.
    pub(super) fn check_credentials(
        &self,
        fields: &mut Fields,
        email: &str,
        password: &Password,
    ) -> Option<EmailAddress> {
        let email = fields.take("/email", EmailAddress::parse(email));
        self.check_password(fields, "/password", password, email.as_ref(), None);
        email
    }

    /// A new password, with every rule that it breaks: for whom it is matters, as far as that is known.
    pub(super) fn check_password(
        &self,
        fields: &mut Fields,
        pointer: &str,
        password: &Password,
        email: Option<&EmailAddress>,
        name: Option<&DisplayName>,
    ) {
        let about = about(email.map(EmailAddress::as_str), name.map(|name| name.0.as_str()));
        for rule in self.policy().broken(password, &about) {
            fields.take(pointer, Err::<(), _>(rule));
        }
    }

    async fn refuse_busy_network(&self, caller: &Caller) -> Result<(), Error> {
        let (bucket, limit) = self.network_limit(caller);
        let verdict = limits::peek(&mut *self.db.read().await?, self.now(), &bucket, limit).await?;
        if verdict.allowed { Ok(()) } else { Err(Error::TooManyRequests(verdict.retry_after_secs)) }
    }

    fn network_limit(&self, caller: &Caller) -> (limits::Bucket, limits::Limit) {
        let network = Network::of(caller.client_address).to_string();
        let bucket = self.bucket("auth.registrations.network", &[&network]);
        (bucket, hourly(self.settings.limits.registrations_per_network))
    }

    async fn write_registration(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        registration: Registration,
    ) -> Result<(), Error> {
        let now = self.now();
        let fresh = new_account(&registration.email, now);
        let id = fresh.id;
        let (bucket, limit) = self.message_limit(Purpose::Registration, registration.email.as_str());
        if accounts::insert(tx, fresh).await? {
            let message = limits::take(tx, now, &bucket, limit).await?;
            let display_name = registration.display_name.map(|name| name.0);
            let locale = registration.locale.as_ref().map(|locale| locale.0.clone());
            outbox::publish(tx, now, caller, &AccountRegistered { user: id, display_name, locale }).await?;
            let after = json!({ "state": AccountState::Unverified.as_str() });
            let registered = Entry { after: Some(after), ..entry("auth.account.registered", id) };
            audit::record(tx, now, caller, registered).await?;
            if message.allowed {
                self.open_request(tx, caller, id, registration.password, registration.locale).await?;
            } else {
                self.note_attempt(tx, id, registration.password).await?;
            }
        } else if let Some(existing) = accounts::find_by_email(tx, &registration.email).await? {
            let message = limits::take(tx, now, &bucket, limit).await?;
            audit::record(tx, now, caller, entry("auth.registration.repeated", existing.id)).await?;
            match (message.allowed, existing.state) {
                (false, AccountState::Unverified) if existing.self_registered => {
                    self.note_attempt(tx, existing.id, registration.password).await?;
                }
                (false, _) => {}
                // Somebody else made this account, or its address changed: what a stranger types in must not become
                // its password, but whoever reads the mail may have missed the first message.
                (true, AccountState::Unverified) if !existing.self_registered => {
                    let locale = registration.locale.map(|locale| locale.0);
                    self.ask_for_proof(tx, caller, existing.id, locale).await?;
                }
                (true, AccountState::Unverified) => {
                    self.open_request(tx, caller, existing.id, registration.password, registration.locale)
                        .await?;
                }
                (true, AccountState::Active | AccountState::Disabled | AccountState::Deleted) => {
                    outbox::publish(tx, now, caller, &RegistrationRepeated { user: existing.id }).await?;
                }
            }
        }
        let (bucket, limit) = self.network_limit(caller);
        limits::take(tx, now, &bucket, limit).await?;
        Ok(())
    }

    /// An attempt that nobody is told of, because the address got its messages already. It only shows that there were
    /// several, for which two are enough; see `resend.rs`.
    async fn note_attempt(
        &self,
        tx: &mut DbConn,
        account: UserId,
        password: PasswordHash,
    ) -> Result<(), Error> {
        if requests::unspent(tx, account, RequestKind::Verification, 2).await?.len() < 2 {
            requests::insert(tx, self.attempt(account, password)).await?;
        }
        Ok(())
    }

    /// What one of several people who register an address asks for, with the password that it makes valid.
    fn attempt(&self, account: UserId, password: PasswordHash) -> OneTimeRequest {
        let now = self.now();
        OneTimeRequest {
            id: OneTimeRequestId::new(),
            kind: RequestKind::Verification,
            account: Some(account),
            session: None,
            password_hash: Some(password),
            credential_version: None,
            created_at: now,
            expires_at: now.plus(self.settings.links.verification()),
            used_at: None,
        }
    }

    /// A link for this attempt, with the password that it makes valid.
    pub(super) async fn open_request(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        account: UserId,
        password: PasswordHash,
        locale: Option<Locale>,
    ) -> Result<(), Error> {
        let (now, request) = (self.now(), self.attempt(account, password));
        let fact = VerificationRequested {
            user: account,
            request: request.id,
            locale: locale.map(|locale| locale.0),
        };
        requests::insert(tx, request).await?;
        outbox::publish(tx, now, caller, &fact).await?;
        Ok(())
    }
}

/// An account that nobody has proven yet.
pub(super) fn new_account(email: &EmailAddress, now: Time) -> Account {
    Account {
        id: UserId::new(),
        email: StoredEmail(email.as_str().to_owned()),
        state: AccountState::Unverified,
        verified_at: None,
        credential_version: 0,
        revision: 1,
        self_registered: true,
        deleted_at: None,
        disabled_when_deleted: false,
        created_at: now,
        updated_at: now,
    }
}

/// An entry of the audit trail about an account.
pub(super) fn entry(action: &'static str, account: UserId) -> Entry {
    Entry {
        action,
        outcome: Outcome::Succeeded,
        subject_type: "user",
        subject_id: account.to_string(),
        before: None,
        after: None,
    }
}

/// The rules that were broken, as an error.
pub(super) fn broken(fields: Fields) -> Error {
    match fields.finish() {
        Err(error) => error.into(),
        Ok(()) => contracts::Error::internal("a refusal without a broken rule").into(),
    }
}
