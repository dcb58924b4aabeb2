//! The questions the other way round: which roles and groups lead there, what somebody reaches, what he may do there.
//!
//! What can't be listed is said instead: that somebody may do it with all things of a type, or do everything. Which
//! users hold a role is asked of the database.

use crate::model::decision::concerns;
use crate::model::permission::{Target, Verb};
use crate::model::{Own, Permission, Policy, Question, RoleName};
use contracts::{GroupId, Time};
use std::collections::BTreeSet;

/// The things of one type that somebody may do something with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    /// The ids that are known, because roles were given on them.
    pub(crate) ids: BTreeSet<String>,
    /// Whether it is allowed with every thing of the type.
    pub(crate) whole_type: bool,
    /// Whether it is allowed with what belongs to the subject, whatever that is.
    pub(crate) own: bool,
}

/// What somebody may do with one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Actions {
    /// The actions that are known, because a role names them.
    pub(crate) names: BTreeSet<String>,
    /// Whether every action is allowed, those included that no role names.
    pub(crate) every: bool,
}

/// Whose words are told where every action is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// Those of the roles that the subject holds.
    Held,
    /// Those of all roles: for whoever may ask about others.
    All,
}

/// The roles that allow it wherever they are held, in order.
pub(crate) fn granting_roles(policy: &Policy, question: Question<'_>) -> Vec<RoleName> {
    let grants = |role: &&&RoleName| {
        policy.roles.rights(role.as_str()).is_some_and(|rights| rights.find(question).is_some())
    };
    policy.roles.names().iter().filter(grants).map(|role| (*role).clone()).collect()
}

/// The groups whose members may do it because they are in there, in order.
pub(crate) fn granting_groups(policy: &Policy, question: Question<'_>, now: Time) -> Vec<GroupId> {
    let roles: BTreeSet<RoleName> = granting_roles(policy, question).into_iter().collect();
    let holds = |id: &GroupId| {
        policy
            .groups
            .held(*id)
            .iter()
            .any(|held| held.lasts_beyond(now) && concerns(held, question) && roles.contains(&held.role))
    };
    let holders: Vec<GroupId> = policy.groups.ids().into_iter().filter(holds).collect();
    let mut found = policy.groups.below(&holders);
    found.sort_unstable();
    found
}

/// What somebody may do this with; the question's own id is not looked at. `itself` is the id of the thing that he is,
/// when the type is that of users.
pub(crate) fn resources(
    policy: &Policy,
    own: &Own,
    question: Question<'_>,
    itself: Option<String>,
    now: Time,
) -> Resources {
    let theirs = Question { own: false, ..question };
    let mine = Question { own: true, ..question };
    let grants = |role: &str, question| {
        policy.roles.rights(role).is_some_and(|rights| rights.find(question).is_some())
    };
    let mut found = Resources::default();
    if let Some(member) = policy.implicit(own) {
        found.own = grants(member.as_str(), mine);
        found.whole_type = grants(member.as_str(), theirs);
    }
    for held in policy.holdings(own).map(|holding| holding.held).filter(|held| held.lasts_beyond(now)) {
        match &held.resource {
            None => {
                found.whole_type |= grants(held.role.as_str(), theirs);
                found.own |= own.user && grants(held.role.as_str(), mine);
            }
            Some(only) if only.kind == question.resource_type && grants(held.role.as_str(), theirs) => {
                found.ids.insert(only.id.clone());
            }
            Some(_) => {}
        }
    }
    found.ids.extend(itself.filter(|_| found.own));
    found
}

/// What somebody may do with this thing; the question's own action is not looked at. Where every action is allowed, `words`
/// says which of them have a name.
pub(crate) fn actions(
    policy: &Policy,
    own: &Own,
    question: Question<'_>,
    words: Words,
    now: Time,
) -> Actions {
    let speaks = |permission: &&Permission| match &permission.target {
        Target::Any => true,
        Target::Own => question.own,
        Target::Type(word) => word.as_ref() == question.resource_type,
    };
    let counts = policy.holdings(own).map(|holding| holding.held);
    let counts = counts.filter(|held| held.lasts_beyond(now) && concerns(held, question));
    let roles = policy.implicit(own).into_iter().chain(counts.map(|held| &held.role));
    let mut found = Actions::default();
    for permission in roles.flat_map(|role| policy.roles.effective(role.as_str())).map(|one| one.permission) {
        match &permission.verb {
            _ if !speaks(&permission) => {}
            Verb::Any => found.every = true,
            Verb::Named(word) => drop(found.names.insert(word.to_string())),
        }
    }
    if found.every && words == Words::All {
        let all = policy.roles.names().into_iter().filter_map(|role| policy.roles.get(role.as_str()));
        let named = |permission: &Permission| match &permission.verb {
            Verb::Named(word) if speaks(&permission) => Some(word.to_string()),
            _ => None,
        };
        found.names.extend(all.flat_map(|role| role.permissions.iter().filter_map(named)));
    }
    found
}
