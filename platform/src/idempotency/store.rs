//! The queries for answers that are kept.

use contracts::{Time, UserId};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::query_dsl::methods;
use diesel::sql_types::{Bool, Text};
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use serde_json::Value;

use super::Answer;
use crate::db::{DbConn, Json, Result};
use crate::schema::platform_idempotency_keys as keys;

/// Whether an answer names the person. Its type is nothing that can be written down.
macro_rules! names {
    ($person:ident) => {{
        let pattern = format!("%{}%", $person);
        sql::<Bool>("(CAST(body AS TEXT) LIKE ")
            .bind::<Text, _>(pattern.clone())
            .sql(" OR location LIKE ")
            .bind::<Text, _>(pattern)
            .sql(")")
    }};
}

type Kept = (Vec<u8>, Option<i32>, Option<String>, Option<Json<Value>>);

/// Takes the key when it is free or its time has passed. Whoever comes second waits here until the first transaction
/// has ended.
pub(super) async fn claim(
    c: &mut DbConn,
    hash: &[u8],
    fingerprint: &[u8],
    now: Time,
    expires_at: Time,
) -> Result<bool> {
    let upsert = diesel::insert_into(keys::table)
        .values((
            keys::key_hash.eq(hash),
            keys::fingerprint.eq(fingerprint),
            keys::expires_at.eq(expires_at),
            keys::status.eq(None::<i32>),
            keys::location.eq(None::<String>),
            keys::body.eq(None::<Json<Value>>),
        ))
        .on_conflict(keys::key_hash)
        .do_update()
        .set((
            keys::fingerprint.eq(excluded(keys::fingerprint)),
            keys::expires_at.eq(excluded(keys::expires_at)),
            keys::status.eq(None::<i32>),
            keys::location.eq(None::<String>),
            keys::body.eq(None::<Json<Value>>),
        ));
    Ok(methods::FilterDsl::filter(upsert, keys::expires_at.le(now)).execute(c).await? == 1)
}

pub(super) async fn keep(c: &mut DbConn, hash: &[u8], answer: &Answer) -> Result<()> {
    diesel::update(keys::table.find(hash))
        .set((
            keys::status.eq(Some(i32::from(answer.status))),
            keys::location.eq(answer.location.as_deref()),
            keys::body.eq(Some(Json(answer.body.clone()))),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// The fingerprint and, once there is one, the answer.
pub(super) async fn find(c: &mut DbConn, hash: &[u8]) -> Result<Option<(Vec<u8>, Option<Answer>)>> {
    let kept: Option<Kept> = keys::table
        .find(hash)
        .select((keys::fingerprint, keys::status, keys::location, keys::body))
        .first(c)
        .await
        .optional()?;
    Ok(kept.map(|(fingerprint, status, location, body)| {
        let status = status.and_then(|status| u16::try_from(status).ok());
        let body = body.map_or(Value::Null, |Json(body)| body);
        (fingerprint, status.map(|status| Answer { status, location, body }))
    }))
}

pub(super) async fn expired(c: &mut DbConn, before: Time, limit: i64) -> Result<Vec<Vec<u8>>> {
    let rows = keys::table.filter(keys::expires_at.lt(before)).order(keys::expires_at).limit(limit);
    Ok(rows.select(keys::key_hash).load(c).await?)
}

/// Looks at the instant again: a key may have been taken anew since it was found.
pub(super) async fn delete_expired(c: &mut DbConn, hashes: Vec<Vec<u8>>, before: Time) -> Result<usize> {
    let expired = keys::table.filter(keys::key_hash.eq_any(hashes).and(keys::expires_at.lt(before)));
    Ok(diesel::delete(expired).execute(c).await?)
}

/// The next keys, whatever they hold.
pub(super) async fn range(c: &mut DbConn, after: Option<Vec<u8>>, limit: i64) -> Result<Vec<Vec<u8>>> {
    let mut query = keys::table.select(keys::key_hash).into_boxed();
    if let Some(after) = after {
        query = query.filter(keys::key_hash.gt(after));
    }
    Ok(query.order(keys::key_hash).limit(limit).load(c).await?)
}

/// Those of these keys whose answers name the person.
pub(super) async fn naming(c: &mut DbConn, hashes: Vec<Vec<u8>>, person: UserId) -> Result<Vec<Vec<u8>>> {
    let theirs = keys::table.filter(keys::key_hash.eq_any(hashes)).filter(names!(person));
    Ok(theirs.select(keys::key_hash).load(c).await?)
}

/// Looks at the answer again: a key may have been taken anew since it was found.
pub(super) async fn delete_naming(c: &mut DbConn, hashes: Vec<Vec<u8>>, person: UserId) -> Result<usize> {
    let theirs = keys::table.filter(keys::key_hash.eq_any(hashes)).filter(names!(person));
    Ok(diesel::delete(theirs).execute(c).await?)
}
