//! Nobody takes from others what he could not give; what is his own everybody may lay down.

use crate::world::{Person, World};
use platform::db::Database;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::both_engines;

const EXCEEDS: &str = "permissions.grant_exceeds_own";

/// Somebody who may write everything here and holds nothing else.
async fn clerk(world: &World, by: &Person) -> Person {
    let rights = ["role-assignments:write", "groups:write", "roles:write"];
    world.role(by, "clerk", &rights, &[]).await;
    let person = world.person();
    world.assign(&person, "clerk").await;
    person
}

fn assignment(id: impl std::fmt::Display) -> String {
    format!("/api/v1/role-assignments/{id}")
}

fn as_group(id: &str) -> Value {
    json!({ "type": "group", "id": id })
}

both_engines! {
    async fn administrators_are_not_deposed_by_who_may_only_write_assignments(db: Database) {
        let world = World::new(db);
        let (root, second) = (world.administrator().await, world.person());
        let clerk = clerk(&world, &root).await;
        world.stand(&second, true).await.unwrap();
        let given = world.assign(&second, "admin").await;
        world.delete(&assignment(given)).by(&clerk).send().await.expect_problem(403, EXCEEDS);
        let scoped = json!({
            "subject": clerk.subject(), "role": "admin", "resource": { "type": "documents", "id": "1" },
        });
        world.post("/api/v1/role-assignments", &scoped).by(&root).send().await.expect(201);
        world.delete(&assignment(given)).by(&clerk).send().await.expect_problem(403, EXCEEDS);
        assert!(world.may(&second, "write", "roles", None).await);
        assert_eq!(world.trail(&given.to_string()).await.len(), 1, "nothing was removed");
        world.delete(&assignment(given)).by(&root).send().await.expect(204);
        world.delete(&assignment(given)).by(&clerk).send().await.expect_problem(404, "permissions.assignment_not_found");
    }

    async fn what_one_holds_he_may_take_from_those_who_hold_it_no_longer(db: Database) {
        let world = World::new(db);
        let root = world.administrator().await;
        let clerk = clerk(&world, &root).await;
        world.role(&root, "reader", &["documents:read"], &[]).await;
        world.assign_until(&clerk, "reader", Some(world.later(60))).await;
        let person = world.person();
        let always = world.assign(&person, "reader").await;
        world.delete(&assignment(always)).by(&clerk).send().await.expect_problem(403, EXCEEDS);
        world.delete(&assignment(always)).by(&root).send().await.expect(204);
        let brief = world.assign_until(&person, "reader", Some(world.later(60))).await;
        world.delete(&assignment(brief)).by(&clerk).send().await.expect(204);
        assert!(!world.may(&person, "read", "documents", None).await);
    }

    async fn what_is_ones_own_and_what_has_ended_anybody_may_clear_away(db: Database) {
        let world = World::new(db);
        let root = world.administrator().await;
        let (clerk, person) = (clerk(&world, &root).await, world.person());
        let scoped = json!({
            "subject": clerk.subject(), "role": "admin", "resource": { "type": "documents", "id": "1" },
        });
        let own = world.post("/api/v1/role-assignments", &scoped).by(&root).send().await.expect(201).text("id");
        world.delete(&assignment(own)).by(&clerk).send().await.expect(204);
        let ended = world.assign_until(&person, "admin", Some(world.later(60))).await;
        world.delete(&assignment(ended)).by(&clerk).send().await.expect_problem(403, EXCEEDS);
        world.clock.advance(Duration::from_secs(60));
        world.delete(&assignment(ended)).by(&clerk).send().await.expect(204);
    }

    async fn a_group_is_not_changed_by_who_holds_less_than_it_brings(db: Database) {
        let world = World::new(db);
        let root = world.administrator().await;
        let (clerk, person) = (clerk(&world, &root).await, world.person());
        let [admins, inside, interns] = [
            world.group(&root, "admins").await, world.group(&root, "inside").await, world.group(&root, "interns").await,
        ];
        let given = world.endow(&root, &admins, "admin").await;
        world.join(&root, &admins, &as_group(&inside)).await.expect(204);
        for group in [&admins, &inside] {
            world.join(&root, group, &person.subject()).await.expect(204);
            let path = format!("/api/v1/groups/{group}");
            let renamed = json!({ "name": "renamed" });
            world.put(&path, &renamed).by(&clerk).send().await.expect_problem(403, EXCEEDS);
            world.delete(&path).by(&clerk).send().await.expect_problem(403, EXCEEDS);
            world.leave(&clerk, group, &person.subject()).await.expect_problem(403, EXCEEDS);
        }
        world.leave(&clerk, &admins, &as_group(&inside)).await.expect_problem(403, EXCEEDS);
        world.delete(&assignment(&given)).by(&clerk).send().await.expect_problem(403, EXCEEDS);
        assert!(world.may(&person, "write", "roles", None).await);
        let names = async |group: &str| world.get(&format!("/api/v1/groups/{group}")).by(&root).send().await.text("name");
        assert_eq!((names(&admins).await, names(&inside).await), ("admins".to_owned(), "inside".to_owned()));

        world.join(&clerk, &interns, &person.subject()).await.expect(204);
        world.leave(&clerk, &interns, &person.subject()).await.expect(204);
        let path = format!("/api/v1/groups/{interns}");
        world.put(&path, &json!({ "name": "guests" })).by(&clerk).send().await.expect(200);
        world.delete(&path).by(&clerk).send().await.expect(204);
    }

    async fn whoever_is_in_a_group_may_leave_it_and_take_nobody_along(db: Database) {
        let world = World::new(db);
        let root = world.administrator().await;
        let clerk = clerk(&world, &root).await;
        world.role(&root, "reader", &["documents:read"], &[]).await;
        let group = world.group(&root, "readers").await;
        let body = json!({
            "subject": as_group(&group), "role": "reader", "expires_at": world.later(60),
            "resource": { "type": "documents", "id": "1" },
        });
        world.post("/api/v1/role-assignments", &body).by(&root).send().await.expect(201);
        let keeper = world.person();
        world.join(&root, &group, &clerk.subject()).await.expect(204);
        world.join(&root, &group, &keeper.subject()).await.expect(204);
        world.leave(&clerk, &group, &keeper.subject()).await.expect_problem(403, EXCEEDS);
        world.leave(&clerk, &group, &clerk.subject()).await.expect(204);
        world.clock.advance(Duration::from_secs(60));
        world.leave(&clerk, &group, &keeper.subject()).await.expect(204);
    }

    async fn a_role_is_not_emptied_by_who_holds_less_than_it_allows(db: Database) {
        let world = World::new(db);
        let root = world.administrator().await;
        let (clerk, person) = (clerk(&world, &root).await, world.person());
        world.role(&root, "payroll", &["salaries:read"], &[]).await;
        world.role(&root, "lead", &["roles:write"], &["payroll"]).await;
        world.role(&root, "spare", &["salaries:read"], &[]).await;
        world.role(&root, "writer", &["roles:write", "groups:write"], &[]).await;
        world.assign(&person, "lead").await;
        for (name, permissions) in [("payroll", json!([])), ("lead", json!(["roles:write"]))] {
            let body = json!({ "permissions": permissions, "inherits": [] });
            world.put(&format!("/api/v1/roles/{name}"), &body).by(&clerk).send().await.expect_problem(403, EXCEEDS);
        }
        world.delete("/api/v1/roles/spare").by(&clerk).send().await.expect_problem(403, EXCEEDS);
        assert!(world.may(&person, "read", "salaries", None).await);
        let body = json!({ "permissions": ["roles:write"], "inherits": [] });
        world.put("/api/v1/roles/writer", &body).by(&clerk).send().await.expect(200);
        world.delete("/api/v1/roles/writer").by(&clerk).send().await.expect(204);
        world.delete("/api/v1/roles/spare").by(&root).send().await.expect(204);
    }
}
