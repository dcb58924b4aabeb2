//! The rows of devices that somebody has logged in from.

use contracts::{Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{DbConn, Result};

use crate::model::Fingerprint;
use crate::schema::auth_devices as devices;

/// Notes a login; true when the account has never been logged in to from there.
pub(crate) async fn note(
    tx: &mut DbConn,
    account: UserId,
    fingerprint: &Fingerprint,
    now: Time,
) -> Result<bool> {
    let known = devices::table.find(fingerprint.0.as_slice());
    if diesel::update(known).set(devices::last_seen_at.eq(now)).execute(tx).await? == 1 {
        return Ok(false);
    }
    let values = (
        devices::fingerprint.eq(fingerprint.0.as_slice()),
        devices::account_id.eq(account),
        devices::first_seen_at.eq(now),
        devices::last_seen_at.eq(now),
    );
    let added = diesel::insert_into(devices::table)
        .values(values)
        .on_conflict(devices::fingerprint)
        .do_nothing()
        .execute(tx)
        .await?;
    Ok(added == 1)
}

/// Whether somebody has logged in from there to the account that the fingerprint is of.
pub(crate) async fn is_known(c: &mut DbConn, fingerprint: &Fingerprint) -> Result<bool> {
    let query = devices::table.find(fingerprint.0.as_slice()).select(devices::account_id);
    Ok(query.first::<UserId>(c).await.optional()?.is_some())
}

/// When each device of an account was first and last seen, the newest first.
pub(crate) async fn seen(c: &mut DbConn, account: UserId) -> Result<Vec<(Time, Time)>> {
    let query = devices::table.filter(devices::account_id.eq(account)).order(devices::last_seen_at.desc());
    Ok(query.select((devices::first_seen_at, devices::last_seen_at)).load(c).await?)
}

/// Forgets the devices of an account.
pub(crate) async fn forget_all(tx: &mut DbConn, account: UserId) -> Result<()> {
    diesel::delete(devices::table.filter(devices::account_id.eq(account))).execute(tx).await?;
    Ok(())
}

/// Some devices that were last seen before that moment.
pub(crate) async fn over(c: &mut DbConn, before: Time, limit: i64) -> Result<Vec<Vec<u8>>> {
    let query = devices::table.filter(devices::last_seen_at.lt(before)).order(devices::last_seen_at.asc());
    Ok(query.limit(limit).select(devices::fingerprint).load(c).await?)
}

/// Removes devices that were not seen since.
pub(crate) async fn delete(tx: &mut DbConn, fingerprints: Vec<Vec<u8>>, before: Time) -> Result<usize> {
    let over = devices::table
        .filter(devices::fingerprint.eq_any(fingerprints))
        .filter(devices::last_seen_at.lt(before));
    Ok(diesel::delete(over).execute(tx).await?)
}
