//! The rule: may this subject do this action on this resource, now?
//!
//! Allowed means that the subject holds, at this moment and for this resource, a role with a permission that
//! matches. There is no "deny" to write down: whatever is not allowed is refused. Words are compared whole, never by
//! prefix, and type and id never meet in one string.

use crate::model::permission::{Target, Verb};
use crate::model::{Held, MEMBER, Permission, RoleGraph, RoleName};
use contracts::{Time, UserId};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The type of resource that a user is.
const USER: &str = "user";

/// What is asked about a subject that is already known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question<'a> {
    /// What the subject wants to do.
    pub(crate) action: &'a str,
    /// The type of the thing.
    pub(crate) resource_type: &'a str,
    /// The thing; the whole type when absent.
    pub(crate) resource_id: Option<&'a str>,
    /// Whether the thing belongs to the subject.
    pub(crate) own: bool,
}

impl<'a> Question<'a> {
    /// The question, with ownership worked out: the thing is the subject itself, or the asking side says that the
    /// subject owns it.
    pub(crate) fn new(
        subject: UserId,
        action: &'a str,
        resource_type: &'a str,
        resource_id: Option<&'a str>,
        owner: Option<&str>,
    ) -> Self {
        let subject = subject.to_string();
        let itself = resource_type == USER && resource_id == Some(subject.as_str());
        let own = itself || owner == Some(subject.as_str());
        Self { action, resource_type, resource_id, own }
    }
}

/// What came out, with the reason for a yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Yes, because of this.
    Allowed(Reason),
    /// No.
    Refused,
}

/// The role that the subject holds and the permission, found in it or in what it inherits, that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    /// The role that is held.
    pub(crate) role: RoleName,
    /// The permission that matched.
    pub(crate) permission: Permission,
}

/// Decides. Every user holds `member` without being assigned it.
pub(crate) fn decide(graph: &RoleGraph, held: &[Held], question: Question<'_>, now: Time) -> Decision {
    let by_role = |name: &str| {
        let permission = graph.rights(name)?.find(question)?;
        let role = graph.get(name)?.name.clone();
        Some(Reason { role, permission })
    };
    let assigned = || {
        let counts = |held: &&Held| held.lasts_beyond(now) && concerns(held, question);
        held.iter().filter(counts).find_map(|held| by_role(held.role.as_str()))
    };
    by_role(MEMBER).or_else(assigned).map_or(Decision::Refused, Decision::Allowed)
}

/// Whether the assignment speaks about the thing that is asked about.
fn concerns(held: &Held, question: Question<'_>) -> bool {
    held.resource.as_ref().is_none_or(|only| {
        only.kind == question.resource_type && Some(only.id.as_str()) == question.resource_id
    })
}

/// Those of the wanted permissions that a user can't pass on: he must hold each everywhere, not on one resource
/// only, and at least as long as what he gives lasts (`until`; for ever when absent).
pub(crate) fn missing(
    graph: &RoleGraph,
    held: &[Held],
    wanted: &BTreeSet<Permission>,
    until: Option<Time>,
    now: Time,
) -> Vec<Permission> {
    let long_enough = |held: &Held| match (held.expires_at, until) {
        (None, _) => true,
        (Some(end), Some(until)) => until <= end,
        (Some(_), None) => false,
    };
    let counts = |held: &&Held| held.resource.is_none() && held.lasts_beyond(now) && long_enough(held);
    let roles = held.iter().filter(counts).map(|held| held.role.as_str()).chain([MEMBER]);
    let mine: HashSet<&Permission> =
        roles.flat_map(|role| graph.effective(role)).map(|found| found.permission).collect();
    wanted.iter().filter(|one| !mine.iter().any(|have| have.covers(one))).cloned().collect()
}

/// A set of permissions, laid out so that a question costs a few look-ups whatever their number.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    any: Actions,
    own: Actions,
    by_type: HashMap<Arc<str>, Actions>,
}

/// The actions allowed on one kind of target.
#[derive(Debug, Default)]
struct Actions {
    all: bool,
    named: HashSet<Arc<str>>,
}

impl Rights {
    /// Lays out these permissions.
    pub(crate) fn of<'p>(permissions: impl Iterator<Item = &'p Permission>) -> Self {
        let mut rights = Self::default();
        for permission in permissions {
            let actions = match &permission.target {
                Target::Any => &mut rights.any,
                Target::Own => &mut rights.own,
                Target::Type(word) => rights.by_type.entry(word.clone()).or_default(),
            };
            match &permission.verb {
                Verb::Any => actions.all = true,
                Verb::Named(word) => drop(actions.named.insert(word.clone())),
            }
        }
        rights
    }

    /// A permission that answers the question with yes.
    pub(crate) fn find(&self, question: Question<'_>) -> Option<Permission> {
        let by_type = || {
            let (word, actions) = self.by_type.get_key_value(question.resource_type)?;
            let verb = actions.find(question.action)?;
            Some(Permission { target: Target::Type(word.clone()), verb })
        };
        let any = || Some(Permission { target: Target::Any, verb: self.any.find(question.action)? });
        let own = || Some(Permission { target: Target::Own, verb: self.own.find(question.action)? });
        by_type().or_else(any).or_else(|| question.own.then(own).flatten())
    }
}

impl Actions {
    fn find(&self, action: &str) -> Option<Verb> {
        let named = self.named.get(action).map(|word| Verb::Named(word.clone()));
        named.or_else(|| self.all.then_some(Verb::Any))
    }
}
