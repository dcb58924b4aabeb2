//! The rows of signing keys. What is in them is opened and checked in `service/signing_keys.rs`.

use contracts::Time;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Json, Result};
use serde_json::Value;

use crate::schema::auth_signing_keys as keys;

/// A key as it is stored.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = keys, check_for_backend(Db), treat_none_as_default_value = false)]
pub(crate) struct SigningKeyRow {
    pub(crate) kid: String,
    pub(crate) sequence: i64,
    pub(crate) algorithm: String,
    /// Sealed.
    pub(crate) private_key: Vec<u8>,
    pub(crate) public_jwk: Json<Value>,
    pub(crate) created_at: Time,
    pub(crate) not_before: Time,
    pub(crate) retired_at: Option<Time>,
}

/// What is left of a private half that was wiped.
const NOTHING: &[u8] = &[];

/// The keys that are published at that moment, oldest first. One without its private half is never among them, whatever
/// the clock says here: it was withdrawn, or its last token was over when somebody whose clock is right wiped it.
pub(crate) async fn published(c: &mut DbConn, now: Time) -> Result<Vec<SigningKeyRow>> {
    let query = keys::table
        .filter(keys::retired_at.is_null().or(keys::retired_at.gt(now)))
        .filter(keys::private_key.ne(NOTHING));
    Ok(query.order(keys::sequence.asc()).select(SigningKeyRow::as_select()).load(c).await?)
}

/// How many keys there ever were.
pub(crate) async fn last_sequence(c: &mut DbConn) -> Result<i64> {
    let last: Option<i64> =
        keys::table.select(keys::sequence).order(keys::sequence.desc()).first(c).await.optional()?;
    Ok(last.unwrap_or(0))
}

/// Adds a key; false when another process made one with this sequence.
pub(crate) async fn insert(tx: &mut DbConn, key: &SigningKeyRow) -> Result<bool> {
    let added = diesel::insert_into(keys::table).values(key).on_conflict_do_nothing().execute(tx).await?;
    Ok(added == 1)
}

/// Lets every older key that has no end yet retire at that moment.
pub(crate) async fn retire(tx: &mut DbConn, sequence: i64, at: Time) -> Result<usize> {
    let older = keys::table.filter(keys::sequence.lt(sequence)).filter(keys::retired_at.is_null());
    Ok(diesel::update(older).set(keys::retired_at.eq(Some(at))).execute(tx).await?)
}

/// Retires every older key that has not retired, and wipes its private half.
pub(crate) async fn withdraw(tx: &mut DbConn, sequence: i64, now: Time) -> Result<usize> {
    let older = keys::table
        .filter(keys::sequence.lt(sequence))
        .filter(keys::retired_at.is_null().or(keys::retired_at.gt(now)));
    let withdrawn = (keys::retired_at.eq(Some(now)), keys::private_key.eq(NOTHING));
    Ok(diesel::update(older).set(withdrawn).execute(tx).await?)
}

/// Wipes the private halves of the keys that have retired.
pub(crate) async fn wipe(tx: &mut DbConn, now: Time) -> Result<usize> {
    let retired = keys::table.filter(keys::retired_at.le(now)).filter(keys::private_key.ne(NOTHING));
    Ok(diesel::update(retired).set(keys::private_key.eq(NOTHING)).execute(tx).await?)
}
