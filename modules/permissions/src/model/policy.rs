//! Everything that decisions are made from and that belongs to no single user: the roles, the groups, and what the
//! groups hold. Together with what one user has of his own it says everything about him.

use crate::model::{GroupGraph, Held, MEMBER, RoleGraph, RoleName};
use contracts::GroupId;
use serde::{Deserialize, Serialize};

/// The roles and groups of one revision.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// Counts the changes of roles, groups and what groups hold.
    pub(crate) revision: i64,
    /// The roles.
    pub(crate) roles: RoleGraph,
    /// The groups.
    pub(crate) groups: GroupGraph,
}

/// What somebody has of his own: what he was given himself and the groups he is directly in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Own {
    /// Whether he is a user, and so holds `member`.
    pub(crate) user: bool,
    /// The roles he was given, ended ones included.
    pub(crate) held: Vec<Held>,
    /// The groups, those included that are gone.
    pub(crate) groups: Vec<GroupId>,
}

impl Own {
    /// A user with nothing but this.
    pub(crate) fn user(held: Vec<Held>, groups: Vec<GroupId>) -> Self {
        Self { user: true, held, groups }
    }

    /// A group, of which the policy knows all the rest.
    pub(crate) fn group(id: GroupId) -> Self {
        Self { user: false, held: vec![], groups: vec![id] }
    }
}

/// A role that is held, and through which group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holding<'p> {
    /// What is held.
    pub(crate) held: &'p Held,
    /// The group that it was given to; none when it was given to the subject itself.
    pub(crate) group: Option<GroupId>,
}

impl Policy {
    /// All that somebody holds, ended ones included and `member` not: his own first, then that of near groups.
    pub(crate) fn holdings<'p>(&'p self, own: &'p Own) -> impl Iterator<Item = Holding<'p>> {
        let mine = own.held.iter().map(|held| Holding { held, group: None });
        let through = self.groups.above(&own.groups).into_iter().flat_map(|group| {
            self.groups.held(group).iter().map(move |held| Holding { held, group: Some(group) })
        });
        mine.chain(through)
    }

    /// The role that every user holds, when this is a user.
    pub(crate) fn implicit(&self, own: &Own) -> Option<&RoleName> {
        self.roles.get(MEMBER).filter(|_| own.user).map(|role| &role.name)
    }

    /// What being in a group brings: what it holds, and what the groups it is inside of hold.
    pub(crate) fn brought_by(&self, group: GroupId) -> Vec<&Held> {
        self.groups.above(&[group]).into_iter().flat_map(|id| self.groups.held(id)).collect()
    }
}
