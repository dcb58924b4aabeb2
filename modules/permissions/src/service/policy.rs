//! Reading everything that decisions are made from and that belongs to no single user.

use crate::model::{GroupGraph, Held, Policy, RoleGraph};
use crate::store;
use platform::db::{self, DbConn};

/// The policy as this connection sees it.
///
/// Roles come with their revision in one statement; the rest takes some more, between which PostgreSQL may show a
/// newer state. Whoever changes any of it raises the revision in the same transaction, so when the revision is still
/// the same in the end, all of it belongs together; otherwise it is read again.
pub(super) async fn read(c: &mut DbConn) -> db::Result<Policy> {
    loop {
        let (revision, roles) = store::graph::load(c).await?;
        let groups = store::groups::all(c).await?.into_iter().map(|group| (group.id, group.name)).collect();
        let nested = store::members::nested(c).await?;
        let held = store::assignments::of_groups(c).await?;
        let held = held.iter().filter_map(|one| Some((one.subject.group()?, Held::from(one)))).collect();
        if store::graph::revision(c).await? == revision {
            return Ok(Policy {
                revision,
                roles: RoleGraph::new(roles),
                groups: GroupGraph::new(groups, nested, held),
            });
        }
    }
}
