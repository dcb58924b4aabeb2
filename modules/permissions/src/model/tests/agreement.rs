//! Thousands of random role graphs, asked twice: the product's rule and a naive one, which works on texts, walks
//! the graph anew for every question and shares no code with the product, must give the same answer.

use super::*;
use proptest::prelude::*;

/// Words that start alike, and one that differs from its neighbour only behind a sign.
const TYPES: [&str; 4] = ["sales", "sales-eu", "sales_eu", "user"];
const ACTIONS: [&str; 3] = ["read", "rea", "read-all"];
const IDS: [&str; 4] = ["1", "11", "1:1", ""];
const ROLES: [&str; 8] = ["a", "a.b", "a-b", "aa", "b", "c", "d", "e"];

/// Texts only: name, permissions, inherited names.
type Plain = (String, Vec<String>, Vec<String>);

/// A role held: its name, the thing it is about, the second it ends at.
type PlainHeld = (String, Option<(String, String)>, Option<u64>);

fn permission() -> impl Strategy<Value = String> {
    let target = prop_oneof![4 => prop::sample::select(&TYPES[..]), 1 => Just("*"), 1 => Just("own")];
    let verb = prop_oneof![4 => prop::sample::select(&ACTIONS[..]), 1 => Just("*")];
    (target, verb).prop_map(|(target, verb)| format!("{target}:{verb}"))
}

/// Any graph at all: circles and names of roles that don't exist included.
fn roles() -> impl Strategy<Value = Vec<Plain>> {
    let one = (
        prop::collection::vec(permission(), 0..3),
        prop::collection::vec(prop::sample::select(&ROLES[..]), 0..3),
    );
    prop::collection::vec(one, 0..ROLES.len()).prop_map(|all| {
        let named = ROLES.iter().zip(all);
        let text = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        named
            .map(|(name, (permissions, inherits))| ((*name).to_owned(), permissions, text(inherits)))
            .collect()
    })
}

fn holdings() -> impl Strategy<Value = Vec<PlainHeld>> {
    let thing = (prop::sample::select(&TYPES[..]), prop::sample::select(&IDS[..]));
    let thing = thing.prop_map(|(kind, id)| (kind.to_owned(), id.to_owned()));
    let role = prop::sample::select(&ROLES[..]).prop_map(str::to_owned);
    prop::collection::vec((role, prop::option::of(thing), prop::option::of(0..4_u64)), 0..4)
}

fn naive_reads(roles: &[Plain], role: &str, seen: &mut Vec<String>) -> Vec<String> {
    if seen.iter().any(|known| known == role) {
        return vec![];
    }
    seen.push(role.to_owned());
    let Some((_, permissions, inherits)) = roles.iter().find(|(name, ..)| name == role) else {
        return vec![];
    };
    let mut all = permissions.clone();
    for name in inherits {
        all.extend(naive_reads(roles, name, seen));
    }
    all
}

fn naive(roles: &[Plain], held: &[PlainHeld], question: Question<'_>, now: u64) -> bool {
    if question.own {
        return true;
    }
    for (role, thing, end) in held {
        if end.is_some_and(|end| end <= now) {
            continue;
        }
        let here = |(kind, id): &(String, String)| {
            kind == question.resource_type && question.resource_id == Some(id)
        };
        if !thing.as_ref().is_none_or(here) {
            continue;
        }
        for permission in naive_reads(roles, role, &mut vec![]) {
            let (target, verb) = permission.split_once(':').unwrap();
            let target_fits = target == "*" || (target != "own" && target == question.resource_type);
            let verb_fits = verb == "*" || verb == question.action;
            if target_fits && verb_fits {
                return true;
            }
        }
    }
    false
}

fn built(roles: &[Plain]) -> RoleGraph {
    let borrowed = |texts: &[String]| texts.iter().map(String::as_str).map(str::to_owned).collect::<Vec<_>>();
    let roles: Vec<Role> = roles
        .iter()
        .map(|(name, permissions, inherits)| {
            let (permissions, inherits) = (borrowed(permissions), borrowed(inherits));
            let permissions: Vec<&str> = permissions.iter().map(String::as_str).collect();
            let inherits: Vec<&str> = inherits.iter().map(String::as_str).collect();
            role(name, &permissions, &inherits)
        })
        .collect();
    graph(&roles)
}

fn second(seconds: u64) -> Time {
    NOW.plus(Duration::from_secs(seconds))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_tellings_of_the_rule_agree(plain in roles(), holds in holdings(), own in any::<bool>(), now in 0..4_u64) {
        let graph = built(&plain);
        let held: Vec<Held> = holds
            .iter()
            .map(|(role, thing, end)| Held {
                role: name(role),
                resource: thing.clone().map(|(kind, id)| Resource { kind, id }),
                expires_at: end.map(second),
            })
            .collect();
        for resource_type in TYPES.iter().chain(&["own", "*"]) {
            for action in ACTIONS {
                for resource_id in IDS.iter().map(|id| Some(*id)).chain([None]) {
                    let question = Question { action, resource_type, resource_id, own: false };
                    let ours = decide(&graph, &held, question, second(now)) != Decision::Refused;
                    prop_assert_eq!(ours, naive(&plain, &holds, question, now), "{:?}", question);
                }
            }
        }
        let question = Question { own, ..ask("read", "sales", "1") };
        let ours = decide(&graph, &held, question, second(now)) != Decision::Refused;
        prop_assert_eq!(ours, naive(&plain, &holds, question, now));
    }

    #[test]
    fn what_passes_the_check_has_no_circle(plain in roles(), at in 0..ROLES.len()) {
        let mut accepted: Vec<Plain> = vec![];
        for (name, _, inherits) in plain.iter().cycle().skip(at).take(plain.len() * 2) {
            let known = |inherited: &&String| accepted.iter().any(|(other, ..)| other == *inherited);
            let inherits: Vec<String> = inherits.iter().filter(known).cloned().collect();
            let texts: Vec<&str> = inherits.iter().map(String::as_str).collect();
            if built(&accepted).check(&role(name, &[], &texts)).is_ok() {
                accepted.retain(|(other, ..)| other != name);
                accepted.push((name.clone(), vec![], inherits));
            }
        }
        // Whoever is left when all roles without inherited ones are taken away, again and again, is in a circle.
        let mut left = accepted;
        loop {
            let gone: Vec<String> =
                left.iter().filter(|(_, _, inherits)| inherits.is_empty()).map(|(name, ..)| name.clone()).collect();
            if gone.is_empty() {
                break;
            }
            left.retain(|(name, ..)| !gone.contains(name));
            left.iter_mut().for_each(|(_, _, inherits)| inherits.retain(|name| !gone.contains(name)));
        }
        prop_assert!(left.is_empty(), "{:?}", left);
    }
}
