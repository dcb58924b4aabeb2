//! The rows of purges: whose account is gone for good, and since when.

use contracts::{Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{DbConn, Result};

use crate::schema::users_purges as purges;

/// Notes that an account was purged. Of several purges of one id, the last counts.
pub(crate) async fn note(tx: &mut DbConn, id: UserId, purged_at: Time) -> Result<()> {
    diesel::insert_into(purges::table)
        .values((purges::id.eq(id), purges::purged_at.eq(purged_at)))
        .on_conflict(purges::id)
        .do_update()
        .set(purges::purged_at.eq(purged_at))
        .execute(tx)
        .await?;
    Ok(())
}

/// When somebody's account was purged; none when it never was.
pub(crate) async fn find(c: &mut DbConn, id: UserId) -> Result<Option<Time>> {
    Ok(purges::table.find(id).select(purges::purged_at).first(c).await.optional()?)
}
