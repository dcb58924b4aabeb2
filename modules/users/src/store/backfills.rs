//! How far the directory is with the accounts that were there before it.

use contracts::{Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{DbConn, Result};

use crate::schema::users_backfills as backfills;

/// The one backfill there is.
const DIRECTORY: &str = "directory";

/// The last account that was taken over, and whether it was the last of all; none when nothing was begun.
pub(crate) async fn position(c: &mut DbConn) -> Result<Option<(Option<UserId>, bool)>> {
    let row = backfills::table.find(DIRECTORY).select((backfills::after_id, backfills::finished_at));
    let row: Option<(Option<UserId>, Option<Time>)> = row.first(c).await.optional()?;
    Ok(row.map(|(after, finished)| (after, finished.is_some())))
}

/// Notes how far it is. Another replica may be ahead: what is done twice does no harm.
pub(crate) async fn advance(tx: &mut DbConn, after: Option<UserId>, finished: Option<Time>) -> Result<()> {
    let values =
        (backfills::name.eq(DIRECTORY), backfills::after_id.eq(after), backfills::finished_at.eq(finished));
    diesel::insert_into(backfills::table)
        .values(values)
        .on_conflict(backfills::name)
        .do_update()
        .set((backfills::after_id.eq(after), backfills::finished_at.eq(finished)))
        .execute(tx)
        .await?;
    Ok(())
}
