//! The rule: may this subject do this action on this resource, now?
//!
//! Allowed means that the subject holds, at this moment and for this resource, a role with a permission that
//! matches. There is no "deny" to write down: whatever is not allowed is refused. Words are compared whole, never by
//! prefix, and type and id never meet in one string.

use crate::model::permission::{Target, Verb};
use crate::model::{Held, Holder, MEMBER, Permission, RoleGraph, RoleName};
use contracts::Time;
use std::collections::{BTreeSet, HashSet};
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
        subject: Holder,
        action: &'a str,
        resource_type: &'a str,
        resource_id: Option<&'a str>,
        owner: Option<&str>,
    ) -> Self {
        let is_subject = |text: &str| {
            let mut buffer = [0; 36];
            subject.user().is_some_and(|id| *id.uuid().hyphenated().encode_lower(&mut buffer) == *text)
        };
        let itself = resource_type == USER && resource_id.is_some_and(is_subject);
        let own = itself || owner.is_some_and(is_subject);
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

/// Whether an assignment speaks about the thing that is asked about.
pub(crate) fn concerns(held: &Held, question: Question<'_>) -> bool {
    held.resource.as_ref().is_none_or(|only| {
        only.kind == question.resource_type && Some(only.id.as_str()) == question.resource_id
    })
}

/// Those of the wanted permissions that a user can't pass on: he must hold each everywhere, not on one resource
/// only, and at least as long as what he gives lasts (`until`; for ever when absent).
pub(crate) fn missing<'h>(
    graph: &RoleGraph,
    held: impl IntoIterator<Item = &'h Held>,
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
    let roles = held.into_iter().filter(counts).map(|held| held.role.as_str()).chain([MEMBER]);
    let mine: HashSet<&Permission> =
        roles.flat_map(|role| graph.effective(role)).map(|found| found.permission).collect();
    wanted.iter().filter(|one| !mine.iter().any(|have| have.covers(one))).cloned().collect()
}

/// A set of permissions, each with the role that brings it, laid out so that a question costs a few comparisons of
/// words whatever their number.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    any: Actions,
    own: Actions,
    by_type: Vec<(Arc<str>, Actions)>,
}

/// The actions allowed on one kind of target, in order.
#[derive(Debug, Default)]
struct Actions {
    all: Option<RoleName>,
    named: Vec<(Arc<str>, RoleName)>,
}

impl Rights {
    /// Adds what a role allows. What was added first is what is given as the reason.
    pub(crate) fn add<'p>(&mut self, role: &RoleName, permissions: impl Iterator<Item = &'p Permission>) {
        for permission in permissions {
            let actions = match &permission.target {
                Target::Any => Some(&mut self.any),
                Target::Own => Some(&mut self.own),
                Target::Type(word) => of_type(&mut self.by_type, word),
            };
            if let Some(actions) = actions {
                actions.add(&permission.verb, role);
            }
        }
    }

    /// Why the question is answered with yes.
    pub(crate) fn find(&self, question: Question<'_>) -> Option<Reason> {
        let by_type = || {
            let (word, actions) = found(&self.by_type, question.resource_type)?;
            Some((Target::Type(word.clone()), actions.find(question.action)?))
        };
        let any = || Some((Target::Any, self.any.find(question.action)?));
        let own = || Some((Target::Own, self.own.find(question.action)?));
        let (target, (verb, role)) = by_type().or_else(any).or_else(|| question.own.then(own).flatten())?;
        Some(Reason { role: role.clone(), permission: Permission { target, verb } })
    }
}

fn of_type<'r>(all: &'r mut Vec<(Arc<str>, Actions)>, word: &Arc<str>) -> Option<&'r mut Actions> {
    let place = match all.binary_search_by(|(other, _)| other.as_ref().cmp(word)) {
        Ok(place) => place,
        Err(place) => {
            all.insert(place, (word.clone(), Actions::default()));
            place
        }
    };
    all.get_mut(place).map(|(_, actions)| actions)
}

/// The entry of a word in an ordered list.
fn found<'r, V>(all: &'r [(Arc<str>, V)], word: &str) -> Option<(&'r Arc<str>, &'r V)> {
    let place = all.binary_search_by(|(other, _)| other.as_ref().cmp(word)).ok()?;
    all.get(place).map(|(word, value)| (word, value))
}

impl Actions {
    fn add(&mut self, verb: &Verb, role: &RoleName) {
        match verb {
            Verb::Any => self.all = self.all.take().or_else(|| Some(role.clone())),
            Verb::Named(word) => {
                if let Err(place) = self.named.binary_search_by(|(other, _)| other.as_ref().cmp(word)) {
                    self.named.insert(place, (word.clone(), role.clone()));
                }
            }
        }
    }

    fn find(&self, action: &str) -> Option<(Verb, &RoleName)> {
        let named = found(&self.named, action).map(|(word, role)| (Verb::Named(word.clone()), role));
        named.or_else(|| self.all.as_ref().map(|role| (Verb::Any, role)))
    }
}
