//! Login with a password: the same refusal after the same work and at the same time, whatever it is that does not fit.
//!
//! The story: be admitted by the throttle, look the account up, compare (with a hash of nobody's when there is none),
//! then either mint or count the failure. Who is over the limit is refused before anything is hashed, also with the
//! right password. Looking for the row and the hash, or the devices and sessions, of somebody takes longer where there is
//! somebody, which is why refusals leave in steps. A hash that was made elsewhere, or with other parameters than today's,
//! is replaced on the way.

use contracts::auth::AccountState;
use contracts::{Caller, EmailAddress, Fields, UserId};
use platform::audit::{self, Entry, Outcome};

use super::Service;
use super::mint::{Grant, Tokens};
use super::register::{broken, entry};
use super::steady::steady_refusal;
use super::throttle::Try;
use crate::error::Error;
use crate::model::{Account, Password, PasswordHash, Rule};
use crate::store::accounts;

/// What somebody typed in.
pub(crate) struct Login {
    pub(crate) email: String,
    pub(crate) password: Password,
}

impl Service {
    /// # Errors
    /// 401 whatever does not fit; 429 after too many failures; 422 for a password that is longer than any; 503.
    pub(crate) async fn login(&self, caller: &Caller, ask: Login) -> Result<Tokens, Error> {
        let outcome = steady_refusal(self.try_login(caller, ask)).await;
        let word = match &outcome {
            Ok(_) => "succeeded",
            Err(Error::InvalidCredentials) => "refused",
            Err(Error::TooManyFailures(_)) => "limited",
            Err(_) => "failed",
        };
        metrics::counter!("doorward_logins_total", "outcome" => word).increment(1);
        outcome
    }

    async fn try_login(&self, caller: &Caller, ask: Login) -> Result<Tokens, Error> {
        if !ask.password.fits() {
            return Err(too_long("/password"));
        }
        // What is no address has no account: it is counted and fails like one that is unknown.
        let email = EmailAddress::parse(&ask.email).map_err(|_| ask.email.to_lowercase());
        let name = email.as_ref().map_or_else(String::as_str, EmailAddress::as_str);
        let this = self.admit(caller, name).await?;
        let (account, hash) = self.look_up(email.as_ref().ok()).await?;
        let fits = self.passwords.verify(&ask.password, hash.clone()).await?;
        let whose = account.as_ref().map(|it| it.id);
        match account.zip(hash) {
            Some((account, hash)) if fits && account.state == AccountState::Active => {
                let raised = self.passwords.raise(&ask.password, &hash).await;
                self.succeed(caller, &this, &account, raised.map(|raised| (hash, raised))).await
            }
            _ => self.fail(caller, &this, whose).await,
        }
    }

    async fn look_up(
        &self,
        email: Option<&EmailAddress>,
    ) -> Result<(Option<Account>, Option<PasswordHash>), Error> {
        let Some(email) = email else { return Ok((None, None)) };
        let found = accounts::find_with_password(&mut *self.db.read().await?, email).await?;
        Ok(found.map_or((None, None), |(account, hash)| (Some(account), hash)))
    }

    /// `raised` is the hash that was compared, and the one to keep from now on.
    async fn succeed(
        &self,
        caller: &Caller,
        this: &Try,
        account: &Account,
        raised: Option<(PasswordHash, PasswordHash)>,
    ) -> Result<Tokens, Error> {
        let now = self.now();
        let tokens = self
            .db
            .transaction(async |tx| {
                let tokens = self.mint(tx, caller, now, Grant::Login(account)).await?;
                if let Some((old, new)) = &raised {
                    accounts::replace_hash(tx, account.id, old, new).await?;
                }
                audit::record(tx, now, caller, entry("auth.login.succeeded", account.id)).await?;
                this.forgive(tx).await?;
                Ok::<_, Error>(tokens)
            })
            .await?;
        self.forget_standings(&tokens.displaced).await;
        Ok(tokens)
    }

    async fn fail(&self, caller: &Caller, this: &Try, account: Option<UserId>) -> Result<Tokens, Error> {
        let now = self.now();
        let subject_id = account.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
        self.db
            .transaction(async |tx| {
                this.count_failure(tx, now).await?;
                let entry = Entry {
                    action: "auth.login.failed",
                    outcome: Outcome::Refused,
                    subject_type: "user",
                    subject_id,
                    before: None,
                    after: None,
                };
                audit::record(tx, now, caller, entry).await?;
                Ok::<_, Error>(())
            })
            .await?;
        Err(Error::InvalidCredentials)
    }
}

/// A password that can't be anybody's, because none so long was ever accepted.
pub(super) fn too_long(pointer: &str) -> Error {
    let mut fields = Fields::default();
    fields.take(pointer, Err::<(), _>(Rule::TooLong));
    broken(fields)
}
