//! Whose account can't be used.

use crate::schema::permissions_suspended_subjects as suspended;
use contracts::{Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{DbConn, Result};

/// Notes that an account can't be used; false when that was known.
pub(crate) async fn insert(tx: &mut DbConn, user: UserId, now: Time) -> Result<bool> {
    let row = (suspended::user_id.eq(user), suspended::suspended_at.eq(now));
    let added =
        diesel::insert_into(suspended::table).values(row).on_conflict_do_nothing().execute(tx).await?;
    Ok(added == 1)
}

/// Notes that an account can be used; false when that was known.
pub(crate) async fn delete(tx: &mut DbConn, user: UserId) -> Result<bool> {
    Ok(diesel::delete(suspended::table.find(user)).execute(tx).await? == 1)
}
