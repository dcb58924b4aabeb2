//! Deleting a group, with what it holds and who is in it.

use crate::error::Error;
use crate::model::Holder;
use crate::service::{Service, assignments, grant, guard, members, policy, record};
use crate::store;
use contracts::permissions::GroupDeleted;
use contracts::{Caller, GroupId};
use platform::db::DbConn;
use platform::http::IfMatch;
use platform::outbox;

impl Service {
    /// Deletes the group, unless the caller does not hold what being in it brings, or nobody would be left who is
    /// administrator.
    ///
    /// Its assignments, and its own memberships in other groups, are told one by one. Those who were in it are not: there
    /// may be very many, and what they lose is what the group held.
    pub(crate) async fn delete_group(
        &self,
        caller: &Caller,
        state: &IfMatch,
        id: GroupId,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            store::graph::advance(tx).await?;
            let before = guard::before(tx).await?;
            let group = store::groups::find(tx, id).await?.ok_or(Error::GroupNotFound)?;
            state.check(group.revision)?;
            let policy = policy::read(tx).await?;
            grant::check_group(tx, caller, &policy, id, now).await?;
            for assignment in store::assignments::of_subject(tx, Holder::Group(id)).await? {
                assignments::remove(tx, now, caller, assignment.id).await?;
            }
            for outer in store::members::delete_all_of(tx, Holder::Group(id)).await? {
                members::tell_removed(tx, now, caller, &outer).await?;
            }
            store::groups::delete(tx, id).await?;
            let fact = GroupDeleted { group: id, name: group.name.to_string() };
            outbox::publish(tx, now, caller, &fact).await?;
            record::group(tx, now, caller, "permissions.group.deleted", Some(&group), None).await?;
            guard::after(tx, before).await
        };
        self.memory.changing_policy(self.db.transaction(work)).await
    }
}
