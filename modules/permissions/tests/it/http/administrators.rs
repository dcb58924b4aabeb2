//! There is always an administrator who can log in, whatever is taken away and by how many at once.

use crate::world::{Person, World};
use contracts::auth::AccountPurged;
use contracts::permissions::{Permissions as _, SetStanding};
use contracts::{Caller, Event, ExportPerson, UserId};
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

const LAST: &str = "permissions.last_administrator";

async fn stand(world: &World, user: UserId, active: bool) -> Result<(), contracts::Error> {
    let ask = SetStanding { user, active };
    world
        .service
        .set_standing(&Caller::module("auth"), ask)
        .await
        .map(|standing| assert_eq!(standing.active, active))
}

/// Somebody who may take everything away but is no administrator himself.
async fn remover(world: &World, by: &Person) -> Person {
    let rights = ["role-assignments:write", "role-assignments:read", "groups:write", "groups:read"];
    world.role(by, "remover", &rights, &[]).await;
    let person = world.person();
    world.assign(&person, "remover").await;
    person
}

fn as_group(id: &str) -> Value {
    json!({ "type": "group", "id": id })
}

both_engines! {
    async fn the_last_one_in_a_group_stays_on_every_path(db: Database) {
        let world = World::new(db);
        let root = world.person();
        let direct = world.assign(&root, "admin").await;
        let remover = remover(&world, &root).await;
        let (outer, inner) = (world.group(&root, "outer").await, world.group(&root, "inner").await);
        let given = world.endow(&root, &outer, "admin").await;
        let mia = world.person();
        world.join(&root, &outer, &as_group(&inner)).await.expect(204);
        world.join(&root, &inner, &mia.subject()).await.expect(204);
        let direct = format!("/api/v1/role-assignments/{direct}");
        world.delete(&direct).by(&remover).send().await.expect(204);
        assert!(world.may(&mia, "write", "roles", None).await);

        world.delete(&format!("/api/v1/role-assignments/{given}")).by(&remover).send().await.expect_problem(409, LAST);
        world.leave(&remover, &inner, &mia.subject()).await.expect_problem(409, LAST);
        world.leave(&remover, &outer, &as_group(&inner)).await.expect_problem(409, LAST);
        world.delete(&format!("/api/v1/groups/{inner}")).by(&remover).send().await.expect_problem(409, LAST);
        world.delete(&format!("/api/v1/groups/{outer}")).by(&remover).send().await.expect_problem(409, LAST);
        assert_eq!(stand(&world, mia.id, false).await.unwrap_err().code, LAST);
        let body = json!({ "permissions": [], "inherits": [] });
        world.put("/api/v1/roles/admin", &body).by(&mia).send().await.expect_problem(409, "permissions.role_builtin");
        world.delete("/api/v1/roles/admin").by(&mia).send().await.expect_problem(409, "permissions.role_builtin");
        assert!(world.may(&mia, "write", "roles", None).await, "nothing happened");

        let next = world.person();
        world.join(&mia, &outer, &next.subject()).await.expect(204);
        world.leave(&remover, &inner, &mia.subject()).await.expect(204);
        world.leave(&remover, &outer, &next.subject()).await.expect_problem(409, LAST);
    }

    async fn who_cannot_log_in_does_not_count(db: Database) {
        let world = World::new(db);
        let (root, other) = (world.person(), world.person());
        let one = world.assign(&root, "admin").await;
        world.assign(&other, "admin").await;
        stand(&world, other.id, false).await.unwrap();
        stand(&world, other.id, false).await.unwrap();
        assert!(world.may(&other, "write", "roles", None).await, "decisions don't change by it");
        let path = format!("/api/v1/role-assignments/{one}");
        world.delete(&path).by(&root).send().await.expect_problem(409, LAST);
        assert_eq!(stand(&world, root.id, false).await.unwrap_err().code, LAST);
        stand(&world, other.id, true).await.unwrap();
        stand(&world, other.id, true).await.unwrap();
        world.delete(&path).by(&root).send().await.expect(204);
        let trail = world.trail(&other.id.to_string()).await;
        assert_eq!(trail.len(), 2, "what changed nothing is not told");
        assert_eq!((&trail[0].before, &trail[0].after), (&Some(json!({ "active": true })), &Some(json!({ "active": false }))));
        stand(&world, world.person().id, false).await.unwrap();
    }

    async fn two_at_once_on_different_paths_leave_one(db: Database) {
        let world = World::new(db);
        let root = world.person();
        let first = world.assign(&root, "admin").await;
        let remover = remover(&world, &root).await;
        let group = world.group(&root, "admins").await;
        world.endow(&root, &group, "admin").await;
        let (mia, noa) = (world.person(), world.person());
        world.join(&root, &group, &mia.subject()).await.expect(204);
        world.delete(&format!("/api/v1/role-assignments/{first}")).by(&remover).send().await.expect(204);
        for round in 0..6 {
            // Mia is in, through the group; Noa is administrator himself.
            let direct = world.assign(&noa, "admin").await;
            let path = format!("/api/v1/role-assignments/{direct}");
            let subject = mia.subject();
            let (by_group, by_path) = futures_util::join!(
                async {
                    match round % 3 {
                        0 => world.leave(&remover, &group, &subject).await.status,
                        1 => if stand(&world, mia.id, false).await.is_ok() { 204 } else { 409 },
                        _ => world.leave(&remover, &group, &subject).await.status,
                    }
                },
                async { world.delete(&path).by(&remover).send().await.status },
            );
            let mut statuses = [by_group, by_path];
            statuses.sort_unstable();
            assert_eq!(statuses, [204, 409], "round {round}");
            // Back to the start.
            if by_path == 409 {
                stand(&world, mia.id, true).await.unwrap();
                world.join(&noa, &group, &subject).await.expect(204);
                world.delete(&path).by(&remover).send().await.expect(204);
            }
        }
    }

    async fn who_is_gone_for_good_leaves_nothing_behind(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let person = world.administrator().await;
        let group = world.group(&admin, "admins").await;
        world.endow(&admin, &group, "admin").await;
        world.join(&admin, &group, &person.subject()).await.expect(204);
        stand(&world, person.id, false).await.unwrap();
        let export = async || {
            let data = world.service.export_person(&Caller::module("test"), ExportPerson { user: person.id }).await.unwrap();
            serde_json::to_value(data).unwrap()["sections"].clone()
        };
        let before = export().await;
        assert_eq!(before["role_assignments"][0]["role"], json!("admin"));
        assert_eq!((&before["groups"][0]["id"], &before["groups"][0]["name"]), (&json!(group), &json!("admins")));
        assert!(world.may(&person, "write", "roles", None).await);
        world.events().await;
        let fact = AccountPurged { user: person.id, address_key: "5f3c".into() };
        let event = Event::of(&fact, &Caller::module("auth"), world.clock.now()).unwrap();
        world.hear(&event).await;
        world.hear(&event).await;
        assert!(!world.may(&person, "write", "roles", None).await);
        assert_eq!(export().await, json!({ "role_assignments": [], "groups": [] }));
        let types: Vec<_> = world.events().await.into_iter().map(|event| event.event_type).collect();
        assert_eq!(types, ["permissions.assignment.deleted", "permissions.group.member_removed"], "once");
        let again = world.assign(&person, "admin").await;
        world.delete(&format!("/api/v1/role-assignments/{again}")).by(&admin).send().await.expect(204);
    }
}
