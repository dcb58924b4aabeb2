//! A link for somebody who forgot a password: the same answer at the same time for every address there is or is not.
//!
//! Links that were asked for earlier stay good until one of them is used: otherwise anybody could keep an owner's link
//! from working by asking for another one. Who registered himself and has not proven the address yet gets a link as well,
//! because whoever opens it proves the address; see `reset_password`.

use contracts::auth::{AccountState, PasswordResetRequested};
use contracts::{AddressError, Caller, EmailAddress, Fields, OneTimeRequestId, Time};
use platform::audit::{self, Entry, Outcome};
use platform::db::DbConn;
use platform::{limits, outbox};

use super::register::{broken, entry};
use super::steady::steady;
use super::{Purpose, Service, hourly};
use crate::error::Error;
use crate::model::{Account, Network, OneTimeRequest, RequestKind};
use crate::store::{accounts, requests};

impl Service {
    /// # Errors
    /// 422 for what is no address; 429 after too many asks for one address, known or not, or from one network.
    pub(crate) async fn request_reset(&self, caller: &Caller, email: &str) -> Result<(), Error> {
        let email = match EmailAddress::parse(email) {
            // It could be taken for another one, so it is nobody's: counted and answered like one that is unknown.
            Err(AddressError::Ambiguous) => Err(email.to_lowercase()),
            Err(error) => {
                let mut fields = Fields::default();
                fields.take("/email", Err::<(), _>(error));
                return Err(broken(fields));
            }
            Ok(email) => Ok(email),
        };
        metrics::counter!("doorward_password_reset_requests_total").increment(1);
        steady(self.db.transaction(async |tx| self.write_reset_request(tx, caller, &email).await)).await
    }

    async fn write_reset_request(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        email: &Result<EmailAddress, String>,
    ) -> Result<(), Error> {
        let now = self.now();
        let name = email.as_ref().map_or_else(String::as_str, EmailAddress::as_str);
        self.take_reset(tx, caller, name, now).await?;
        let account = match email {
            Ok(email) => accounts::find_by_email(tx, email).await?,
            Err(_) => None,
        };
        let Some(account) = account.filter(may_reset) else {
            let entry = Entry {
                action: "auth.password.reset_requested",
                outcome: Outcome::Refused,
                subject_type: "user",
                subject_id: "unknown".to_owned(),
                before: None,
                after: None,
            };
            return Ok(audit::record(tx, now, caller, entry).await?);
        };
        audit::record(tx, now, caller, entry("auth.password.reset_requested", account.id)).await?;
        let (bucket, limit) = self.message_limit(Purpose::Reset, name);
        if limits::take(tx, now, &bucket, limit).await?.allowed {
            self.offer_reset(tx, caller, &account, now).await?;
        }
        Ok(())
    }

    async fn take_reset(&self, tx: &mut DbConn, caller: &Caller, name: &str, now: Time) -> Result<(), Error> {
        let network = Network::of(caller.client_address).to_string();
        let settings = &self.settings.limits;
        for (bucket, capacity) in [
            (self.bucket("auth.resets.network", &[&network]), settings.resets_per_network),
            (self.bucket("auth.resets.address", &[name]), settings.resets_per_address),
        ] {
            let verdict = limits::take(tx, now, &bucket, hourly(capacity)).await?;
            if !verdict.allowed {
                return Err(Error::TooManyRequests(verdict.retry_after_secs));
            }
        }
        Ok(())
    }

    /// A link by which the owner of the account, as it is now, chooses a new password.
    pub(super) async fn offer_reset(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        account: &Account,
        now: Time,
    ) -> Result<(), Error> {
        let request = OneTimeRequest {
            id: OneTimeRequestId::new(),
            kind: RequestKind::PasswordReset,
            account: Some(account.id),
            session: None,
            password_hash: None,
            credential_version: Some(account.credential_version),
            created_at: now,
            expires_at: now.plus(self.settings.links.reset()),
            used_at: None,
        };
        let fact = PasswordResetRequested { user: account.id, request: request.id };
        requests::insert(tx, request).await?;
        outbox::publish(tx, now, caller, &fact).await?;
        Ok(())
    }
}

/// Whether whoever reads the mail of the address may choose the password: not of an account that somebody else made or
/// moved to this address, before the address is proven; there the link that was sent for that decides.
pub(super) fn may_reset(account: &Account) -> bool {
    match account.state {
        AccountState::Active => true,
        AccountState::Unverified => account.self_registered,
        AccountState::Disabled | AccountState::Deleted => false,
    }
}
