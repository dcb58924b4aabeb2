//! Whose account somebody may not change, because whoever could would soon hold what he does not hold.

use crate::world::{Person, World, cold};
use contracts::permissions::{AssignRole, FindOutranking, Permissions, ResourceRef, Subject};
use contracts::{Caller, Kind, Time, UserId};
use platform::db::Database;
use std::collections::BTreeSet;
use std::time::Duration;
use testkit::both_engines;

/// Those of the people who outrank the actor.
async fn above(world: &World, actor: &Person, people: &[&Person]) -> BTreeSet<UserId> {
    let users = people.iter().map(|person| person.id).collect();
    let ask = FindOutranking { actor: actor.id, users };
    let found = world.service.find_outranking(&Caller::module("test"), ask).await.unwrap().users;
    let ids: BTreeSet<UserId> = found.iter().copied().collect();
    assert_eq!(ids.len(), found.len(), "each once");
    ids
}

fn ids(people: &[&Person]) -> BTreeSet<UserId> {
    people.iter().map(|person| person.id).collect()
}

/// Gives a role on one document as the product itself.
async fn assign_on(world: &World, person: &Person, role: &str, document: &str, expires_at: Option<Time>) {
    let resource = Some(ResourceRef { resource_type: "documents".into(), id: document.into() });
    let ask = AssignRole { subject: Subject::user(person.id), role: role.into(), resource, expires_at };
    world.service.assign_role(&Caller::module("test"), ask).await.unwrap();
}

both_engines! {
    async fn who_holds_more_outranks_and_who_holds_the_same_does_not(db: Database) {
        let world = World::with_cache(db, &cold());
        let root = world.administrator().await;
        world.role(&root, "reader", &["documents:read"], &[]).await;
        world.role(&root, "editor", &["documents:write"], &["reader"]).await;
        let [clerk, reader, editor, second, plain] = std::array::from_fn(|_| world.person());
        world.assign(&clerk, "reader").await;
        world.assign(&reader, "reader").await;
        world.assign(&editor, "editor").await;
        world.assign(&second, "admin").await;
        world.assign(&plain, "member").await;
        let unknown = world.person();
        world.assign(&unknown, "editor").await;
        let all = [&clerk, &reader, &editor, &second, &plain, &unknown, &root, &world.person()];
        assert_eq!(above(&world, &clerk, &all).await, ids(&[&editor, &second, &unknown, &root]));
        assert_eq!(above(&world, &editor, &all).await, ids(&[&second, &root]), "what is inherited counts");
        assert_eq!(above(&world, &root, &all).await, ids(&[]), "an administrator is outranked by nobody");
        let nobody = world.person();
        assert_eq!(above(&world, &nobody, &all).await, ids(&[&clerk, &reader, &editor, &second, &unknown, &root]));
        assert_eq!(above(&world, &clerk, &[&editor, &editor]).await, ids(&[&editor]));
        assert_eq!(above(&world, &clerk, &[]).await, ids(&[]));
    }

    async fn what_groups_bring_counts_on_both_sides(db: Database) {
        let world = World::with_cache(db, &cold());
        let root = world.administrator().await;
        world.role(&root, "reader", &["documents:read"], &[]).await;
        let (outer, inner) = (world.group(&root, "outer").await, world.group(&root, "inner").await);
        let as_group = serde_json::json!({ "type": "group", "id": inner });
        world.join(&root, &outer, &as_group).await.expect(204);
        let [clerk, inside, beside, reader] = std::array::from_fn(|_| world.person());
        world.join(&root, &inner, &inside.subject()).await.expect(204);
        let other = world.group(&root, "other").await;
        world.join(&root, &other, &beside.subject()).await.expect(204);
        world.assign(&reader, "reader").await;
        let all = [&clerk, &inside, &beside, &reader];
        assert_eq!(above(&world, &clerk, &all).await, ids(&[&reader]), "the groups bring nothing yet");
        let given = world.endow(&root, &outer, "reader").await;
        assert_eq!(above(&world, &clerk, &all).await, ids(&[&inside, &reader]));
        assert_eq!(above(&world, &inside, &all).await, ids(&[]), "a group gives him the same");
        world.delete(&format!("/api/v1/role-assignments/{given}")).by(&root).send().await.expect(204);
        assert_eq!(above(&world, &inside, &all).await, ids(&[&reader]));
    }

    async fn what_ends_is_compared_with_what_lasts(db: Database) {
        let world = World::with_cache(db, &cold());
        let root = world.administrator().await;
        world.role(&root, "reader", &["documents:read"], &[]).await;
        let [clerk, brief, long, always] = std::array::from_fn(|_| world.person());
        world.assign_until(&clerk, "reader", Some(world.later(60))).await;
        world.assign_until(&brief, "reader", Some(world.later(30))).await;
        world.assign_until(&long, "reader", Some(world.later(90))).await;
        world.assign(&always, "reader").await;
        let all = [&clerk, &brief, &long, &always];
        assert_eq!(above(&world, &clerk, &all).await, ids(&[&long, &always]));
        assert_eq!(above(&world, &always, &all).await, ids(&[]));
        let nobody = world.person();
        assert_eq!(above(&world, &nobody, &all).await, ids(&all));
        world.clock.advance(Duration::from_secs(30));
        assert_eq!(above(&world, &nobody, &all).await, ids(&[&clerk, &long, &always]), "to the second");
        world.clock.advance(Duration::from_secs(30));
        assert_eq!(above(&world, &clerk, &all).await, ids(&[&long, &always]), "and what he holds himself ends");
    }

    async fn what_is_held_on_one_thing_counts_and_does_not_cover(db: Database) {
        let world = World::with_cache(db, &cold());
        let root = world.administrator().await;
        world.role(&root, "reader", &["documents:read"], &[]).await;
        let [clerk, same, reader] = std::array::from_fn(|_| world.person());
        assign_on(&world, &clerk, "reader", "1", None).await;
        assign_on(&world, &same, "reader", "1", None).await;
        world.assign(&reader, "reader").await;
        let all = [&clerk, &same, &reader];
        assert_eq!(above(&world, &reader, &all).await, ids(&[]));
        assert_eq!(above(&world, &clerk, &all).await, ids(&[&same, &reader]), "nobody outranks himself");
        assert_eq!(above(&world, &world.person(), &all).await, ids(&all));
    }

    async fn a_thousand_are_looked_at_at_once_and_no_more(db: Database) {
        let world = World::with_cache(db, &cold());
        let (root, clerk) = (world.administrator().await, world.person());
        let ask = |count: usize| {
            let users = (1..count).map(|_| UserId::new()).chain([root.id]).collect();
            FindOutranking { actor: clerk.id, users }
        };
        let caller = Caller::module("test");
        assert_eq!(world.service.find_outranking(&caller, ask(1_000)).await.unwrap().users, [root.id]);
        let error = world.service.find_outranking(&caller, ask(1_001)).await.unwrap_err();
        assert_eq!((error.kind, error.fields[0].pointer.as_str(), &*error.fields[0].code), (Kind::Invalid, "/users", "too_many"));
    }
}
