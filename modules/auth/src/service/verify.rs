//! Proving an address: the link's secret is spent, the account becomes active, and the password of the attempt that
//! the link belongs to becomes its password. All other links of the account end.

use contracts::auth::{AccountState, AccountStateChanged, AccountVerified};
use contracts::{Caller, Error as Shared, Time};
use platform::audit::{self, Entry};
use platform::db::DbConn;
use platform::outbox;
use serde_json::json;

use super::Service;
use super::register::entry;
use crate::error::Error;
use crate::model::{Account, OneTimeRequest, RequestKind, Secret, Verification};
use crate::store::{accounts, requests};

impl Service {
    /// # Errors
    /// 422 for what is no verification token, 410 for one that was used or is over.
    pub(crate) async fn verify(&self, caller: &Caller, token: &str) -> Result<(), Error> {
        let secret = Secret::<Verification>::parse(token).ok_or(Error::UnknownToken)?;
        let account = self
            .db
            .transaction(async |tx| {
                let found = requests::find_by_secret(tx, RequestKind::Verification, secret.hash()).await?;
                let request = found.ok_or(Error::UnknownToken)?;
                redeem(tx, caller, request, self.now()).await
            })
            .await?;
        self.forget_account(account.id).await;
        // Of those who registered by themselves, permissions never thought otherwise.
        if !account.self_registered {
            self.tell_usable(caller, account.id).await;
        }
        Ok(())
    }
}

/// The account is locked first, as everywhere; that it is still unverified and the request still open is decided by
/// the two updates and not by what was read before.
async fn redeem(
    tx: &mut DbConn,
    caller: &Caller,
    request: OneTimeRequest,
    now: Time,
) -> Result<Account, Error> {
    if !request.is_open(now) {
        return Err(Error::SpentToken);
    }
    let Some(user) = request.account else {
        return Err(Shared::internal("an open verification without an account").into());
    };
    let account = accounts::activate(tx, user, now).await?.ok_or(Error::SpentToken)?;
    if !requests::spend(tx, request.id, now).await? {
        return Err(Error::SpentToken);
    }
    requests::close_all(tx, user, now).await?;
    // Without one, the account keeps the password that it has: its owner only proves a new address.
    if let Some(password) = request.password_hash {
        accounts::set_password(tx, user, &password, now).await?;
    }
    outbox::publish(tx, now, caller, &AccountVerified { user }).await?;
    outbox::publish(tx, now, caller, &AccountStateChanged { user, state: AccountState::Active }).await?;
    let states = (json!({"state": "unverified"}), json!({"state": "active"}));
    let entry =
        Entry { before: Some(states.0), after: Some(states.1), ..entry("auth.account.verified", user) };
    audit::record(tx, now, caller, entry).await?;
    Ok(account)
}
