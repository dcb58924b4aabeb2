//! There is always an administrator whose account can be used: whoever takes something away asks here, before and
//! after, while holding the lock of the graph.

use crate::error::Error;
use crate::service::policy;
use crate::store::administrators::{self, Wanted};
use contracts::GroupId;
use platform::db::{self, DbConn};

/// How sure it is that somebody could log in and be administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certainty {
    /// There is nobody.
    Nobody,
    /// There is an administrator of whom it is not known whether he can.
    Unproven,
    /// There is one who proved his address.
    Proven,
}

/// Looks before the change. The lock of the graph is already held: of two who take the last two administrators away
/// at once, the second looks after the first has committed.
pub(super) async fn before(tx: &mut DbConn) -> db::Result<Certainty> {
    look(tx).await
}

/// Looks after the change: it must be as sure as before. Where there was no administrator, none can be lost.
pub(super) async fn after(tx: &mut DbConn, before: Certainty) -> Result<(), Error> {
    if before > Certainty::Nobody && look(tx).await? < before {
        Err(Error::LastAdministrator)
    } else {
        Ok(())
    }
}

async fn look(tx: &mut DbConn) -> db::Result<Certainty> {
    if administrators::any_user(tx, Wanted::Proven).await? {
        return Ok(Certainty::Proven);
    }
    let inside = groups(tx).await?;
    if any_member(tx, &inside, Wanted::Proven).await? {
        return Ok(Certainty::Proven);
    }
    let unproven = administrators::any_user(tx, Wanted::Anybody).await?
        || any_member(tx, &inside, Wanted::Anybody).await?;
    Ok(if unproven { Certainty::Unproven } else { Certainty::Nobody })
}

/// The groups in which one is administrator everywhere and for ever: they were given it, or are inside of one that was.
pub(super) async fn groups(c: &mut DbConn) -> db::Result<Vec<GroupId>> {
    let given = administrators::groups(c).await?;
    Ok(if given.is_empty() { given } else { policy::read(c).await?.groups.below(&given) })
}

async fn any_member(tx: &mut DbConn, groups: &[GroupId], wanted: Wanted) -> db::Result<bool> {
    Ok(!groups.is_empty() && administrators::any_member(tx, groups, wanted).await?)
}
