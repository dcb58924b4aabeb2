//! The rows of refresh tokens.

use contracts::{SessionId, Time};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Result};

use crate::model::{RefreshToken, SecretHash};
use crate::schema::{auth_refresh_tokens as tokens, auth_sessions as sessions};

#[derive(Queryable, Selectable)]
#[diesel(table_name = tokens, check_for_backend(Db))]
struct TokenRow {
    session_id: SessionId,
    generation: i64,
    created_at: Time,
    expires_at: Time,
    used_at: Option<Time>,
}

impl TokenRow {
    fn with(self, hash: SecretHash) -> RefreshToken {
        RefreshToken {
            hash,
            session: self.session_id,
            generation: self.generation,
            created_at: self.created_at,
            expires_at: self.expires_at,
            used_at: self.used_at,
        }
    }
}

/// Adds a token.
pub(crate) async fn insert(tx: &mut DbConn, token: &RefreshToken) -> Result<()> {
    let values = (
        tokens::hash.eq(token.hash.0.as_slice()),
        tokens::session_id.eq(token.session),
        tokens::generation.eq(token.generation),
        tokens::created_at.eq(token.created_at),
        tokens::expires_at.eq(token.expires_at),
        tokens::used_at.eq(token.used_at),
    );
    diesel::insert_into(tokens::table).values(values).execute(tx).await?;
    Ok(())
}

/// One token, used or not.
pub(crate) async fn find(c: &mut DbConn, hash: SecretHash) -> Result<Option<RefreshToken>> {
    let query = tokens::table.find(hash.0.as_slice()).select(TokenRow::as_select());
    Ok(query.first(c).await.optional()?.map(|row| row.with(hash)))
}

/// Uses a token up; none when it is unknown, used or over. The one statement decides which of several takers gets it;
/// the others wait for that one's end.
pub(crate) async fn claim(tx: &mut DbConn, hash: SecretHash, now: Time) -> Result<Option<RefreshToken>> {
    let unused = tokens::table
        .find(hash.0.as_slice())
        .filter(tokens::used_at.is_null())
        .filter(tokens::expires_at.gt(now));
    let row = diesel::update(unused)
        .set(tokens::used_at.eq(Some(now)))
        .returning(TokenRow::as_returning())
        .get_result(tx)
        .await
        .optional()?;
    Ok(row.map(|row| row.with(hash)))
}

/// Some tokens that were over before that moment.
pub(crate) async fn over(c: &mut DbConn, before: Time, limit: i64) -> Result<Vec<Vec<u8>>> {
    let query = tokens::table.filter(tokens::expires_at.lt(before)).order(tokens::expires_at.asc());
    Ok(query.limit(limit).select(tokens::hash).load(c).await?)
}

/// Some tokens of sessions that were ended before that moment.
pub(crate) async fn of_ended(c: &mut DbConn, before: Time, limit: i64) -> Result<Vec<Vec<u8>>> {
    let query = tokens::table.inner_join(sessions::table).filter(sessions::revoked_at.lt(before));
    Ok(query.limit(limit).select(tokens::hash).load(c).await?)
}

/// Removes tokens.
pub(crate) async fn delete(tx: &mut DbConn, hashes: Vec<Vec<u8>>) -> Result<usize> {
    Ok(diesel::delete(tokens::table.filter(tokens::hash.eq_any(hashes))).execute(tx).await?)
}
