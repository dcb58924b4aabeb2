//! "This was not me": the owner disowns a login by the link in its notice.
//!
//! Whoever logged in knew the password, and would log in again as soon as one session is ended. So the report closes
//! the account to everybody until its owner has chosen another password: every session ends, the password is
//! withdrawn, what was logged in from is forgotten, and a message with the link of a reset goes out. Whatever became of
//! the login and of the password meanwhile, the one who is reported may have made it so. Only a reset, which takes the
//! mailbox, proves that the owner was faster: it closes the link.

use contracts::auth::AccountState;
use contracts::{Caller, SessionId, Time};
use platform::audit::{self, Entry};
use platform::db::DbConn;
use serde_json::json;

use super::Service;
use super::register::entry;
use super::revoke_sessions::tell;
use crate::error::Error;
use crate::model::{Account, OneTimeRequest, RequestKind, RevokedReason, Secret, SessionReport};
use crate::store::{accounts, devices, requests, sessions};

impl Service {
    /// # Errors
    /// 422 for what is no token of a report, 410 for one that was used or is over.
    pub(crate) async fn report_session(&self, caller: &Caller, token: &str) -> Result<(), Error> {
        let secret = Secret::<SessionReport>::parse(token).ok_or(Error::UnknownToken)?;
        let ended = self
            .db
            .transaction(async |tx| {
                let found = requests::find_by_secret(tx, RequestKind::SessionReport, secret.hash()).await?;
                let request = found.ok_or(Error::UnknownToken)?;
                self.write_report(tx, caller, &request, self.now()).await
            })
            .await?;
        self.forget_standings(&ended).await;
        metrics::counter!("doorward_session_reports_total").increment(1);
        Ok(())
    }

    async fn write_report(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        request: &OneTimeRequest,
        now: Time,
    ) -> Result<Vec<SessionId>, Error> {
        let (Some(user), Some(session)) = (request.account, request.session) else {
            return Err(Error::SpentToken);
        };
        let account = accounts::lock(tx, user).await?.ok_or(Error::SpentToken)?;
        if !requests::spend(tx, request.id, now).await? {
            return Err(Error::SpentToken);
        }
        let ended = sessions::end_all(tx, user, RevokedReason::Reported, now).await?;
        devices::forget_all(tx, user).await?;
        let withdrawn = self.withdraw_password(tx, caller, &account, now).await?;
        for session in &ended {
            tell(tx, caller, user, *session, RevokedReason::Reported, now).await?;
        }
        let entry = Entry {
            after: Some(json!({
                "session": session, "ended_sessions": ended.len(), "password_withdrawn": withdrawn,
            })),
            ..entry("auth.session.reported", user)
        };
        audit::record(tx, now, caller, entry).await?;
        Ok(ended)
    }

    /// False when the account is not active: then nobody can use its password anyway.
    async fn withdraw_password(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        account: &Account,
        now: Time,
    ) -> Result<bool, Error> {
        if account.state != AccountState::Active
            || !accounts::renew(tx, account.id, account.credential_version, now).await?
        {
            return Ok(false);
        }
        requests::close_all(tx, account.id, now).await?;
        accounts::forget_password(tx, account.id).await?;
        let renewed =
            Account { credential_version: account.credential_version.saturating_add(1), ..account.clone() };
        self.offer_reset(tx, caller, &renewed, now).await?;
        Ok(true)
    }
}
