//! The rows of sessions.

use contracts::auth::AccountState;
use contracts::{SessionId, Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Result};
use serde::{Deserialize, Serialize};

use crate::model::{FamilyKey, RevokedReason, Session};
use crate::schema::{auth_accounts as accounts, auth_sessions as sessions};

/// As many sessions as an account may have at a time, whatever is set.
const AT_MOST: i64 = 1_000;

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions, check_for_backend(Db))]
struct SessionRow {
    id: SessionId,
    account_id: UserId,
    credential_version: i64,
    family_key: Vec<u8>,
    client_address: Option<String>,
    user_agent: Option<String>,
    created_at: Time,
    last_used_at: Time,
    expires_at: Time,
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        Self {
            id: row.id,
            account: row.account_id,
            credential_version: row.credential_version,
            family_key: FamilyKey(row.family_key),
            client_address: row.client_address,
            user_agent: row.user_agent,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
        }
    }
}

/// Whose a session is and until when it is good, when it may act at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) account: UserId,
    pub(crate) last_used_at: Time,
    pub(crate) expires_at: Time,
}

/// Adds a session.
pub(crate) async fn insert(tx: &mut DbConn, session: &Session) -> Result<()> {
    let values = (
        sessions::id.eq(session.id),
        sessions::account_id.eq(session.account),
        sessions::credential_version.eq(session.credential_version),
        sessions::family_key.eq(session.family_key.0.as_slice()),
        sessions::client_address.eq(session.client_address.as_deref()),
        sessions::user_agent.eq(session.user_agent.as_deref()),
        sessions::created_at.eq(session.created_at),
        sessions::last_used_at.eq(session.last_used_at),
        sessions::expires_at.eq(session.expires_at),
    );
    diesel::insert_into(sessions::table).values(values).execute(tx).await?;
    Ok(())
}

/// The standing of a session that was not revoked and whose account is active and still proves itself in the same
/// way; none for every other one. Expiry is for the caller to look at, because it passes by itself.
pub(crate) async fn standing(c: &mut DbConn, id: SessionId) -> Result<Option<Standing>> {
    let query = sessions::table
        .inner_join(accounts::table)
        .filter(sessions::id.eq(id))
        .filter(sessions::revoked_at.is_null())
        .filter(accounts::state.eq(AccountState::Active))
        .filter(accounts::credential_version.eq(sessions::credential_version))
        .select((sessions::account_id, sessions::last_used_at, sessions::expires_at));
    let found: Option<(UserId, Time, Time)> = query.first(c).await.optional()?;
    Ok(found.map(|(account, last_used_at, expires_at)| Standing { account, last_used_at, expires_at }))
}

/// Notes that a live session was used; none when it is not live. Locks the session, so that revoking it comes before
/// or after, never in between.
pub(crate) async fn note_use(tx: &mut DbConn, id: SessionId, now: Time) -> Result<Option<Session>> {
    let live =
        sessions::table.find(id).filter(sessions::revoked_at.is_null()).filter(sessions::expires_at.gt(now));
    let row = diesel::update(live)
        .set(sessions::last_used_at.eq(now))
        .returning(SessionRow::as_returning())
        .get_result(tx)
        .await
        .optional()?;
    Ok(row.map(Session::from))
}

/// The live sessions of an account that were used after that moment, the one used last first: as many as an account may
/// have.
pub(crate) async fn live(
    c: &mut DbConn,
    account: UserId,
    now: Time,
    used_after: Time,
) -> Result<Vec<Session>> {
    let rows: Vec<SessionRow> = sessions::table
        .filter(sessions::account_id.eq(account))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .filter(sessions::last_used_at.gt(used_after))
        .order((sessions::last_used_at.desc(), sessions::id.desc()))
        .limit(AT_MOST)
        .select(SessionRow::as_select())
        .load(c)
        .await?;
    Ok(rows.into_iter().map(Session::from).collect())
}

/// Where an account is logged in from, as far as that was used after that moment; what was used last first.
pub(crate) async fn client_addresses(
    c: &mut DbConn,
    account: UserId,
    now: Time,
    used_after: Time,
) -> Result<Vec<Option<String>>> {
    let query = sessions::table
        .filter(sessions::account_id.eq(account))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .filter(sessions::last_used_at.gt(used_after))
        .order(sessions::last_used_at.desc())
        .limit(AT_MOST)
        .select(sessions::client_address);
    Ok(query.load(c).await?)
}

/// Ends one live session of an account; false when the account has no such session.
pub(crate) async fn revoke(
    tx: &mut DbConn,
    account: UserId,
    id: SessionId,
    reason: RevokedReason,
    now: Time,
) -> Result<bool> {
    let live = sessions::table
        .find(id)
        .filter(sessions::account_id.eq(account))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now));
    let ended = diesel::update(live)
        .set((sessions::revoked_at.eq(Some(now)), sessions::revoked_reason.eq(Some(reason))))
        .execute(tx)
        .await?;
    Ok(ended == 1)
}

/// Ends a live session, whoever has it, and tells whose it was; none when it is over already.
pub(crate) async fn end(
    tx: &mut DbConn,
    id: SessionId,
    reason: RevokedReason,
    now: Time,
) -> Result<Option<UserId>> {
    let live =
        sessions::table.find(id).filter(sessions::revoked_at.is_null()).filter(sessions::expires_at.gt(now));
    Ok(diesel::update(live)
        .set((sessions::revoked_at.eq(Some(now)), sessions::revoked_reason.eq(Some(reason))))
        .returning(sessions::account_id)
        .get_result(tx)
        .await
        .optional()?)
}

/// Ends every live session of an account but one.
pub(crate) async fn revoke_others(
    tx: &mut DbConn,
    account: UserId,
    kept: SessionId,
    reason: RevokedReason,
    now: Time,
) -> Result<Vec<SessionId>> {
    let others = sessions::table
        .filter(sessions::account_id.eq(account))
        .filter(sessions::id.ne(kept))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now));
    Ok(diesel::update(others)
        .set((sessions::revoked_at.eq(Some(now)), sessions::revoked_reason.eq(Some(reason))))
        .returning(sessions::id)
        .get_results(tx)
        .await?)
}

/// Ends every live session of an account.
pub(crate) async fn end_all(
    tx: &mut DbConn,
    account: UserId,
    reason: RevokedReason,
    now: Time,
) -> Result<Vec<SessionId>> {
    let live = sessions::table
        .filter(sessions::account_id.eq(account))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now));
    Ok(diesel::update(live)
        .set((sessions::revoked_at.eq(Some(now)), sessions::revoked_reason.eq(Some(reason))))
        .returning(sessions::id)
        .get_results(tx)
        .await?)
}

/// The sessions of an account that were ended after that moment: the last thousand.
pub(crate) async fn ended_since(c: &mut DbConn, account: UserId, since: Time) -> Result<Vec<SessionId>> {
    let ended =
        sessions::table.filter(sessions::account_id.eq(account)).filter(sessions::revoked_at.gt(since));
    Ok(ended.order(sessions::revoked_at.desc()).limit(AT_MOST).select(sessions::id).load(c).await?)
}

/// Ends every session of everybody.
pub(crate) async fn end_everywhere(tx: &mut DbConn, now: Time) -> Result<usize> {
    Ok(diesel::update(sessions::table.filter(sessions::revoked_at.is_null()))
        .set((sessions::revoked_at.eq(Some(now)), sessions::revoked_reason.eq(Some(RevokedReason::Revoked))))
        .execute(tx)
        .await?)
}

/// A session, live or not, as its owner may see it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions, check_for_backend(Db))]
pub(crate) struct Told {
    pub(crate) id: SessionId,
    pub(crate) client_address: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) created_at: Time,
    pub(crate) last_used_at: Time,
    pub(crate) expires_at: Time,
    pub(crate) revoked_at: Option<Time>,
    pub(crate) revoked_reason: Option<RevokedReason>,
}

/// Every session of an account that is still known, the newest first.
pub(crate) async fn all(c: &mut DbConn, account: UserId) -> Result<Vec<Told>> {
    let query = sessions::table.filter(sessions::account_id.eq(account)).select(Told::as_select());
    Ok(query.order((sessions::created_at.desc(), sessions::id.desc())).load(c).await?)
}

/// Lets a live session of the account outlive a change of what proves its owner; false when it is not live.
pub(crate) async fn rebind(
    tx: &mut DbConn,
    account: UserId,
    id: SessionId,
    credential_version: i64,
    now: Time,
) -> Result<bool> {
    let live = sessions::table
        .find(id)
        .filter(sessions::account_id.eq(account))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now));
    let bound =
        diesel::update(live).set(sessions::credential_version.eq(credential_version)).execute(tx).await?;
    Ok(bound == 1)
}

/// Lets every live session of the account that its credential version before the change still proved outlive it.
pub(crate) async fn rebind_all(
    tx: &mut DbConn,
    account: UserId,
    credential_version: i64,
    now: Time,
) -> Result<()> {
    let live = sessions::table
        .filter(sessions::account_id.eq(account))
        .filter(sessions::credential_version.eq(credential_version - 1))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now));
    diesel::update(live).set(sessions::credential_version.eq(credential_version)).execute(tx).await?;
    Ok(())
}

/// The live sessions of an account beyond the so many that were used last; not more than a thousand at once.
pub(crate) async fn beyond(
    c: &mut DbConn,
    account: UserId,
    now: Time,
    used_after: Time,
    kept: i64,
) -> Result<Vec<SessionId>> {
    let query = sessions::table
        .filter(sessions::account_id.eq(account))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .filter(sessions::last_used_at.gt(used_after))
        .order((sessions::last_used_at.desc(), sessions::created_at.desc(), sessions::id.desc()))
        .select(sessions::id);
    Ok(query.limit(AT_MOST).offset(kept).load(c).await?)
}

/// Some sessions that were over before that moment.
pub(crate) async fn over(c: &mut DbConn, before: Time, limit: i64) -> Result<Vec<SessionId>> {
    let over = sessions::expires_at.nullable().lt(before).or(sessions::revoked_at.lt(before));
    let query = sessions::table.filter(over).order(sessions::expires_at.asc());
    Ok(query.limit(limit).select(sessions::id).load(c).await?)
}

/// Removes sessions with their refresh tokens.
pub(crate) async fn delete(tx: &mut DbConn, ids: Vec<SessionId>) -> Result<usize> {
    Ok(diesel::delete(sessions::table.filter(sessions::id.eq_any(ids))).execute(tx).await?)
}
