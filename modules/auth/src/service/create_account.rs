//! Making an account for somebody: by an administrator, or by whoever else may ask auth.
//!
//! The asking side chose the id, so that asking again finds what the first time made. Nobody is written to unless an
//! invitation is asked for; who has no password and no invitation resets the one he never had.

use contracts::auth::{
    Account as Shared, AccountRegistered, AccountState, AccountStateChanged, AccountVerified, CreateAccount,
};
use contracts::{Caller, EmailAddress, Fields, Time, UserId};
use platform::audit::{self, Entry};
use platform::db::DbConn;
use platform::outbox;
use serde_json::json;

use super::Service;
use super::find_account::shared;
use super::register::{broken, entry};
use crate::error::Error;
use crate::model::{Account, DisplayName, Locale, Password, PasswordHash, RequestKind, StoredEmail};
use crate::store::{accounts, purges};

/// What is to be made, as far as it keeps the rules.
struct Draft {
    account: Account,
    password: Option<PasswordHash>,
    invite: bool,
    display_name: Option<DisplayName>,
    locale: Option<Locale>,
}

impl Service {
    /// # Errors
    /// Every broken rule at once; 409 when the address has another owner, or the id had one who was purged; 503 when hashing can't keep up.
    pub(super) async fn create(&self, caller: &Caller, ask: CreateAccount) -> Result<Shared, Error> {
        // In this order: whoever asks the same at this moment is found, and does not look like another owner.
        let taken = accounts::taken(&mut *self.db.read().await?, vec![ask.email.as_str().to_owned()]).await?;
        if let Some(there) = accounts::find(&mut *self.db.read().await?, ask.user).await? {
            self.forget_account(there.id).await;
            return shared(&there);
        }
        let (display_name, locale) = self.check_creation(&ask)?;
        if !taken.is_empty() {
            return Err(Error::AddressTaken);
        }
        refuse_purged(&mut *self.db.read().await?, vec![ask.user]).await?;
        let password = match &ask.password {
            Some(text) => Some(self.hash_for(caller, &Password::typed(text.expose().to_owned())).await?),
            None => None,
        };
        if ask.state != AccountState::Active {
            self.ask_to_switch_off(caller, ask.user).await?;
        }
        let now = self.now();
        let account = made_account(&ask, now);
        let draft = Draft { account, password, invite: ask.invite, display_name, locale };
        let made = self.db.transaction(async |tx| self.write_account(tx, caller, draft, now).await).await?;
        self.forget_account(made.id).await;
        shared(&made)
    }

    fn check_creation(&self, ask: &CreateAccount) -> Result<(Option<DisplayName>, Option<Locale>), Error> {
        let mut fields = Fields::default();
        if let Some(password) = &ask.password {
            let name = ask.display_name.as_deref();
            self.check_given_password(&mut fields, password.expose(), &ask.email, name);
        }
        if ask.state == AccountState::Deleted {
            fields.broken("/state", "not_allowed", "An account is not made deleted.");
        }
        if ask.invite && ask.state == AccountState::Disabled {
            fields.broken("/invite", "not_allowed", "Nobody is invited to an account that is disabled.");
        }
        if ask.invite && ask.state == AccountState::Active && ask.password.is_some() {
            let text = "Nobody is invited to an account that is in use and has a password.";
            fields.broken("/invite", "not_allowed", text);
        }
        let (name, locale) = check_words(&mut fields, ask.display_name.as_deref(), ask.locale.as_deref());
        if fields.is_empty() { Ok((name, locale)) } else { Err(broken(fields)) }
    }

    /// Notes every rule that a new password breaks.
    pub(super) fn check_given_password(
        &self,
        fields: &mut Fields,
        password: &str,
        email: &EmailAddress,
        display_name: Option<&str>,
    ) {
        let name = display_name.and_then(|name| DisplayName::parse(name).ok());
        let password = Password::typed(password.to_owned());
        self.check_password(fields, "/password", &password, Some(email), name.as_ref());
    }

    async fn write_account(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        draft: Draft,
        now: Time,
    ) -> Result<Account, Error> {
        let Draft { account, password, invite, display_name, locale } = draft;
        let (user, state, has_password) = (account.id, account.state, password.is_some());
        if !accounts::insert(tx, account.clone()).await? {
            return accounts::find(tx, user).await?.ok_or(Error::AddressTaken);
        }
        // Whoever had the id may have been purged at this very moment.
        refuse_purged(tx, vec![user]).await?;
        if let Some(password) = password {
            accounts::set_password(tx, user, &password, now).await?;
        }
        let (display_name, locale) = (display_name.map(|it| it.0), locale.map(|it| it.0));
        let fact = AccountRegistered { user, display_name, locale: locale.clone() };
        outbox::publish(tx, now, caller, &fact).await?;
        if account.verified_at.is_some() {
            outbox::publish(tx, now, caller, &AccountVerified { user }).await?;
        }
        if state != AccountState::Unverified {
            outbox::publish(tx, now, caller, &AccountStateChanged { user, state }).await?;
        }
        if invite {
            self.open_proof(tx, caller, user, RequestKind::Invitation, locale).await?;
        }
        let after = json!({ "state": state, "password": has_password, "invited": invite });
        let entry = Entry { after: Some(after), ..entry("auth.account.created", user) };
        audit::record(tx, now, caller, entry).await?;
        metrics::counter!("doorward_accounts_made_total", "by" => "administration").increment(1);
        Ok(account)
    }
}

/// # Errors
/// `PurgedId` when one of these ids was somebody's who was forgotten for good.
pub(super) async fn refuse_purged(c: &mut DbConn, ids: Vec<UserId>) -> Result<(), Error> {
    if purges::among(c, ids).await?.is_empty() { Ok(()) } else { Err(Error::PurgedId) }
}

/// The name and the language that come with an account, with every rule that they break.
pub(super) fn check_words(
    fields: &mut Fields,
    display_name: Option<&str>,
    locale: Option<&str>,
) -> (Option<DisplayName>, Option<Locale>) {
    let name = display_name.map(DisplayName::parse);
    let name = name.and_then(|parsed| fields.take("/display_name", parsed));
    let locale = locale.map(Locale::parse);
    (name, locale.and_then(|parsed| fields.take("/locale", parsed)))
}

fn made_account(ask: &CreateAccount, now: Time) -> Account {
    Account {
        id: ask.user,
        email: StoredEmail(ask.email.as_str().to_owned()),
        state: ask.state,
        verified_at: (ask.state == AccountState::Active).then_some(now),
        credential_version: 0,
        revision: 1,
        self_registered: false,
        deleted_at: None,
        disabled_when_deleted: false,
        created_at: now,
        updated_at: now,
    }
}
