//! Random worlds, asked twice: the product's rule and the naive one must give the same answer, forwards and the other
//! way round. Forwards that is a million questions: everything there is to ask in each of so many worlds.

use super::worlds::*;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(11_000))]

    #[test]
    fn both_tellings_of_the_rule_agree(
        plain in worlds(),
        own in any::<bool>(),
        now in 0..4_u64,
    ) {
        let built = built(&plain);
        let effective = Effective::new(&built.policy, &built.own, second(now));
        for question in questions() {
            let ours = effective.decide(question) != Decision::Refused;
            prop_assert_eq!(ours, plain.allows(question, now), "{:?}", question);
        }
        let question = Question { own, ..ask("read", "sales", "1") };
        prop_assert_eq!(effective.decide(question) != Decision::Refused, plain.allows(question, now));
    }
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn the_questions_the_other_way_round_agree(plain in worlds(), now in 0..4_u64) {
        let built = built(&plain);
        for resource_type in TYPES {
            for action in ACTIONS {
                let question = Question { action, resource_type, resource_id: None, own: false };
                let found = resources(&built.policy, &built.own, question, None, second(now));
                prop_assert!(found.own, "everybody may do everything with his own things");
                prop_assert_eq!(found.whole_type, plain.allows(question, now));
                for id in IDS {
                    let here = Question { resource_id: Some(id), ..question };
                    let listed = found.whole_type || found.ids.contains(id);
                    prop_assert_eq!(listed, plain.allows(here, now), "{:?}", here);
                }
                let here = Question { resource_id: Some("1"), ..question };
                let groups: BTreeSet<GroupId> =
                    granting_groups(&built.policy, here, second(now)).into_iter().collect();
                for (at, id) in built.groups.iter().enumerate() {
                    prop_assert_eq!(groups.contains(id), plain.allows_group(at, here, now), "group {}", at);
                }
            }
            for id in IDS {
                let question = Question { action: "-", resource_type, resource_id: Some(id), own: false };
                let found = actions(&built.policy, &built.own, question, Words::All, second(now));
                let held = actions(&built.policy, &built.own, question, Words::Held, second(now));
                prop_assert!(held.names.is_subset(&found.names) && held.every == found.every);
                for action in ACTIONS {
                    let here = Question { action, ..question };
                    let named = plain.roles.iter().any(|(_, permissions, _)| {
                        permissions.contains(&format!("{resource_type}:{action}"))
                            || permissions.contains(&format!("*:{action}"))
                    });
                    let listed = found.names.contains(action) || (found.every && !named);
                    prop_assert_eq!(listed, plain.allows(here, now), "{:?} {:?}", here, found);
                    let listed = held.names.contains(action) || held.every;
                    prop_assert_eq!(listed, plain.allows(here, now), "{:?} {:?}", here, held);
                }
                let unheard = Question { action: "unheard-of", ..question };
                prop_assert_eq!(found.every, plain.allows(unheard, now));
            }
        }
    }

    #[test]
    fn what_passes_the_check_has_no_circle(plain in roles(), at in 0..8_usize) {
        let built = |roles: &[PlainRole]| {
            let roles: Vec<Role> = roles
                .iter()
                .map(|(name, _, inherits)| {
                    role(name, &[], &inherits.iter().map(String::as_str).collect::<Vec<_>>())
                })
                .collect();
            role_graph(&roles)
        };
        let mut accepted: Vec<PlainRole> = vec![];
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
