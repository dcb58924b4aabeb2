//! Explanations on random worlds: a way is a real one and the shortest, no step of it is idle, and every change that
//! is proposed would turn the refusal into a yes.

use super::worlds::*;
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

/// The user of a random world.
fn user() -> Holder {
    Holder::User(UserId::new())
}

/// The length of the shortest way, found by walking the plain texts breadth first over everything at once.
fn shortest(plain: &Plain, question: Question<'_>, now: u64) -> Option<usize> {
    #[derive(Clone, PartialEq)]
    enum At {
        User,
        Group(usize),
        Role(String),
    }
    let mut queue = VecDeque::from([(At::User, 0)]);
    let mut seen = vec![At::User];
    while let Some((at, length)) = queue.pop_front() {
        let mut next = vec![];
        match &at {
            At::User => next.extend(plain.inside.iter().map(|group| At::Group(*group))),
            At::Group(inner) => {
                let outer = plain.nested.iter().filter(|(_, other)| other == inner);
                next.extend(outer.map(|(outer, _)| At::Group(*outer)));
            }
            At::Role(name) => {
                let Some((_, permissions, inherits)) = plain.roles.iter().find(|(other, ..)| other == name)
                else {
                    continue;
                };
                let fits = |permission: &String| {
                    let (target, verb) = permission.split_once(':').unwrap();
                    let target = target == "*" || (target != "own" && target == question.resource_type);
                    target && (verb == "*" || verb == question.action)
                };
                if permissions.iter().any(fits) {
                    return Some(length + 1);
                }
                next.extend(inherits.iter().cloned().map(At::Role));
            }
        }
        let holder = match &at {
            At::User => Some(None),
            At::Group(group) => Some(Some(*group)),
            At::Role(_) => None,
        };
        for (to, role, thing, end) in &plain.given {
            let here = thing
                .as_ref()
                .is_none_or(|(kind, id)| kind == question.resource_type && question.resource_id == Some(id));
            if Some(*to) == holder && here && end.is_none_or(|end| end > now) {
                next.push(At::Role(role.clone()));
            }
        }
        for to in next {
            if !seen.contains(&to) {
                seen.push(to.clone());
                queue.push_back((to, length + 1));
            }
        }
    }
    None
}

/// The world without one step of a way.
fn without(plain: &Plain, built: &Built, step: &Step) -> Plain {
    let mut less = plain.clone();
    let at = |id: &GroupId| built.groups.iter().position(|other| other == id).unwrap();
    match step {
        Step::MemberOf { member: Holder::User(_), group } => less.inside.retain(|one| *one != at(group)),
        Step::MemberOf { member: Holder::Group(inner), group } => {
            less.nested.retain(|pair| *pair != (at(group), at(inner)));
        }
        // An assignment that has ended is as good as none, and keeps the numbers of the others.
        Step::Assigned { held, .. } => {
            let at = built.given.iter().position(|id| *id == held.id).unwrap();
            less.given[at].3 = Some(0);
        }
        Step::Inherits { role, inherited } => {
            let (_, _, inherits) = less.roles.iter_mut().find(|(name, ..)| name == role.as_str()).unwrap();
            inherits.retain(|one| one != inherited.as_str());
        }
        Step::Grants { role, permission } => {
            let (_, listed, _) = less.roles.iter_mut().find(|(name, ..)| name == role.as_str()).unwrap();
            listed.retain(|one| *one != permission.to_string());
        }
        Step::Everybody { .. } => panic!("nobody asked about his own things"),
    }
    less
}

/// The world with a change.
fn with(plain: &Plain, built: &Built, change: &Change) -> Plain {
    let mut more = plain.clone();
    match change {
        Change::ExtendAssignment { id, .. } => {
            let at = built.given.iter().position(|other| other == id).unwrap();
            more.given[at].3 = None;
        }
        Change::AssignRole { role, resource } => {
            let thing = resource.clone().map(|thing| (thing.kind, thing.id));
            more.given.push((None, role.to_string(), thing, None));
        }
        Change::AddToGroup { group } => {
            more.inside.push(built.groups.iter().position(|other| other == group).unwrap());
        }
        Change::AddPermission { role, permission } => {
            let (_, listed, _) = more.roles.iter_mut().find(|(name, ..)| name == role.as_str()).unwrap();
            listed.push(permission.to_string());
        }
    }
    more
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ways_are_short_and_changes_help(
        plain in worlds(),
        asked in prop::collection::vec(prop::sample::select(questions()), 4),
        now in 1..4_u64,
    ) {
        let built = built(&plain);
        let subject = user();
        for question in asked {
            let way = proof(&built.policy, subject, &built.own, question, second(now));
            prop_assert_eq!(way.is_some(), plain.allows(question, now), "{:?}", question);
            prop_assert_eq!(way.as_ref().map(Vec::len), shortest(&plain, question, now), "{:?}", way);
            for step in way.iter().flatten() {
                let less = without(&plain, &built, step);
                let rebuilt = build(&less, &built.groups, &built.given);
                let other = proof(&rebuilt.policy, subject, &rebuilt.own, question, second(now));
                prop_assert_ne!(&other, &way, "{:?} is idle", step);
                prop_assert_eq!(other.is_some(), less.allows(question, now));
            }
            if way.is_none() {
                let changes = changes(&built.policy, subject, &built.own, question, second(now));
                prop_assert!(!changes.is_empty(), "{:?}", question);
                for change in changes {
                    prop_assert!(with(&plain, &built, &change).allows(question, now), "{:?} {:?}", question, change);
                }
            }
        }
    }
}

#[test]
fn own_things_are_explained_by_what_everybody_holds() {
    let policy = graph(&[]);
    let own = Own::user(vec![], vec![]);
    let question = Question { own: true, ..ask("read", "documents", "1") };
    let way = proof(&policy, user(), &own, question, NOW).unwrap();
    let grants = Step::Grants { role: name(MEMBER), permission: "own:*".parse().unwrap() };
    assert_eq!(way, [Step::Everybody { role: name(MEMBER) }, grants]);
}

#[test]
fn the_change_that_gives_least_comes_first() {
    let policy = graph(&[
        role("reader", &["documents:read"], &[]),
        role("librarian", &["documents:read", "documents:write"], &[]),
        role("guest", &[], &[]),
    ]);
    let ended = Held { expires_at: Some(NOW), ..held("librarian") };
    let own = Own::user(vec![held("guest")], vec![]);
    let question = ask("read", "documents", "1");
    let on_it = Some(Resource { kind: "documents".into(), id: "1".into() });
    let found = changes(&policy, user(), &own, question, NOW);
    let permission = "documents:read".parse().unwrap();
    assert_eq!(
        found,
        [
            Change::AssignRole { role: name("reader"), resource: on_it },
            Change::AddPermission { role: name("guest"), permission },
        ]
    );
    let whole = Question { resource_id: None, ..question };
    let found = changes(&policy, user(), &own, whole, NOW);
    assert_eq!(found[0], Change::AssignRole { role: name("reader"), resource: None });
    let (subject, id) = (user(), ended.id);
    let found = changes(&policy, subject, &Own::user(vec![ended], vec![]), question, NOW);
    assert_eq!(found[0], Change::ExtendAssignment { id, holder: subject, role: name("librarian") });
    let unheard = ask("burn", "bridges", "1");
    let found = changes(&policy, user(), &Own::user(vec![], vec![]), unheard, NOW);
    let bridge = Some(Resource { kind: "bridges".into(), id: "1".into() });
    assert_eq!(
        found,
        [Change::AssignRole { role: name(ADMIN), resource: bridge }],
        "only the widest is left"
    );
    let gone = Holder::Group(GroupId::new());
    assert_eq!(changes(&policy, gone, &Own::default(), question, NOW), []);
}
