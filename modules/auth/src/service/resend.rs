//! Another message for somebody whose first one got lost: the same answer for every address there is or is not.
//!
//! Who was invited and has chosen no password yet is invited again: a proof of the address alone would let nobody in.
//! When several people registered the address, the message lets its owner choose a password and makes none of theirs
//! good.

use contracts::auth::{AccountState, VerificationRequested};
use contracts::{Caller, EmailAddress};
use platform::db::DbConn;
use platform::{audit, limits, outbox};

use super::register::entry;
use super::steady::steady;
use super::{Purpose, Service, hourly};
use crate::error::Error;
use crate::model::{Account, RequestKind};
use crate::store::{accounts, requests};

impl Service {
    /// # Errors
    /// 429 after too many asks for one address, whether it is known or not.
    pub(crate) async fn resend(&self, caller: &Caller, email: &str) -> Result<(), Error> {
        // What is no address has no account; it is counted and answered like one that is unknown.
        let email = EmailAddress::parse(email).map_err(|_| email.to_lowercase());
        let name = email.as_ref().map_or_else(String::as_str, EmailAddress::as_str);
        let bucket = self.bucket("auth.resends", &[name]);
        let limit = hourly(self.settings.limits.resends_per_address);
        let work = self.db.transaction(async |tx| {
            let verdict = limits::take(tx, self.now(), &bucket, limit).await?;
            if !verdict.allowed {
                return Err(Error::TooManyRequests(verdict.retry_after_secs));
            }
            match &email {
                Ok(email) => self.send_again(tx, caller, email).await,
                Err(_) => Ok(()),
            }
        });
        steady(work).await
    }

    async fn send_again(&self, tx: &mut DbConn, caller: &Caller, email: &EmailAddress) -> Result<(), Error> {
        let now = self.now();
        let account = accounts::find_by_email(tx, email).await?;
        let Some(account) = account.filter(|it| it.state == AccountState::Unverified) else { return Ok(()) };
        let (bucket, limit) = self.message_limit(Purpose::Registration, email.as_str());
        if !limits::take(tx, now, &bucket, limit).await?.allowed {
            return Ok(());
        }
        audit::record(tx, now, caller, entry("auth.verification.resent", account.id)).await?;
        if account.self_registered {
            return self.open_again(tx, caller, &account).await;
        }
        self.ask_for_proof(tx, caller, account.id, None).await
    }

    /// The attempt's link, or a new one for the same attempt when that is over. Nobody can tell which of several attempts
    /// is the owner's: then whoever reads the mail chooses the password.
    async fn open_again(&self, tx: &mut DbConn, caller: &Caller, account: &Account) -> Result<(), Error> {
        let now = self.now();
        let attempts = requests::unspent(tx, account.id, RequestKind::Verification, 2).await?;
        let [attempt] = attempts.as_slice() else {
            return self.offer_reset(tx, caller, account, now).await;
        };
        if attempt.is_open(now) {
            let fact = VerificationRequested { user: account.id, request: attempt.id, locale: None };
            outbox::publish(tx, now, caller, &fact).await?;
        } else if let Some(password) = attempt.password_hash.clone() {
            // It goes on as the new one, and stays a single attempt.
            requests::close(tx, attempt.id, now).await?;
            self.open_request(tx, caller, account.id, password, None).await?;
        }
        Ok(())
    }
}
