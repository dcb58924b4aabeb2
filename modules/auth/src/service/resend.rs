//! Another message for somebody whose first one got lost: the same answer for every address there is or is not.
//!
//! Who was invited and has chosen no password yet is invited again: a proof of the address alone would let nobody in.

use contracts::auth::{AccountState, VerificationRequested};
use contracts::{Caller, EmailAddress, UserId};
use platform::db::DbConn;
use platform::{audit, limits, outbox};

use super::register::entry;
use super::steady::steady;
use super::{Service, hourly};
use crate::error::Error;
use crate::model::RequestKind;
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
        let (bucket, limit) = self.message_limit(email.as_str());
        if !limits::take(tx, now, &bucket, limit).await?.allowed {
            return Ok(());
        }
        audit::record(tx, now, caller, entry("auth.verification.resent", account.id)).await?;
        if account.self_registered {
            return self.open_again(tx, caller, account.id).await;
        }
        self.ask_for_proof(tx, caller, account.id, None).await
    }

    /// The newest attempt's link, or a new one for the same attempt when that is over.
    async fn open_again(&self, tx: &mut DbConn, caller: &Caller, user: UserId) -> Result<(), Error> {
        let now = self.now();
        let Some(newest) = requests::newest_unspent(tx, user, RequestKind::Verification).await? else {
            return Ok(());
        };
        if newest.is_open(now) {
            let fact = VerificationRequested { user, request: newest.id, locale: None };
            outbox::publish(tx, now, caller, &fact).await?;
        } else if let Some(password) = newest.password_hash {
            self.open_request(tx, caller, user, password, None).await?;
        }
        Ok(())
    }
}
