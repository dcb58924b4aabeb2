//! Exchanging a refresh token for its successor (RFC 9700 section 4.14.2: rotation with replay detection).
//!
//! The session is the family. A token is claimed by one conditional update, so a family never forks. Who comes second
//! within the grace window gets the same successor again, as long as nobody used that one; who comes later holds a
//! token that somebody else has used, and the whole family ends. `docs/decisions/0005-refresh-families.md`.

use contracts::auth::{RefreshReused, SessionRevoked};
use contracts::{Actor, Caller, SessionId, Time};
use platform::audit::{self, Entry, Outcome};
use platform::db::DbConn;
use platform::outbox;
use serde_json::json;

use super::Service;
use super::mint::{Grant, Tokens};
use super::register::entry;
use crate::error::Error;
use crate::model::{Refresh, RefreshToken, RevokedReason, Secret};
use crate::store::{refresh_tokens, sessions};

/// What becomes of a token that was presented.
enum Exchange {
    Rotated(Tokens),
    Repeated(Tokens),
    /// It was stolen, or its successor was: the session is over.
    Reused(Option<SessionId>),
}

impl Service {
    /// # Errors
    /// 401 for everything that is not a good refresh token of a live session.
    pub(crate) async fn refresh(&self, caller: &Caller, token: &str) -> Result<Tokens, Error> {
        let exchange = self.exchange(caller, token).await;
        let outcome = match &exchange {
            Ok(Exchange::Rotated(_)) => "rotated",
            Ok(Exchange::Repeated(_)) => "repeated",
            Ok(Exchange::Reused(_)) => "reused",
            Err(Error::InvalidRefreshToken) => "refused",
            Err(_) => "failed",
        };
        metrics::counter!("doorward_refreshes_total", "outcome" => outcome).increment(1);
        match exchange? {
            Exchange::Rotated(tokens) | Exchange::Repeated(tokens) => Ok(tokens),
            Exchange::Reused(ended) => {
                self.forget_standings(ended.as_slice()).await;
                Err(Error::InvalidRefreshToken)
            }
        }
    }

    async fn exchange(&self, caller: &Caller, token: &str) -> Result<Exchange, Error> {
        let presented = Secret::<Refresh>::parse(token).ok_or(Error::InvalidRefreshToken)?;
        let now = self.now();
        self.db
            .transaction(async |tx| {
                if let Some(used) = refresh_tokens::claim(tx, presented.hash(), now).await? {
                    let grant = Grant::Refresh { used: &used, presented: &presented };
                    let tokens = self.mint(tx, caller, now, grant).await?;
                    // Whoever has the token is the one it was given to, as far as anybody can tell.
                    let actor = Actor::User { id: tokens.account, session: used.session };
                    let owner = Caller { actor, ..caller.clone() };
                    audit::record(tx, now, &owner, about("auth.session.refreshed", used.session)).await?;
                    return Ok(Exchange::Rotated(tokens));
                }
                let known = refresh_tokens::find(tx, presented.hash()).await?;
                let used = known.ok_or(Error::InvalidRefreshToken)?;
                let used_at = used.used_at.ok_or(Error::InvalidRefreshToken)?;
                if now < used_at.plus(self.settings.tokens.grace()) {
                    let grant = Grant::Repeat { used: &used, presented: &presented };
                    return Ok(Exchange::Repeated(self.mint(tx, caller, now, grant).await?));
                }
                Ok(Exchange::Reused(end_family(tx, caller, &used, now).await?))
            })
            .await
    }
}

/// Ends the session of a token that came back; none when it had ended before.
async fn end_family(
    tx: &mut DbConn,
    caller: &Caller,
    used: &RefreshToken,
    now: Time,
) -> Result<Option<SessionId>, Error> {
    let (session, reason) = (used.session, RevokedReason::RefreshReused);
    let Some(user) = sessions::end(tx, session, reason, now).await? else { return Ok(None) };
    outbox::publish(tx, now, caller, &RefreshReused { user, session }).await?;
    let revoked = SessionRevoked { user, session, reason: reason.as_str().to_owned() };
    outbox::publish(tx, now, caller, &revoked).await?;
    let after = Some(json!({ "session": session }));
    let entry = Entry { outcome: Outcome::Refused, after, ..entry("auth.refresh.reused", user) };
    audit::record(tx, now, caller, entry).await?;
    metrics::counter!("doorward_sessions_revoked_total", "reason" => reason.as_str()).increment(1);
    Ok(Some(session))
}

/// An entry of the audit trail about a session.
pub(super) fn about(action: &'static str, session: SessionId) -> Entry {
    Entry {
        action,
        outcome: Outcome::Succeeded,
        subject_type: "session",
        subject_id: session.to_string(),
        before: None,
        after: None,
    }
}
