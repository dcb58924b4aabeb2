//! There is always an administrator whose account can be used: whoever takes something away asks here, before and
//! after, while holding the lock of the graph.

use crate::error::Error;
use crate::service::policy;
use crate::store::administrators;
use platform::db::{self, DbConn};

/// Whether there was an administrator before a change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before(bool);

/// Looks before the change. The lock of the graph is already held: of two who take the last two administrators away
/// at once, the second looks after the first has committed.
pub(super) async fn before(tx: &mut DbConn) -> db::Result<Before> {
    Ok(Before(is_there_one(tx).await?))
}

/// Looks after the change. Where there was no administrator, none can be lost.
pub(super) async fn after(tx: &mut DbConn, before: Before) -> Result<(), Error> {
    if before.0 && !is_there_one(tx).await? { Err(Error::LastAdministrator) } else { Ok(()) }
}

async fn is_there_one(tx: &mut DbConn) -> db::Result<bool> {
    if administrators::any_user(tx).await? {
        return Ok(true);
    }
    let groups = administrators::groups(tx).await?;
    if groups.is_empty() {
        return Ok(false);
    }
    let inside = policy::read(tx).await?.groups.below(&groups);
    administrators::any_member(tx, inside).await
}
