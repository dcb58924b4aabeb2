//! What a user holds: roles, and the permissions that follow from them.

use crate::error::Error;
use crate::model::{Assignment, Held, MEMBER, Permission, Resource, RoleGraph, RoleName};
use crate::service::Service;
use crate::store;
use contracts::{Caller, Time, UserId};
use std::collections::BTreeMap;

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
    /// When that ends; never when absent.
    pub(crate) expires_at: Option<Time>,
}

impl Service {
    /// The assignments of a user that count now, for himself or for somebody who may read assignments.
    pub(crate) async fn list_roles_of(
        &self,
        caller: &Caller,
        user: UserId,
    ) -> Result<Vec<Assignment>, Error> {
        if caller.user() != Some(user) {
            self.require(caller, "role-assignments", "read").await?;
        }
        let now = self.clock.now();
        let mut c = self.db.read().await?;
        let all = store::assignments::of_subject(&mut c, user).await?;
        Ok(all.into_iter().filter(|assignment| assignment.lasts_beyond(now)).collect())
    }

    /// The permissions that a user holds now, everywhere first, with their sources.
    pub(crate) async fn list_permissions_of(&self, user: UserId) -> Result<Vec<Holding>, Error> {
        let graph = self.roles.graph(&self.db).await?;
        let held = self.held.of(&self.db, user).await?;
        Ok(holdings(&graph, &held, self.clock.now()))
    }
}

fn holdings(graph: &RoleGraph, held: &[Held], now: Time) -> Vec<Holding> {
    let member = graph.get(MEMBER).map(|role| Held::everywhere(role.name.clone()));
    let mut found: BTreeMap<(Option<&Resource>, &Permission), Vec<Source>> = BTreeMap::new();
    for held in member.iter().chain(held).filter(|held| held.lasts_beyond(now)) {
        for one in graph.effective(held.role.as_str()) {
            let source =
                Source { role: held.role.clone(), listed_by: one.from.clone(), expires_at: held.expires_at };
            found.entry((held.resource.as_ref(), one.permission)).or_default().push(source);
        }
    }
    let holding = |((resource, permission), sources): ((Option<&Resource>, &Permission), Vec<Source>)| {
        Holding { permission: permission.clone(), resource: resource.cloned(), sources }
    };
    found.into_iter().map(holding).collect()
}
