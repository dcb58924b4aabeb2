//! Ending one's own sessions: one, this one, or all the others. Each is refused on the very next request.

use contracts::auth::SessionRevoked;
use contracts::{Caller, SessionId, Time, UserId};
use platform::audit::{self, Entry};
use platform::db::DbConn;
use platform::outbox;
use serde_json::json;

use super::Service;
use super::register::entry;
use crate::error::Error;
use crate::model::RevokedReason;
use crate::store::sessions;

impl Service {
    /// Logs out. That the session is gone already is as good.
    pub(crate) async fn sign_out(
        &self,
        caller: &Caller,
        user: UserId,
        session: SessionId,
    ) -> Result<(), Error> {
        self.end(caller, user, session, RevokedReason::SignedOut).await.map(|_| ())
    }

    /// Ends one session of the caller.
    ///
    /// # Errors
    /// 404 when the caller has no such live session.
    pub(crate) async fn revoke(
        &self,
        caller: &Caller,
        user: UserId,
        session: SessionId,
    ) -> Result<(), Error> {
        let ended = self.end(caller, user, session, RevokedReason::Revoked).await?;
        if ended { Ok(()) } else { Err(Error::UnknownSession) }
    }

    /// Ends every session of the caller but this one.
    pub(crate) async fn revoke_others(
        &self,
        caller: &Caller,
        user: UserId,
        kept: SessionId,
    ) -> Result<(), Error> {
        let (now, reason) = (self.now(), RevokedReason::Revoked);
        let ended = self
            .db
            .transaction(async |tx| {
                let ended = sessions::revoke_others(tx, user, kept, reason, now).await?;
                for session in &ended {
                    tell(tx, caller, user, *session, reason, now).await?;
                }
                Ok::<_, Error>(ended)
            })
            .await?;
        self.forget_standings(&ended).await;
        self.forget_ended(user).await
    }

    /// Ends the sessions of an account that are too many, those first that were not used for longest.
    pub(super) async fn displace_sessions(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        user: UserId,
        now: Time,
    ) -> Result<Vec<SessionId>, Error> {
        let at_most = self.settings.sessions.max_per_account;
        let used_after = now.minus(self.settings.tokens.idle());
        let too_many = sessions::beyond(tx, user, now, used_after, at_most.into()).await?;
        for session in &too_many {
            let reason = RevokedReason::SessionLimit;
            if sessions::revoke(tx, user, *session, reason, now).await? {
                tell(tx, caller, user, *session, reason, now).await?;
            }
        }
        Ok(too_many)
    }

    async fn end(
        &self,
        caller: &Caller,
        user: UserId,
        session: SessionId,
        reason: RevokedReason,
    ) -> Result<bool, Error> {
        let now = self.now();
        let ended = self
            .db
            .transaction(async |tx| {
                let ended = sessions::revoke(tx, user, session, reason, now).await?;
                if ended {
                    tell(tx, caller, user, session, reason, now).await?;
                }
                Ok::<_, Error>(ended)
            })
            .await?;
        self.forget_standings(&[session]).await;
        Ok(ended)
    }
}

/// Tells that a session ended.
pub(super) async fn tell(
    tx: &mut DbConn,
    caller: &Caller,
    user: UserId,
    session: SessionId,
    reason: RevokedReason,
    now: Time,
) -> Result<(), Error> {
    let fact = SessionRevoked { user, session, reason: reason.as_str().to_owned() };
    outbox::publish(tx, now, caller, &fact).await?;
    // About the person, so that the trail can forget where from, should the person be forgotten.
    let after = Some(json!({ "session": session, "reason": reason.as_str() }));
    let entry = Entry { after, ..entry("auth.session.revoked", user) };
    audit::record(tx, now, caller, entry).await?;
    metrics::counter!("doorward_sessions_revoked_total", "reason" => reason.as_str()).increment(1);
    Ok(())
}
