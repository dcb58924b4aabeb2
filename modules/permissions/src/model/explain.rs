//! Why it was decided so: the shortest way from the subject to the permission, or the smallest change that would
//! make one.
//!
//! A way has steps: being in a group, a group being in a group, an assignment, a role inheriting a role, and a role
//! listing a permission that matches. Each is one edge of the graph, so taking any one away breaks this way (another
//! may be left). Changes are not carried out here, and whether the one who reads may make them is not looked at.

use crate::model::decision::concerns;
use crate::model::{ADMIN, Held, Holder, Holding, Own, Permission, Policy, Question, Resource, RoleName};
use contracts::{AssignmentId, GroupId, Time};
use std::collections::HashMap;

/// One edge of a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Somebody is in a group.
    MemberOf {
        /// Who.
        member: Holder,
        /// In which.
        group: GroupId,
    },
    /// Every user holds a role.
    Everybody {
        /// Which.
        role: RoleName,
    },
    /// Somebody was given a role.
    Assigned {
        /// Who.
        holder: Holder,
        /// What, and by which assignment.
        held: Held,
    },
    /// A role inherits another.
    Inherits {
        /// The role.
        role: RoleName,
        /// What it inherits.
        inherited: RoleName,
    },
    /// A role lists a permission that matches.
    Grants {
        /// The role.
        role: RoleName,
        /// The permission.
        permission: Permission,
    },
}

/// One change that would turn a refusal into a yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// An assignment that has ended is made to last longer.
    ExtendAssignment {
        /// Which.
        id: AssignmentId,
        /// Whose.
        holder: Holder,
        /// Of which role.
        role: RoleName,
    },
    /// The subject is given a role.
    AssignRole {
        /// Which.
        role: RoleName,
        /// On this only; everywhere when absent.
        resource: Option<Resource>,
    },
    /// The subject is put into a group.
    AddToGroup {
        /// Which.
        group: GroupId,
    },
    /// A role that the subject holds is given a permission.
    AddPermission {
        /// The role.
        role: RoleName,
        /// The permission.
        permission: Permission,
    },
}

/// The shortest way to a yes; none when it is refused. Of ways of one length, the one through what comes first.
pub(crate) fn proof(
    policy: &Policy,
    subject: Holder,
    own: &Own,
    question: Question<'_>,
    now: Time,
) -> Option<Vec<Step>> {
    let mut best: Option<Vec<Step>> = None;
    let mut offer = |way: Vec<Step>| {
        if best.as_ref().is_none_or(|best| way.len() < best.len()) {
            best = Some(way);
        }
    };
    if let Some(role) = policy.implicit(own)
        && let Some(rest) = down(policy, role, question)
    {
        offer([vec![Step::Everybody { role: role.clone() }], rest].concat());
    }
    let counts = |holding: &Holding<'_>| holding.held.lasts_beyond(now) && concerns(holding.held, question);
    let mut known = HashMap::new();
    for Holding { held, group } in policy.holdings(own).filter(counts) {
        let rest = known.entry(&held.role).or_insert_with(|| down(policy, &held.role, question));
        let (Some(rest), Some(mut way)) = (rest, up(policy, subject, own, group)) else { continue };
        let holder = group.map_or(subject, Holder::Group);
        way.push(Step::Assigned { holder, held: held.clone() });
        way.extend(rest.iter().cloned());
        offer(way);
    }
    best
}

/// The shortest way from a subject into a group; nothing to do when it is none, or the subject is that group.
fn up(policy: &Policy, subject: Holder, own: &Own, group: Option<GroupId>) -> Option<Vec<Step>> {
    let Some(goal) = group.filter(|goal| subject != Holder::Group(*goal)) else { return Some(vec![]) };
    let mut from: HashMap<GroupId, Holder> = HashMap::new();
    let mut queue: Vec<GroupId> = vec![];
    for id in own.groups.iter().copied().filter(|id| policy.groups.contains(*id)) {
        let itself = subject == Holder::Group(id);
        if itself || from.insert(id, subject).is_none() {
            queue.push(id);
        }
    }
    let mut next = 0;
    while let Some(id) = queue.get(next).copied() {
        next += 1;
        for parent in policy.groups.parents(id) {
            if !from.contains_key(parent) && subject != Holder::Group(*parent) {
                from.insert(*parent, Holder::Group(id));
                queue.push(*parent);
            }
        }
    }
    let mut way = vec![];
    let mut at = goal;
    while let Some(member) = from.get(&at).copied() {
        way.push(Step::MemberOf { member, group: at });
        match member.group().filter(|_| member != subject) {
            Some(id) => at = id,
            None => {
                way.reverse();
                return Some(way);
            }
        }
    }
    None
}

/// The shortest way from a role down to a permission that matches.
fn down(policy: &Policy, role: &RoleName, question: Question<'_>) -> Option<Vec<Step>> {
    let mut from: HashMap<&RoleName, &RoleName> = HashMap::new();
    for name in policy.roles.reach(role.as_str()) {
        let listed = policy.roles.get(name.as_str())?;
        if let Some(permission) = listed.permissions.iter().find(|one| one.answers(question)) {
            let mut way = vec![Step::Grants { role: name.clone(), permission: permission.clone() }];
            let mut at = name;
            while let Some(heir) = from.get(at).copied() {
                way.push(Step::Inherits { role: heir.clone(), inherited: at.clone() });
                at = heir;
            }
            way.reverse();
            return Some(way);
        }
        for inherited in listed.inherits.iter().filter(|inherited| *inherited != role) {
            from.entry(inherited).or_insert(name);
        }
    }
    None
}

/// The single changes that would allow it, the one that gives least first; at most one of each kind. What can't be
/// allowed to this subject at all has none.
pub(crate) fn changes(
    policy: &Policy,
    subject: Holder,
    own: &Own,
    question: Question<'_>,
    now: Time,
) -> Vec<Change> {
    if subject.group().is_some_and(|id| !policy.groups.contains(id)) {
        return vec![];
    }
    let extend =
        || policy.holdings(own).find_map(|holding| extended(policy, subject, holding, question, now));
    let kinds = [
        extend(),
        assigned(policy, question, false),
        joined(policy, subject, question, now),
        permitted(policy, own, question, now),
        assigned(policy, question, true),
    ];
    let mut found: Vec<Change> = kinds.into_iter().flatten().collect();
    let others =
        |change: &Change| !matches!(change, Change::AssignRole { role, .. } if role.as_str() == ADMIN);
    if found.iter().any(others) {
        found.retain(others);
    }
    found
}

fn grants(policy: &Policy, role: &RoleName, question: Question<'_>) -> bool {
    policy.roles.rights(role.as_str()).is_some_and(|rights| rights.find(question).is_some())
}

fn extended(
    policy: &Policy,
    subject: Holder,
    holding: Holding<'_>,
    question: Question<'_>,
    now: Time,
) -> Option<Change> {
    let held = holding.held;
    let would = !held.lasts_beyond(now) && concerns(held, question) && grants(policy, &held.role, question);
    let holder = holding.group.map_or(subject, Holder::Group);
    would.then(|| Change::ExtendAssignment { id: held.id, holder, role: held.role.clone() })
}

/// The role with the fewest permissions that grants it; `admin` only when it is asked for.
fn assigned(policy: &Policy, question: Question<'_>, admin: bool) -> Option<Change> {
    let fits = |role: &&&RoleName| {
        (role.as_str() == ADMIN || !role.is_builtin())
            && (role.as_str() == ADMIN) == admin
            && grants(policy, role, question)
    };
    let names = policy.roles.names();
    let role = names.iter().filter(fits).min_by_key(|role| policy.roles.effective(role.as_str()).count())?;
    Some(Change::AssignRole { role: (*role).clone(), resource: Resource::of(question) })
}

/// The group with the fewest assignments that is allowed to.
fn joined(policy: &Policy, subject: Holder, question: Question<'_>, now: Time) -> Option<Change> {
    let may_enter = |id: GroupId| subject.group().is_none_or(|inner| policy.groups.check(id, inner).is_ok());
    let allowed = |id: &GroupId| {
        let counts = |held: &&Held| {
            held.lasts_beyond(now) && concerns(held, question) && grants(policy, &held.role, question)
        };
        policy.brought_by(*id).iter().any(counts) && may_enter(*id)
    };
    let group =
        policy.groups.ids().into_iter().filter(allowed).min_by_key(|id| policy.brought_by(*id).len())?;
    Some(Change::AddToGroup { group })
}

/// The first role that is held there and may be changed.
fn permitted(policy: &Policy, own: &Own, question: Question<'_>, now: Time) -> Option<Change> {
    let permission = Permission::exactly(question)?;
    let fits = |held: &&Held| {
        held.lasts_beyond(now)
            && concerns(held, question)
            && !held.role.is_builtin()
            && policy.roles.get(held.role.as_str()).is_some()
    };
    let held = policy.holdings(own).map(|holding| holding.held).find(fits)?;
    Some(Change::AddPermission { role: held.role.clone(), permission })
}
