//! The mint: the one function that makes sessions and tokens, for every grant there is.
//!
//! What must hold for anybody to get a token is asked here, in the caller's transaction and under a lock on the row
//! that the other side writes: the account for a login, the session for a refresh. So a login that races with
//! disabling the account or changing its password either comes before, and its session is ended with the others, or
//! after, and gets nothing. A new grant is a new variant here, never a second mint.

use contracts::auth::{AccountState, SessionCreated};
use contracts::{Caller, SessionId, Time, UserId};
use platform::db::DbConn;
use platform::outbox;
use platform::tokens::AccessClaims;
use uuid::Uuid;

use super::Service;
use crate::error::Error;
use crate::model::{Account, FamilyKey, Refresh, RefreshToken, Secret, Session};
use crate::store::{accounts, refresh_tokens, sessions};

/// Who our own interface is among the clients.
const CLIENT: &str = "doorward";

/// What somebody gives for tokens.
pub(super) enum Grant<'a> {
    /// A password that fitted this account, as it was when it was compared.
    Login(&'a Account),
    /// A refresh token that was just used up.
    Refresh { used: &'a RefreshToken, presented: &'a Secret<Refresh> },
    /// A refresh token that was used up a moment ago, and whose answer may have got lost.
    Repeat { used: &'a RefreshToken, presented: &'a Secret<Refresh> },
}

/// What somebody gets.
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    /// Seconds until the access token is over.
    pub(crate) expires_in: u64,
    pub(crate) refresh_token: Secret<Refresh>,
    pub(crate) account: UserId,
    pub(crate) session: SessionId,
    /// Sessions that had to end for this one: their standings are to be forgotten after the commit.
    pub(crate) displaced: Vec<SessionId>,
}

impl Service {
    /// # Errors
    /// 401, each grant in its own word, when the account or the session may not act.
    pub(super) async fn mint(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        now: Time,
        grant: Grant<'_>,
    ) -> Result<Tokens, Error> {
        let mut displaced = Vec::new();
        let (session, refresh_token) = match grant {
            Grant::Login(account) => {
                let opened = self.open_session(tx, caller, now, account).await?;
                displaced = self.displace_sessions(tx, caller, account.id, now).await?;
                opened
            }
            Grant::Refresh { used, presented } => {
                let session = live_session(tx, used.session, now).await?;
                let successor = presented.successor(&session.family_key);
                self.keep(tx, &successor, &session, used.generation.saturating_add(1), now).await?;
                (session, successor)
            }
            Grant::Repeat { used, presented } => {
                let session = live_session(tx, used.session, now).await?;
                let successor = presented.successor(&session.family_key);
                let kept = refresh_tokens::find(tx, successor.hash()).await?;
                kept.filter(|it| it.is_unused(now)).ok_or(Error::InvalidRefreshToken)?;
                (session, successor)
            }
        };
        Ok(Tokens {
            access_token: self.sign(&session, now)?,
            expires_in: self.settings.tokens.access_seconds,
            refresh_token,
            account: session.account,
            session: session.id,
            displaced,
        })
    }

    async fn open_session(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        now: Time,
        account: &Account,
    ) -> Result<(Session, Secret<Refresh>), Error> {
        let is_owner = account.self_registered && accounts::is_untouched(tx, account.id).await?;
        if !accounts::note_login(tx, account.id, account.credential_version, now).await? {
            return Err(Error::InvalidCredentials);
        }
        let session = Session {
            id: SessionId::new(),
            account: account.id,
            credential_version: account.credential_version,
            family_key: FamilyKey::fresh()?,
            client_address: caller.client_address.map(|address| address.to_string()),
            user_agent: caller.user_agent.clone(),
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(self.settings.tokens.absolute()),
        };
        sessions::insert(tx, &session).await?;
        let refresh_token = Secret::fresh()?;
        self.keep(tx, &refresh_token, &session, 0, now).await?;
        outbox::publish(tx, now, caller, &SessionCreated { user: account.id, session: session.id }).await?;
        self.note_device(tx, caller, now, &session, is_owner).await?;
        Ok((session, refresh_token))
    }

    /// Remembers a refresh token, by its hash.
    async fn keep(
        &self,
        tx: &mut DbConn,
        secret: &Secret<Refresh>,
        session: &Session,
        generation: i64,
        now: Time,
    ) -> Result<(), Error> {
        let token = RefreshToken {
            hash: secret.hash(),
            session: session.id,
            generation,
            created_at: now,
            expires_at: now.plus(self.settings.tokens.idle()).min(session.expires_at),
            used_at: None,
        };
        Ok(refresh_tokens::insert(tx, &token).await?)
    }

    /// An access token (RFC 9068) of a session.
    fn sign(&self, session: &Session, now: Time) -> Result<String, Error> {
        let claims = AccessClaims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            exp: now.plus(self.settings.tokens.access()).seconds(),
            iat: now.seconds(),
            jti: Uuid::now_v7(),
            sub: session.account,
            sid: session.id,
            client_id: CLIENT.to_owned(),
            auth_time: session.created_at.seconds(),
        };
        Ok(self.keys.sign(now, |signer| signer.sign_access(&claims))?)
    }
}

/// The session, locked, when it and its account may act.
async fn live_session(tx: &mut DbConn, id: SessionId, now: Time) -> Result<Session, Error> {
    let session = sessions::note_use(tx, id, now).await?.ok_or(Error::InvalidRefreshToken)?;
    let account = accounts::find(tx, session.account).await?.ok_or(Error::InvalidRefreshToken)?;
    let proven = account.credential_version == session.credential_version;
    if account.state == AccountState::Active && proven {
        Ok(session)
    } else {
        Err(Error::InvalidRefreshToken)
    }
}
