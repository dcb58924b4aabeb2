//! The queries for answers that are kept.

use contracts::Time;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::query_dsl::methods;
use diesel::sql_types::Text;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use serde_json::Value;

use super::Answer;
use crate::db::{DbConn, Json, Result};
use crate::forgotten::Copy;
use crate::schema::platform_idempotency_keys as keys;

/// A key as it was found: taken anew, it ends later.
#[derive(Clone)]
pub(crate) struct KeptKey {
    hash: Vec<u8>,
    expires_at: Time,
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

/// The next keys that have an answer.
pub(super) async fn copies(
    c: &mut DbConn,
    after: Option<&KeptKey>,
    limit: i64,
) -> Result<Vec<Copy<KeptKey>>> {
    let answered = keys::table.filter(keys::status.is_not_null());
    let text = sql::<Text>("COALESCE(location, '') || ' ' || COALESCE(CAST(body AS TEXT), '')");
    let mut query = answered.select((keys::key_hash, keys::expires_at, text)).into_boxed();
    if let Some(after) = after {
        query = query.filter(keys::key_hash.gt(after.hash.clone()));
    }
    let rows: Vec<(Vec<u8>, Time, String)> = query.order(keys::key_hash).limit(limit).load(c).await?;
    let copy = |(hash, expires_at, text)| Copy { id: KeptKey { hash, expires_at }, text, on_its_way: false };
    Ok(rows.into_iter().map(copy).collect())
}

/// Those that were not taken anew meanwhile.
pub(super) async fn delete(c: &mut DbConn, kept: Vec<KeptKey>) -> Result<()> {
    for KeptKey { hash, expires_at } in kept {
        let same = keys::table.find(hash).filter(keys::expires_at.eq(expires_at));
        diesel::delete(same).execute(c).await?;
    }
    Ok(())
}
