//! What a user holds: roles, and the permissions that follow from them.

use crate::error::Error;
use crate::model::{self, Holder, Own, Permission, Policy, Resource, RoleName};
use crate::service::{Service, memory};
use contracts::{AssignmentId, Caller, GroupId, Time, UserId};
use std::collections::BTreeMap;

/// A group by its id and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Through {
    /// Its id.
    pub(crate) id: GroupId,
    /// Its name.
    pub(crate) name: RoleName,
}

/// A permission that somebody holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    /// The permission.
    pub(crate) permission: Permission,
    /// The one thing it is good for; everything when absent.
    pub(crate) resource: Option<Resource>,
    /// Where it comes from: one or more.
    pub(crate) sources: Vec<Source>,
}

/// Why somebody holds a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The role that he holds.
    pub(crate) role: RoleName,
    /// The role that lists the permission: the same, or one that it inherits.
    pub(crate) listed_by: RoleName,
    /// The group that the role was given to; none when it was given to himself, or to everybody.
    pub(crate) group: Option<Through>,
    /// When that ends; never when absent.
    pub(crate) expires_at: Option<Time>,
}

/// A role that somebody holds now, by an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldRole {
    /// The assignment.
    pub(crate) id: AssignmentId,
    /// The role.
    pub(crate) role: RoleName,
    /// The one thing it is about; everything when absent.
    pub(crate) resource: Option<Resource>,
    /// The group that it was given to; none when it was given to himself.
    pub(crate) group: Option<Through>,
    /// When it stops counting; never when absent.
    pub(crate) expires_at: Option<Time>,
}

impl Service {
    /// The roles that a user holds now, his own first, for himself or for somebody who may read assignments.
    pub(crate) async fn list_roles_of(&self, caller: &Caller, user: UserId) -> Result<Vec<HeldRole>, Error> {
        self.may_look_at(caller, user).await?;
        let now = self.clock.now();
        let own = memory::own(&mut *self.db.read().await?, Holder::User(user)).await?;
        let policy = self.memory.policy(&self.db).await?;
        let held = |holding: model::Holding<'_>| HeldRole {
            id: holding.held.id,
            role: holding.held.role.clone(),
            resource: holding.held.resource.clone(),
            group: through(&policy, holding.group),
            expires_at: holding.held.expires_at,
        };
        Ok(policy.holdings(&own).filter(|holding| holding.held.lasts_beyond(now)).map(held).collect())
    }

    /// The permissions that a user holds now, everywhere first, with their sources; for himself or for somebody who
    /// may read assignments.
    pub(crate) async fn list_permissions_of(
        &self,
        caller: &Caller,
        user: UserId,
    ) -> Result<Vec<Holding>, Error> {
        self.may_look_at(caller, user).await?;
        let policy = self.memory.policy(&self.db).await?;
        let own = self.memory.own(&self.db, user).await?;
        Ok(holdings(&policy, &own, self.clock.now()))
    }

    async fn may_look_at(&self, caller: &Caller, user: UserId) -> Result<(), Error> {
        if caller.user() == Some(user) {
            return Ok(());
        }
        self.require(caller, "role-assignments", "read").await
    }
}

fn through(policy: &Policy, group: Option<GroupId>) -> Option<Through> {
    let id = group?;
    Some(Through { id, name: policy.groups.name(id)?.clone() })
}

type ByPermission<'p> = BTreeMap<(Option<&'p Resource>, &'p Permission), Vec<Source>>;

fn holdings(policy: &Policy, own: &Own, now: Time) -> Vec<Holding> {
    let mut found = ByPermission::new();
    if let Some(member) = policy.implicit(own) {
        for one in policy.roles.effective(member.as_str()) {
            let (role, listed_by) = (member.clone(), one.from.clone());
            let source = Source { role, listed_by, group: None, expires_at: None };
            found.entry((None, one.permission)).or_default().push(source);
        }
    }
    for model::Holding { held, group } in
        policy.holdings(own).filter(|holding| holding.held.lasts_beyond(now))
    {
        for one in policy.roles.effective(held.role.as_str()) {
            let source = Source {
                role: held.role.clone(),
                listed_by: one.from.clone(),
                group: through(policy, group),
                expires_at: held.expires_at,
            };
            found.entry((held.resource.as_ref(), one.permission)).or_default().push(source);
        }
    }
    let holding = |((resource, permission), sources): ((Option<&Resource>, &Permission), Vec<Source>)| {
        Holding { permission: permission.clone(), resource: resource.cloned(), sources }
    };
    found.into_iter().map(holding).collect()
}
