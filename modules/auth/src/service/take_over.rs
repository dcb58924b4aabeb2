//! Taking over an account that was there before its address became an administrator's.
//!
//! Whoever made the account, moved it to the address or registered it may know its password, be logged in or hold a link
//! of it, and must gain nothing by that. So all of it ends in the commit of the appointment, as if the account were a
//! new one. Left out: accounts of people who are administrators already; those stay as they are.

use contracts::auth::{AccountState, AccountStateChanged, AccountVerified, PasswordChanged};
use contracts::{Caller, SessionId, Time};
use platform::audit::{self, Entry};
use platform::db::DbConn;
use platform::outbox;
use serde_json::json;

use super::register::entry;
use super::revoke_sessions::tell;
use crate::error::Error;
use crate::model::{Account, PasswordHash, RevokedReason};
use crate::store::{accounts, devices, requests, sessions};

/// Leaves the account in use with this password, or unproven and without any; tells the sessions that ended. Locks the
/// account.
///
/// # Errors
/// `AccountChanged` when the account is not as it was looked at.
pub(super) async fn take_over(
    tx: &mut DbConn,
    caller: &Caller,
    account: &Account,
    password: Option<&PasswordHash>,
    now: Time,
) -> Result<Vec<SessionId>, Error> {
    let user = account.id;
    let state = if password.is_some() { AccountState::Active } else { AccountState::Unverified };
    if !accounts::take_over(tx, account, state, now).await? {
        return Err(Error::AccountChanged);
    }
    let had_password = accounts::has_password(tx, user).await?;
    requests::close_all(tx, user, now).await?;
    // All logins end here, so none is left to be disowned.
    requests::close_reports(tx, user, now).await?;
    match password {
        Some(password) => accounts::set_password(tx, user, password, now).await?,
        None => accounts::forget_password(tx, user).await?,
    }
    devices::forget_all(tx, user).await?;
    let ended = sessions::end_all(tx, user, RevokedReason::PasswordChanged, now).await?;
    for session in &ended {
        tell(tx, caller, user, *session, RevokedReason::PasswordChanged, now).await?;
    }
    if state == AccountState::Active && account.verified_at.is_none() {
        outbox::publish(tx, now, caller, &AccountVerified { user }).await?;
    }
    if state != account.state {
        outbox::publish(tx, now, caller, &AccountStateChanged { user, state }).await?;
    }
    if had_password {
        // Nobody had to know the old one.
        outbox::publish(tx, now, caller, &PasswordChanged { user, reset: true }).await?;
    }
    let states = (
        json!({ "state": account.state, "password": had_password }),
        json!({ "state": state, "password": password.is_some(), "ended_sessions": ended.len() }),
    );
    let entry =
        Entry { before: Some(states.0), after: Some(states.1), ..entry("auth.account.taken_over", user) };
    audit::record(tx, now, caller, entry).await?;
    Ok(ended)
}
