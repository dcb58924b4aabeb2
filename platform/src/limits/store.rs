//! The limits' queries.

use diesel::dsl::case_when;
use diesel::prelude::*;
use diesel::query_dsl::methods;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use crate::db::{DbConn, Result};
use crate::schema::platform_limits as limits;

/// One statement, so that two takes can't both see the last one: the row's lock orders them, and the condition is
/// looked at under it.
pub(super) async fn take(
    c: &mut DbConn,
    key_hash: &[u8],
    now: i64,
    interval: i64,
    latest_full_at: i64,
) -> Result<bool> {
    let base = case_when(limits::full_at.gt(now), limits::full_at).otherwise(now.into_sql::<BigInt>());
    let upsert = diesel::insert_into(limits::table)
        .values((limits::key_hash.eq(key_hash), limits::full_at.eq(now.saturating_add(interval))))
        .on_conflict(limits::key_hash)
        .do_update()
        .set(limits::full_at.eq(base + interval));
    Ok(methods::FilterDsl::filter(upsert, limits::full_at.le(latest_full_at)).execute(c).await? == 1)
}

pub(super) async fn full_at(c: &mut DbConn, key_hash: &[u8]) -> Result<Option<i64>> {
    Ok(limits::table.find(key_hash).select(limits::full_at).first(c).await.optional()?)
}

pub(super) async fn full(c: &mut DbConn, before: i64, limit: i64) -> Result<Vec<Vec<u8>>> {
    let rows = limits::table.filter(limits::full_at.lt(before)).order(limits::full_at).limit(limit);
    Ok(rows.select(limits::key_hash).load(c).await?)
}

pub(super) async fn delete(c: &mut DbConn, key_hashes: Vec<Vec<u8>>) -> Result<usize> {
    Ok(diesel::delete(limits::table.filter(limits::key_hash.eq_any(key_hashes))).execute(c).await?)
}

/// Looks at the instant again: a bucket may have been used since it was found.
pub(super) async fn delete_full(c: &mut DbConn, key_hashes: Vec<Vec<u8>>, before: i64) -> Result<usize> {
    let full = limits::table.filter(limits::key_hash.eq_any(key_hashes).and(limits::full_at.lt(before)));
    Ok(diesel::delete(full).execute(c).await?)
}
