//! The ids of people who were forgotten for good.

use contracts::{Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{DbConn, Result};

use crate::schema::auth_purged_accounts as purged;

/// Notes that nobody gets this id again.
pub(crate) async fn insert(tx: &mut DbConn, id: UserId, now: Time) -> Result<()> {
    let values = (purged::id.eq(id), purged::purged_at.eq(now));
    diesel::insert_into(purged::table).values(values).on_conflict_do_nothing().execute(tx).await?;
    Ok(())
}

/// Those of these ids that nobody gets again.
pub(crate) async fn among(c: &mut DbConn, ids: Vec<UserId>) -> Result<Vec<UserId>> {
    Ok(purged::table.filter(purged::id.eq_any(ids)).select(purged::id).load(c).await?)
}
