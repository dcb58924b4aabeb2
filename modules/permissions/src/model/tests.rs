//! The rules, one by one; `agreement` and `explanations` compare them with a second, naive telling of the same rules.

mod agreement;
mod explanations;
mod texts;
mod worlds;

use super::*;
use contracts::{AssignmentId, GroupId, Time, UserId};
use std::time::Duration;

const NOW: Time = Time::MIN;

fn name(text: &str) -> RoleName {
    text.parse().unwrap()
}

fn role(text: &str, permissions: &[&str], inherits: &[&str]) -> Role {
    Role {
        name: name(text),
        description: None,
        permissions: permissions.iter().map(|text| text.parse().unwrap()).collect(),
        inherits: inherits.iter().map(|text| name(text)).collect(),
        revision: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn role_graph(roles: &[Role]) -> RoleGraph {
    let builtin = [role(ADMIN, &["*:*"], &[]), role(MEMBER, &["own:*"], &[])];
    RoleGraph::new(builtin.into_iter().chain(roles.iter().cloned()).collect())
}

fn graph(roles: &[Role]) -> Policy {
    Policy { revision: 7, roles: role_graph(roles), groups: GroupGraph::default() }
}

fn decide(policy: &Policy, held: &[Held], question: Question<'_>, now: Time) -> Decision {
    Effective::new(policy, &Own::user(held.to_vec(), vec![]), now).decide(question)
}

fn held(role: &str) -> Held {
    Held { id: AssignmentId::new(), role: name(role), resource: None, expires_at: None }
}

fn held_on(role: &str, kind: &str, id: &str) -> Held {
    let resource = Resource { kind: kind.to_owned(), id: id.to_owned() };
    Held { resource: Some(resource), ..held(role) }
}

fn ask<'a>(action: &'a str, resource_type: &'a str, resource_id: &'a str) -> Question<'a> {
    Question { action, resource_type, resource_id: Some(resource_id), own: false }
}

fn allows(graph: &Policy, held: &[Held], question: Question<'_>) -> bool {
    decide(graph, held, question, NOW) != Decision::Refused
}

#[test]
fn a_permission_is_two_words_or_stars() {
    let long = "a".repeat(63);
    for good in ["documents:read", "*:*", "own:*", "*:read", "a-b_c9:x", &format!("{long}:{long}")] {
        assert_eq!(good.parse::<Permission>().unwrap().to_string(), good);
    }
    let longer = format!("{long}a");
    for bad in [
        "",
        ":",
        "a",
        "a:",
        ":a",
        "a:b:c",
        "A:b",
        "a:B",
        "1a:b",
        "a.b:c",
        "a b:c",
        "a:*b",
        "**:a",
        "a:b ",
        "ä:b",
        "a:b\0",
        "a\n:b",
        &format!("{longer}:a"),
        &format!("a:{longer}"),
    ] {
        assert!(bad.parse::<Permission>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_role_name_is_one_word_with_dots() {
    for good in ["a", "sales-eu", "team.lead_2", &"a".repeat(63)] {
        assert_eq!(name(good).as_str(), good);
    }
    for bad in ["", "A", "1a", ".a", "-a", "a b", "a/b", "a:b", "a\0", "ä", &"a".repeat(64)] {
        assert!(bad.parse::<RoleName>().is_err(), "{bad:?}");
    }
}

#[test]
fn covering_goes_from_wide_to_narrow_only() {
    let covers =
        |wide: &str, narrow: &str| wide.parse::<Permission>().unwrap().covers(&narrow.parse().unwrap());
    for (wide, narrow) in [
        ("*:*", "a:b"),
        ("*:*", "own:*"),
        ("a:*", "a:b"),
        ("*:b", "a:b"),
        ("*:b", "own:b"),
        ("own:*", "own:b"),
    ] {
        assert!(covers(wide, narrow), "{wide} {narrow}");
        assert!(!covers(narrow, wide), "{narrow} {wide}");
    }
    for (one, other) in [("a:*", "*:b"), ("own:*", "a:b"), ("sales:read", "sales-eu:read"), ("a:*", "own:*")]
    {
        assert!(!covers(one, other) && !covers(other, one), "{one} {other}");
    }
}

#[test]
fn what_nobody_granted_is_refused() {
    let graph = graph(&[role("reader", &["documents:read"], &[])]);
    assert!(!allows(&graph, &[], ask("read", "documents", "1")));
    assert!(!allows(&graph, &[held("reader")], ask("write", "documents", "1")));
    assert!(!allows(&graph, &[held("gone")], ask("read", "documents", "1")));
    assert!(allows(&graph, &[held("reader")], ask("read", "documents", "1")));
    assert!(allows(&graph, &[held("admin")], ask("anything at all", "whatever", "\u{1F6AA}")));
}

#[test]
fn permissions_are_inherited_down_the_chain() {
    let graph = graph(&[
        role("reader", &["documents:read"], &[]),
        role("writer", &["documents:write"], &["reader"]),
        role("owner", &[], &["writer"]),
    ]);
    let decision = decide(&graph, &[held("owner")], ask("read", "documents", "1"), NOW);
    let reason = Reason { role: name("owner"), permission: "documents:read".parse().unwrap() };
    assert_eq!(decision, Decision::Allowed(reason));
    assert!(!allows(&graph, &[held("reader")], ask("write", "documents", "1")));
    let found: Vec<_> = graph
        .roles
        .effective("owner")
        .map(|found| (found.permission.to_string(), found.from.as_str()))
        .collect();
    assert_eq!(found, [("documents:write".into(), "writer"), ("documents:read".into(), "reader")]);
}

#[test]
fn a_name_that_starts_like_another_is_another() {
    let graph = graph(&[role("sales", &["sales:read"], &[]), role("sales-eu", &["sales-eu:read"], &[])]);
    assert!(!allows(&graph, &[held("sales")], ask("read", "sales-eu", "1")));
    assert!(!allows(&graph, &[held("sales-eu")], ask("read", "sales", "1")));
    assert!(!allows(&graph, &[held("sales")], ask("read-all", "sales", "1")));
    assert!(!allows(&graph, &[held("sales")], ask("rea", "sales", "1")));
    assert!(!allows(&graph, &[held_on("sales", "sales", "/eu")], ask("read", "sales", "/eu/west")));
}

#[test]
fn ids_that_read_equal_when_joined_stay_apart() {
    let graph = graph(&[role("reader", &["*:read"], &[])]);
    let pairs = [
        ("a", "b:c"),
        ("a:b", "c"),
        ("a", "b#c"),
        ("a#b", "c"),
        ("a", ""),
        ("a", "%"),
        ("a", "/"),
        ("a", "|"),
    ];
    for (kind, id) in pairs {
        for (other_kind, other_id) in pairs {
            let allowed = allows(&graph, &[held_on("reader", kind, id)], ask("read", other_kind, other_id));
            assert_eq!(
                allowed,
                (kind, id) == (other_kind, other_id),
                "{kind} {id} / {other_kind} {other_id}"
            );
        }
    }
}

#[test]
fn a_role_on_one_thing_says_nothing_about_others_or_the_whole() {
    let graph = graph(&[role("reader", &["documents:read"], &[])]);
    let mine = [held_on("reader", "documents", "1")];
    assert!(allows(&graph, &mine, ask("read", "documents", "1")));
    assert!(!allows(&graph, &mine, ask("read", "documents", "2")));
    assert!(!allows(&graph, &mine, ask("read", "folders", "1")));
    let whole = Question { resource_id: None, ..ask("read", "documents", "") };
    assert!(!allows(&graph, &mine, whole));
    assert!(allows(&graph, &[held("reader")], whole));
}

#[test]
fn a_role_counts_until_its_end_and_not_at_it() {
    let graph = graph(&[role("reader", &["documents:read"], &[])]);
    let end = NOW.plus(Duration::from_secs(10));
    let mine = [Held { expires_at: Some(end), ..held("reader") }];
    let at = |now| decide(&graph, &mine, ask("read", "documents", "1"), now) != Decision::Refused;
    assert!(at(NOW));
    assert!(at(end.minus(Duration::from_micros(1))));
    assert!(!at(end));
    assert!(!at(end.plus(Duration::from_secs(1))));
}

#[test]
fn everybody_may_do_everything_with_own_things() {
    let graph = graph(&[]);
    let me = UserId::new();
    let other = UserId::new().to_string();
    let text = me.to_string();
    let loud = text.to_uppercase();
    let asked =
        |kind, id, owner| allows(&graph, &[], Question::new(Holder::User(me), "read", kind, id, owner));
    assert!(asked("user", Some(&text), None));
    assert!(asked("documents", Some("1"), Some(&text)));
    assert!(asked("documents", None, Some(&text)));
    assert!(!asked("documents", Some(&text), None), "only a user is itself");
    assert!(!asked("users", Some(&text), None), "users is not user");
    assert!(!asked("user", Some(&other), None));
    assert!(!asked("documents", Some("1"), Some(&other)));
    assert!(!asked("own", Some("1"), None), "own is a way to say it, not a type");
    assert!(!asked("documents", Some("1"), Some(&loud)));
}

#[test]
fn the_stars_of_permissions_mean_nothing_in_a_question() {
    let graph = graph(&[role("reader", &["documents:read"], &[])]);
    for question in
        [ask("*", "documents", "1"), ask("read", "*", "1"), ask("*", "*", "*"), ask("read", "own", "1")]
    {
        assert!(!allows(&graph, &[held("reader")], question), "{question:?}");
    }
}

#[test]
fn a_circle_is_refused_where_it_closes() {
    let roles = role_graph(&[role("a", &[], &[]), role("b", &[], &["a"]), role("c", &[], &["b"])]);
    let inherits = |of: &str, inherits: &[&str]| roles.check(&role(of, &[], inherits));
    assert_eq!(inherits("a", &["a"]), Err(GraphError::Cycle(vec![0])));
    assert_eq!(inherits("a", &["member", "c"]), Err(GraphError::Cycle(vec![1])));
    assert_eq!(inherits("new", &["new"]), Err(GraphError::Cycle(vec![0])));
    assert_eq!(inherits("a", &["nope", "member", "neither"]), Err(GraphError::Unknown(vec![0, 2])));
    assert_eq!(inherits("c", &["a", "b"]), Ok(()), "two ways to one role are no circle");
}

#[test]
fn a_circle_that_got_in_all_the_same_ends() {
    let roles = graph(&[role("a", &["x:a"], &["b"]), role("b", &["x:b"], &["a", "gone"])]);
    assert!(allows(&roles, &[held("a")], ask("b", "x", "1")));
    assert!(allows(&roles, &[held("b")], ask("a", "x", "1")));
    assert!(!allows(&roles, &[held("a")], ask("c", "x", "1")));
    assert_eq!(roles.roles.check(&role("c", &[], &["a"])), Err(GraphError::TooDeep));
}

#[test]
fn a_chain_has_at_most_sixteen_roles() {
    let chain = |length: usize| -> Vec<Role> {
        let below = |at: usize| if at == 0 { vec![] } else { vec![format!("r{}", at - 1)] };
        let names = |at| below(at).iter().map(|text| name(text)).collect();
        (0..length).map(|at| Role { inherits: names(at), ..role(&format!("r{at}"), &[], &[]) }).collect()
    };
    let fifteen = role_graph(&chain(15));
    assert_eq!(fifteen.check(&role("top", &[], &["r14"])), Ok(()));
    let sixteen = role_graph(&chain(16));
    assert_eq!(sixteen.check(&role("top", &[], &["r15"])), Err(GraphError::TooDeep));
    let bottom = role_graph(&[chain(16), vec![role("low", &[], &[])]].concat());
    assert_eq!(
        bottom.check(&role("r0", &[], &["low"])),
        Err(GraphError::TooDeep),
        "growing below counts too"
    );
}

#[test]
fn nobody_passes_on_what_he_lacks() {
    let roles = role_graph(&[
        role("reader", &["documents:read"], &[]),
        role("writer", &["documents:write"], &["reader"]),
        role("all-reader", &["*:read"], &[]),
    ]);
    let end = NOW.plus(Duration::from_secs(10));
    let lacks = |held: &[Held], wanted: &str, until| -> Vec<String> {
        let wanted = roles.closure(roles.get(wanted).unwrap());
        missing(&roles, held, &wanted, until, NOW).iter().map(ToString::to_string).collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(lacks(&[held("admin")], "writer", None), none);
    assert_eq!(lacks(&[held("writer")], "writer", None), none);
    assert_eq!(lacks(&[held("all-reader")], "writer", None), ["documents:write"]);
    assert_eq!(lacks(&[], "writer", None), ["documents:read", "documents:write"]);
    assert_eq!(lacks(&[held("writer")], "admin", None), ["*:*"]);
    assert_eq!(lacks(&[], "member", None), none, "everybody is a member");
    assert_eq!(lacks(&[held_on("reader", "documents", "1")], "reader", None), ["documents:read"]);
    let brief = Held { expires_at: Some(end), ..held("reader") };
    assert_eq!(
        lacks(std::slice::from_ref(&brief), "reader", None),
        ["documents:read"],
        "for ever is longer than he has it"
    );
    assert_eq!(lacks(std::slice::from_ref(&brief), "reader", Some(end)), none);
    assert_eq!(
        lacks(&[brief], "reader", Some(end.plus(Duration::from_micros(1)))),
        ["documents:read"],
        "longer than he has it"
    );
    let over = Held { expires_at: Some(NOW), ..held("reader") };
    assert_eq!(lacks(&[over], "reader", Some(NOW)), ["documents:read"]);
}

#[test]
fn a_group_brings_what_it_and_those_around_it_hold() {
    let (sales, europe) = (GroupId::new(), GroupId::new());
    let groups = vec![(sales, name("sales")), (europe, name("sales-eu"))];
    let given = vec![(sales, held("reader")), (europe, held_on("writer", "documents", "1"))];
    let roles =
        role_graph(&[role("reader", &["documents:read"], &[]), role("writer", &["documents:write"], &[])]);
    let groups = GroupGraph::new(groups, vec![(sales, europe)], given);
    let policy = Policy { revision: 1, roles, groups };
    let may = |inside: &[GroupId], action, id| {
        let own = Own::user(vec![], inside.to_vec());
        Effective::new(&policy, &own, NOW).decide(ask(action, "documents", id)) != Decision::Refused
    };
    assert!(may(&[europe], "read", "2") && may(&[europe], "write", "1"));
    assert!(!may(&[europe], "write", "2") && !may(&[], "read", "1"));
    assert!(may(&[sales], "read", "2") && !may(&[sales], "write", "1"), "not the other way round");
    assert!(!may(&[GroupId::new()], "read", "1"), "a group that is gone brings nothing");
    let own = Own::group(europe);
    assert_ne!(Effective::new(&policy, &own, NOW).decide(ask("read", "documents", "1")), Decision::Refused);
    let id = europe.to_string();
    let itself = Question::new(Holder::Group(europe), "delete", "user", Some(&id), Some(&id));
    assert_eq!(Effective::new(&policy, &own, NOW).decide(itself), Decision::Refused, "a group is no member");
}

#[test]
fn a_group_is_not_inside_of_itself_and_not_too_deep() {
    let ids: Vec<GroupId> = (0..17).map(|_| GroupId::new()).collect();
    let graph = |length: usize| {
        let groups = ids.iter().enumerate().map(|(at, id)| (*id, name(&format!("g{at}")))).collect();
        let nested = ids.iter().take(length).zip(ids.iter().skip(1)).map(|(outer, inner)| (*outer, *inner));
        GroupGraph::new(groups, nested.collect(), vec![])
    };
    assert_eq!(graph(3).check(ids[3], ids[0]), Err(NestingError::Cycle));
    assert_eq!(graph(3).check(ids[0], ids[0]), Err(NestingError::Cycle));
    assert_eq!(graph(3).check(ids[0], ids[3]), Ok(()), "twice inside is no circle");
    assert_eq!(graph(14).check(ids[14], ids[15]), Ok(()));
    assert_eq!(graph(15).check(ids[15], ids[16]), Err(NestingError::TooDeep));
    assert_eq!(graph(15).check(ids[16], ids[0]), Err(NestingError::TooDeep));
}

#[test]
fn what_may_be_done_is_known_until_the_first_end() {
    let policy = graph(&[role("reader", &["documents:read"], &[])]);
    let end = NOW.plus(Duration::from_secs(10));
    let brief = Held { expires_at: Some(end), ..held("reader") };
    let own = Own::user(vec![brief, held_on("reader", "documents", "1")], vec![]);
    let now = NOW.plus(Duration::from_secs(5));
    let effective = Effective::new(&policy, &own, now);
    assert!(effective.is_good_at(now) && effective.is_good_at(end.minus(Duration::from_micros(1))));
    assert!(!effective.is_good_at(end) && !effective.is_good_at(NOW), "nor when the clock was set back");
}
