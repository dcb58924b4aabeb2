//! Random worlds as plain texts, and the rule told naively on them: it walks everything anew for every question and
//! shares no code with the product.

use super::*;
use proptest::prelude::*;

/// Words that start alike, and one that differs from its neighbour only behind a sign.
pub(super) const TYPES: [&str; 4] = ["sales", "sales-eu", "sales_eu", "user"];
pub(super) const ACTIONS: [&str; 3] = ["read", "rea", "read-all"];
pub(super) const IDS: [&str; 4] = ["1", "11", "1:1", ""];
const ROLES: [&str; 8] = ["a", "a.b", "a-b", "aa", "b", "c", "d", "e"];
const GROUPS: usize = 5;

/// A role: name, permissions, inherited names.
pub(super) type PlainRole = (String, Vec<String>, Vec<String>);

/// A role given: to a group or to the user himself, the role, the thing it is about, the second it ends at.
pub(super) type PlainGiven = (Option<usize>, String, Option<(String, String)>, Option<u64>);

/// Everything about one user.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    pub(super) roles: Vec<PlainRole>,
    /// Outer and inner, circles included.
    pub(super) nested: Vec<(usize, usize)>,
    /// The groups that the user is directly in.
    pub(super) inside: Vec<usize>,
    pub(super) given: Vec<PlainGiven>,
}

fn permission() -> impl Strategy<Value = String> {
    let target = prop_oneof![4 => prop::sample::select(&TYPES[..]), 1 => Just("*"), 1 => Just("own")];
    let verb = prop_oneof![4 => prop::sample::select(&ACTIONS[..]), 1 => Just("*")];
    (target, verb).prop_map(|(target, verb)| format!("{target}:{verb}"))
}

/// Any graph at all: circles and names of roles that don't exist included.
pub(super) fn roles() -> impl Strategy<Value = Vec<PlainRole>> {
    let one = (
        prop::collection::vec(permission(), 0..3),
        prop::collection::vec(prop::sample::select(&ROLES[..]), 0..3),
    );
    prop::collection::vec(one, 0..=ROLES.len()).prop_map(|all| {
        let named = ROLES.iter().zip(all);
        let text = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        named
            .map(|(name, (permissions, inherits))| ((*name).to_owned(), permissions, text(inherits)))
            .collect()
    })
}

pub(super) fn worlds() -> impl Strategy<Value = Plain> {
    let thing = (prop::sample::select(&TYPES[..]), prop::sample::select(&IDS[..]));
    let thing = thing.prop_map(|(kind, id)| (kind.to_owned(), id.to_owned()));
    let role = prop::sample::select(&ROLES[..]).prop_map(str::to_owned);
    let holder = prop::option::of(0..GROUPS);
    let given = (holder, role, prop::option::of(thing), prop::option::of(0..4_u64));
    let nested = prop::collection::vec((0..GROUPS, 0..GROUPS), 0..6);
    let inside = prop::collection::vec(0..GROUPS, 0..3);
    (roles(), nested, inside, prop::collection::vec(given, 0..6)).prop_map(
        |(mut roles, nested, inside, mut given)| {
            roles.push(("admin".to_owned(), vec!["*:*".to_owned()], vec![]));
            // One of a kind, as in the database.
            let mut seen = std::collections::HashSet::new();
            given.retain(|(holder, role, thing, _)| seen.insert((*holder, role.clone(), thing.clone())));
            Plain { roles, nested, inside, given }
        },
    )
}

fn reads(roles: &[PlainRole], role: &str, seen: &mut Vec<String>) -> Vec<String> {
    if seen.iter().any(|known| known == role) {
        return vec![];
    }
    seen.push(role.to_owned());
    let Some((_, permissions, inherits)) = roles.iter().find(|(name, ..)| name == role) else {
        return vec![];
    };
    let mut all = permissions.clone();
    for name in inherits {
        all.extend(reads(roles, name, seen));
    }
    all
}

impl Plain {
    /// The groups around some groups, those included, by asking again until nothing new is found.
    pub(super) fn around(&self, start: &[usize]) -> Vec<usize> {
        let mut all = start.to_vec();
        loop {
            let more: Vec<usize> = self
                .nested
                .iter()
                .filter(|(outer, inner)| all.contains(inner) && !all.contains(outer))
                .map(|(outer, _)| *outer)
                .collect();
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    /// The rule.
    pub(super) fn allows(&self, question: Question<'_>, now: u64) -> bool {
        question.own || self.allows_those(&self.around(&self.inside), true, question, now)
    }

    /// The rule for a group.
    pub(super) fn allows_group(&self, group: usize, question: Question<'_>, now: u64) -> bool {
        self.allows_those(&self.around(&[group]), false, question, now)
    }

    fn allows_those(&self, groups: &[usize], user: bool, question: Question<'_>, now: u64) -> bool {
        for (holder, role, thing, end) in &self.given {
            if !holder.map_or(user, |group| groups.contains(&group)) || end.is_some_and(|end| end <= now) {
                continue;
            }
            let here = |(kind, id): &(String, String)| {
                kind == question.resource_type && question.resource_id == Some(id)
            };
            if !thing.as_ref().is_none_or(here) {
                continue;
            }
            for permission in reads(&self.roles, role, &mut vec![]) {
                let (target, verb) = permission.split_once(':').unwrap();
                let target_fits = target == "*" || (target != "own" && target == question.resource_type);
                if target_fits && (verb == "*" || verb == question.action) {
                    return true;
                }
            }
        }
        false
    }
}

/// A world as the product sees it, with the ids that stand for its groups and assignments.
pub(super) struct Built {
    pub(super) policy: Policy,
    pub(super) own: Own,
    pub(super) groups: Vec<GroupId>,
    pub(super) given: Vec<AssignmentId>,
}

/// Ids that are the same for the same world.
pub(super) fn build(plain: &Plain, groups: &[GroupId], given: &[AssignmentId]) -> Built {
    let roles: Vec<Role> = plain
        .roles
        .iter()
        .filter(|(name, ..)| name != ADMIN)
        .map(|(name, permissions, inherits)| {
            let permissions: Vec<&str> = permissions.iter().map(String::as_str).collect();
            let inherits: Vec<&str> = inherits.iter().map(String::as_str).collect();
            role(name, &permissions, &inherits)
        })
        .collect();
    let held = |at: usize| {
        let (_, role, thing, end) = &plain.given[at];
        let resource = thing.clone().map(|(kind, id)| Resource { kind, id });
        Held { id: given[at], role: name(role), resource, expires_at: end.map(second) }
    };
    let of = |wanted: Option<usize>| {
        (0..plain.given.len()).filter(move |at| plain.given[*at].0 == wanted).map(held)
    };
    let mine = of(None).collect();
    let theirs = (0..GROUPS).flat_map(|group| of(Some(group)).map(move |held| (groups[group], held)));
    let named = groups.iter().enumerate().map(|(at, id)| (*id, name(&format!("g{at}")))).collect();
    let nested = plain.nested.iter().map(|(outer, inner)| (groups[*outer], groups[*inner])).collect();
    let graph = GroupGraph::new(named, nested, theirs.collect());
    let policy = Policy { revision: 1, roles: role_graph(&roles), groups: graph };
    let own = Own::user(mine, plain.inside.iter().map(|at| groups[*at]).collect());
    Built { policy, own, groups: groups.to_vec(), given: given.to_vec() }
}

pub(super) fn built(plain: &Plain) -> Built {
    let groups: Vec<GroupId> = (0..GROUPS).map(|_| GroupId::new()).collect();
    let given: Vec<AssignmentId> = plain.given.iter().map(|_| AssignmentId::new()).collect();
    build(plain, &groups, &given)
}

pub(super) fn second(seconds: u64) -> Time {
    NOW.plus(Duration::from_secs(seconds))
}

/// Every question about these words, and about types that are signs in permissions.
pub(super) fn questions() -> Vec<Question<'static>> {
    let mut all = vec![];
    for resource_type in TYPES.into_iter().chain(["own", "*"]) {
        for action in ACTIONS {
            for resource_id in IDS.into_iter().map(Some).chain([None]) {
                all.push(Question { action, resource_type, resource_id, own: false });
            }
        }
    }
    all
}
