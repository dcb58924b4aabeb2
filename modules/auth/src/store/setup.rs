//! The one row that says whether the installation has got its first administrator.

use contracts::Time;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{DbConn, Result};

use crate::schema::auth_setup as setup;

/// The one row.
const ROW: i64 = 1;

/// Whether it was completed. A missing row counts as completed: absent means refuse.
pub(crate) async fn is_completed(c: &mut DbConn) -> Result<bool> {
    let completed_at: Option<Option<Time>> =
        setup::table.find(ROW).select(setup::completed_at).first(c).await.optional()?;
    Ok(!matches!(completed_at, Some(None)))
}

/// Completes it; false when it was completed before. Locks the row.
pub(crate) async fn complete(tx: &mut DbConn, now: Time) -> Result<bool> {
    let open = setup::table.find(ROW).filter(setup::completed_at.is_null());
    let completed = diesel::update(open).set(setup::completed_at.eq(Some(now))).execute(tx).await?;
    Ok(completed == 1)
}
