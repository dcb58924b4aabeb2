//! The queries of the lease: who is there, and which epoch it is.
//!
//! Each is a statement of its own, but for [`bury`], and the order in which they are asked matters: see `lease`.

use std::time::Duration;

use contracts::Time;
use diesel::dsl::case_when;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;

use super::lease::{Epoch, Peer};
use crate::db::{DbConn, Result};
use crate::schema::{platform_cache_epoch as epochs, platform_replicas as replicas};

type Row = (i64, bool, i64);

const ROW: (epochs::epoch, epochs::suspended, epochs::opened) =
    (epochs::epoch, epochs::suspended, epochs::opened);

/// The next epoch: never one that has been, also not after the database was put back to an earlier state.
macro_rules! next {
    ($now:expr) => {
        case_when(epochs::epoch.lt($now), $now.into_sql::<BigInt>()).otherwise(epochs::epoch + 1)
    };
}

/// Says that this replica is there, and for how long its lease holds.
pub(super) async fn beat(c: &mut DbConn, id: &str, beat: i64, length: Duration, now: Time) -> Result<()> {
    let lease_ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    diesel::insert_into(replicas::table)
        .values((
            replicas::id.eq(id),
            replicas::beat.eq(beat),
            replicas::lease_ms.eq(lease_ms),
            replicas::seen_at.eq(now),
        ))
        .on_conflict(replicas::id)
        .do_update()
        .set((replicas::beat.eq(excluded(replicas::beat)), replicas::seen_at.eq(excluded(replicas::seen_at))))
        .execute(c)
        .await?;
    Ok(())
}

/// The others that are there, or were.
pub(super) async fn peers(c: &mut DbConn, id: &str) -> Result<Vec<Peer>> {
    let others = replicas::table.filter(replicas::id.ne(id));
    let rows: Vec<(String, i64, i64)> =
        others.select((replicas::id, replicas::beat, replicas::lease_ms)).load(c).await?;
    let length = |lease_ms: i64| Duration::from_millis(u64::try_from(lease_ms).unwrap_or(0));
    let peer = |(id, beat, lease_ms)| Peer { id, beat, length: length(lease_ms) };
    Ok(rows.into_iter().map(peer).collect())
}

pub(super) async fn epoch(c: &mut DbConn) -> Result<Epoch> {
    let row: Row = epochs::table.find(1).select(ROW).first(c).await?;
    Ok(row.into())
}

/// Begins a new epoch.
pub(super) async fn bump(c: &mut DbConn, now: i64) -> Result<Epoch> {
    let row: Row = diesel::update(epochs::table.find(1))
        .set(epochs::epoch.eq(next!(now)))
        .returning(ROW)
        .get_result(c)
        .await?;
    Ok(row.into())
}

/// Begins a new epoch in which nobody keeps anything.
pub(super) async fn suspend(c: &mut DbConn, now: i64) -> Result<Epoch> {
    let row: Row = diesel::update(epochs::table.find(1))
        .set((epochs::epoch.eq(next!(now)), epochs::suspended.eq(true)))
        .returning(ROW)
        .get_result(c)
        .await?;
    Ok(row.into())
}

/// Begins a new epoch in which values are kept again, if it is still this one.
pub(super) async fn lift(c: &mut DbConn, seen: i64, now: i64) -> Result<Option<Epoch>> {
    let still = epochs::table.find(1).filter(epochs::epoch.eq(seen));
    let row: Option<Row> = diesel::update(still)
        .set((epochs::epoch.eq(next!(now)), epochs::suspended.eq(false), epochs::opened.eq(next!(now))))
        .returning(ROW)
        .get_result(c)
        .await
        .optional()?;
    Ok(row.map(Into::into))
}

/// Takes a replica off that is gone, if it has not been heard of since, and begins the epoch that must follow.
pub(super) async fn bury(tx: &mut DbConn, peer: &Peer, now: i64) -> Result<Option<Epoch>> {
    let silent = replicas::table.find(&peer.id).filter(replicas::beat.eq(peer.beat));
    if diesel::delete(silent).execute(tx).await? == 0 {
        return Ok(None);
    }
    bump(tx, now).await.map(Some)
}

/// Says that this replica is gone.
pub(super) async fn leave(c: &mut DbConn, id: &str) -> Result<()> {
    diesel::delete(replicas::table.find(id)).execute(c).await?;
    Ok(())
}

impl From<Row> for Epoch {
    fn from((number, suspended, opened): Row) -> Self {
        Self { number, suspended, opened }
    }
}
