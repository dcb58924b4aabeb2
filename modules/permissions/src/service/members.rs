//! Putting somebody into a group and taking him out, told to the world and to the audit trail.

use crate::error::Error;
use crate::model::{Holder, Policy};
use crate::service::{Service, grant, guard, policy, record};
use crate::store;
use crate::store::members::Member;
use contracts::permissions::{GroupMemberAdded, GroupMemberRemoved};
use contracts::{Caller, GroupId, Time};
use platform::db::{self, DbConn};
use platform::outbox;

impl Service {
    /// Sees to it that somebody is in a group. Being in it brings all that the group holds, and all that the groups it
    /// is inside of hold: the caller must hold that himself.
    pub(crate) async fn add_member(&self, caller: &Caller, group: GroupId, who: Holder) -> Result<(), Error> {
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            lock(tx, who).await?;
            let policy = policy::read(tx).await?;
            fits(&policy, group, who)?;
            grant::check_group(tx, caller, &policy, group, now).await?;
            let member = Member { group, member: who, added_at: now };
            if store::members::insert(tx, member).await? {
                let fact = GroupMemberAdded { group, member: who.subject() };
                outbox::publish(tx, now, caller, &fact).await?;
                record::member(tx, now, caller, "permissions.group.member_added", None, Some(&member))
                    .await?;
            }
            Ok(())
        };
        self.memory.changing_holder(who, self.db.transaction(work)).await
    }

    /// Sees to it that somebody is not in a group, unless nobody would be left who is administrator. Whoever takes others
    /// out must hold what being in the group brings.
    pub(crate) async fn remove_member(
        &self,
        caller: &Caller,
        group: GroupId,
        who: Holder,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            lock(tx, who).await?;
            let before = guard::before(tx).await?;
            store::groups::find(tx, group).await?.ok_or(Error::GroupNotFound)?;
            if !grant::is_caller(caller, who) {
                let policy = policy::read(tx).await?;
                grant::check_group(tx, caller, &policy, group, now).await?;
            }
            if let Some(member) = store::members::delete(tx, group, who).await? {
                tell_removed(tx, now, caller, &member).await?;
            }
            guard::after(tx, before).await
        };
        self.memory.changing_holder(who, self.db.transaction(work)).await
    }
}

/// Who is in a group can't change while somebody counts administrators or looks at what the group holds. A group in a
/// group is part of the policy, so that is a new revision of it.
async fn lock(tx: &mut DbConn, who: Holder) -> db::Result<i64> {
    match who {
        Holder::User(_) => store::graph::lock(tx).await,
        Holder::Group(_) => store::graph::advance(tx).await,
    }
}

fn fits(policy: &Policy, group: GroupId, who: Holder) -> Result<(), Error> {
    if !policy.groups.contains(group) {
        return Err(Error::GroupNotFound);
    }
    let Holder::Group(inner) = who else { return Ok(()) };
    if !policy.groups.contains(inner) {
        return Err(Error::GroupNotFound);
    }
    policy.groups.check(group, inner).map_err(Error::Nesting)
}

/// Tells that somebody is no longer in a group.
pub(super) async fn tell_removed(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    member: &Member,
) -> db::Result<()> {
    let fact = GroupMemberRemoved { group: member.group, member: member.member.subject() };
    outbox::publish(tx, now, caller, &fact).await?;
    record::member(tx, now, caller, "permissions.group.member_removed", Some(member), None).await
}
