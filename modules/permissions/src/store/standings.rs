//! Who can log in, as far as auth has told: whose address was proven at some time, and whose account can't be used now.
//!
//! A proof is noted once and for all, so it does not matter when and how often it is told: being suspended outweighs it.

use crate::schema::{permissions_proven_subjects as proven, permissions_suspended_subjects as suspended};
use contracts::{Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{DbConn, Result};

/// Notes that an address was proven.
pub(crate) async fn prove(tx: &mut DbConn, user: UserId) -> Result<()> {
    let row = proven::user_id.eq(user);
    diesel::insert_into(proven::table).values(row).on_conflict_do_nothing().execute(tx).await?;
    Ok(())
}

/// Notes that an account can't be used; false when that was known.
pub(crate) async fn suspend(tx: &mut DbConn, user: UserId, now: Time) -> Result<bool> {
    let row = (suspended::user_id.eq(user), suspended::suspended_at.eq(now));
    let added =
        diesel::insert_into(suspended::table).values(row).on_conflict_do_nothing().execute(tx).await?;
    Ok(added == 1)
}

/// Notes that an account can be used again; false when it was not suspended.
pub(crate) async fn resume(tx: &mut DbConn, user: UserId) -> Result<bool> {
    Ok(diesel::delete(suspended::table.find(user)).execute(tx).await? == 1)
}

/// Forgets the proof of somebody.
pub(crate) async fn disprove(tx: &mut DbConn, user: UserId) -> Result<()> {
    diesel::delete(proven::table.find(user)).execute(tx).await?;
    Ok(())
}
