//! The rows of one-time requests and of the secrets that open them.

use contracts::{OneTimeRequestId, SessionId, Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Result};

use crate::model::{OneTimeRequest, PasswordHash, RequestKind, SecretHash};
use crate::schema::{auth_one_time_requests as requests, auth_one_time_secrets as secrets};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = requests, check_for_backend(Db), treat_none_as_default_value = false)]
struct RequestRow {
    id: OneTimeRequestId,
    kind: RequestKind,
    account_id: Option<UserId>,
    session_id: Option<SessionId>,
    password_hash: Option<String>,
    credential_version: Option<i64>,
    created_at: Time,
    expires_at: Time,
    used_at: Option<Time>,
}

impl From<RequestRow> for OneTimeRequest {
    fn from(row: RequestRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            account: row.account_id,
            session: row.session_id,
            password_hash: row.password_hash.map(PasswordHash),
            credential_version: row.credential_version,
            created_at: row.created_at,
            expires_at: row.expires_at,
            used_at: row.used_at,
        }
    }
}

/// Adds a request.
pub(crate) async fn insert(tx: &mut DbConn, request: OneTimeRequest) -> Result<()> {
    let row = RequestRow {
        id: request.id,
        kind: request.kind,
        account_id: request.account,
        session_id: request.session,
        password_hash: request.password_hash.map(|hash| hash.0),
        credential_version: request.credential_version,
        created_at: request.created_at,
        expires_at: request.expires_at,
        used_at: request.used_at,
    };
    diesel::insert_into(requests::table).values(row).execute(tx).await?;
    Ok(())
}

/// Adds a secret to a request.
pub(crate) async fn insert_secret(
    tx: &mut DbConn,
    hash: SecretHash,
    request: OneTimeRequestId,
    now: Time,
) -> Result<()> {
    let values =
        (secrets::hash.eq(hash.0.as_slice()), secrets::request_id.eq(request), secrets::created_at.eq(now));
    diesel::insert_into(secrets::table).values(values).execute(tx).await?;
    Ok(())
}

/// One request.
pub(crate) async fn find(c: &mut DbConn, id: OneTimeRequestId) -> Result<Option<OneTimeRequest>> {
    let row = requests::table.find(id).select(RequestRow::as_select()).first(c).await.optional()?;
    Ok(row.map(OneTimeRequest::from))
}

/// The request of this kind that a secret belongs to, in whatever state it is.
pub(crate) async fn find_by_secret(
    c: &mut DbConn,
    kind: RequestKind,
    hash: SecretHash,
) -> Result<Option<OneTimeRequest>> {
    let query = requests::table
        .inner_join(secrets::table)
        .filter(secrets::hash.eq(hash.0.as_slice()))
        .filter(requests::kind.eq(kind))
        .select(RequestRow::as_select());
    Ok(query.first(c).await.optional()?.map(OneTimeRequest::from))
}

/// The newest unspent requests of an account of one kind, expired or not.
pub(crate) async fn unspent(
    c: &mut DbConn,
    account: UserId,
    kind: RequestKind,
    limit: i64,
) -> Result<Vec<OneTimeRequest>> {
    let rows: Vec<RequestRow> = requests::table
        .filter(requests::account_id.eq(account))
        .filter(requests::kind.eq(kind))
        .filter(requests::used_at.is_null())
        .order((requests::created_at.desc(), requests::id.desc()))
        .limit(limit)
        .select(RequestRow::as_select())
        .load(c)
        .await?;
    Ok(rows.into_iter().map(OneTimeRequest::from).collect())
}

/// Spends a request; false when it was spent or is over. The one statement decides which of several takers gets it.
pub(crate) async fn spend(tx: &mut DbConn, id: OneTimeRequestId, now: Time) -> Result<bool> {
    let open =
        requests::table.find(id).filter(requests::used_at.is_null()).filter(requests::expires_at.gt(now));
    let spent = diesel::update(open)
        .set((requests::used_at.eq(Some(now)), requests::password_hash.eq(None::<String>)))
        .execute(tx)
        .await?;
    Ok(spent == 1)
}

/// Closes one request, and forgets the password that came with it.
pub(crate) async fn close(tx: &mut DbConn, id: OneTimeRequestId, now: Time) -> Result<()> {
    diesel::update(requests::table.find(id).filter(requests::used_at.is_null()))
        .set((requests::used_at.eq(Some(now)), requests::password_hash.eq(None::<String>)))
        .execute(tx)
        .await?;
    Ok(())
}

/// Closes the requests of an account that are still unspent, and forgets the passwords that came with them. Reports
/// of logins stay open: whoever changes a password in somebody's place must not be able to close them.
pub(crate) async fn close_all(tx: &mut DbConn, account: UserId, now: Time) -> Result<usize> {
    let unspent = requests::table
        .filter(requests::account_id.eq(account))
        .filter(requests::kind.ne(RequestKind::SessionReport))
        .filter(requests::used_at.is_null());
    let closed = diesel::update(unspent)
        .set((requests::used_at.eq(Some(now)), requests::password_hash.eq(None::<String>)))
        .execute(tx)
        .await?;
    Ok(closed)
}

/// Closes the reports of an account's logins that are still unspent.
pub(crate) async fn close_reports(tx: &mut DbConn, account: UserId, now: Time) -> Result<usize> {
    let unspent = requests::table
        .filter(requests::account_id.eq(account))
        .filter(requests::kind.eq(RequestKind::SessionReport))
        .filter(requests::used_at.is_null());
    Ok(diesel::update(unspent).set(requests::used_at.eq(Some(now))).execute(tx).await?)
}

/// Closes every request that is still unspent, whosever it is, and forgets the passwords that came with them.
pub(crate) async fn close_everywhere(tx: &mut DbConn, now: Time) -> Result<usize> {
    Ok(diesel::update(requests::table.filter(requests::used_at.is_null()))
        .set((requests::used_at.eq(Some(now)), requests::password_hash.eq(None::<String>)))
        .execute(tx)
        .await?)
}

/// Some requests that were over before that moment.
pub(crate) async fn over(c: &mut DbConn, before: Time, limit: i64) -> Result<Vec<OneTimeRequestId>> {
    let query = requests::table.filter(requests::expires_at.lt(before)).order(requests::expires_at.asc());
    Ok(query.limit(limit).select(requests::id).load(c).await?)
}

/// Removes requests with their secrets.
pub(crate) async fn delete(tx: &mut DbConn, ids: Vec<OneTimeRequestId>) -> Result<usize> {
    Ok(diesel::delete(requests::table.filter(requests::id.eq_any(ids))).execute(tx).await?)
}
