//! There is always an administrator who can log in, whatever is taken away and by how many at once.

use crate::world::{Person, World};
use contracts::auth::{AccountPurged, AccountVerified, AdministratorAppointed};
use contracts::permissions::Permissions as _;
use contracts::{Caller, Event, ExportPerson, Fact};
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;
use testkit::databases::TestDatabase;

const LAST: &str = "permissions.last_administrator";

/// Somebody who can log in.
async fn live(world: &World) -> Person {
    let person = world.person();
    world.stand(&person, true).await.unwrap();
    person
}

fn event(world: &World, fact: &impl Fact) -> Event {
    Event::of(fact, &Caller::module("auth"), world.clock.now()).unwrap()
}

/// Somebody who may take everything away, because he holds everything, but does not count as administrator: not the role
/// itself is his but another one that allows the same.
async fn remover(world: &World, by: &Person) -> Person {
    world.role(by, "remover", &["*:*"], &[]).await;
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
        let root = live(&world).await;
        let direct = world.assign(&root, "admin").await;
        let remover = remover(&world, &root).await;
        let (outer, inner) = (world.group(&root, "outer").await, world.group(&root, "inner").await);
        let given = world.endow(&root, &outer, "admin").await;
        let mia = live(&world).await;
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
        assert_eq!(world.stand(&mia, false).await.unwrap_err().code, LAST);
        let body = json!({ "permissions": [], "inherits": [] });
        world.put("/api/v1/roles/admin", &body).by(&mia).send().await.expect_problem(409, "permissions.role_builtin");
        world.delete("/api/v1/roles/admin").by(&mia).send().await.expect_problem(409, "permissions.role_builtin");
        assert!(world.may(&mia, "write", "roles", None).await, "nothing happened");

        let next = live(&world).await;
        world.join(&mia, &outer, &next.subject()).await.expect(204);
        world.leave(&remover, &inner, &mia.subject()).await.expect(204);
        world.leave(&remover, &outer, &next.subject()).await.expect_problem(409, LAST);
    }

    async fn who_cannot_log_in_does_not_count(db: Database) {
        let world = World::new(db);
        let (root, other) = (live(&world).await, live(&world).await);
        let one = world.assign(&root, "admin").await;
        world.assign(&other, "admin").await;
        world.stand(&other, false).await.unwrap();
        world.stand(&other, false).await.unwrap();
        assert!(world.may(&other, "write", "roles", None).await, "decisions don't change by it");
        let path = format!("/api/v1/role-assignments/{one}");
        world.delete(&path).by(&root).send().await.expect_problem(409, LAST);
        assert_eq!(world.stand(&root, false).await.unwrap_err().code, LAST);
        world.stand(&other, true).await.unwrap();
        world.stand(&other, true).await.unwrap();
        world.delete(&path).by(&root).send().await.expect(204);
        let trail = world.trail(&other.id.to_string()).await;
        assert_eq!(trail.len(), 2, "what changed nothing is not told");
        assert_eq!((&trail[0].before, &trail[0].after), (&Some(json!({ "active": true })), &Some(json!({ "active": false }))));
        world.stand(&world.person(), false).await.unwrap();
    }

    async fn two_at_once_on_different_paths_leave_one(db: Database) {
        let world = World::new(db);
        let root = live(&world).await;
        let first = world.assign(&root, "admin").await;
        let remover = remover(&world, &root).await;
        let group = world.group(&root, "admins").await;
        world.endow(&root, &group, "admin").await;
        let (mia, noa) = (live(&world).await, live(&world).await);
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
                        1 => if world.stand(&mia, false).await.is_ok() { 204 } else { 409 },
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
                world.stand(&mia, true).await.unwrap();
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
        world.stand(&person, false).await.unwrap();
        let export = async || {
            let data = world.service.export_person(&Caller::module("test"), ExportPerson { user: person.id }).await.unwrap();
            serde_json::to_value(data).unwrap()["sections"].clone()
        };
        let before = export().await;
        assert_eq!(before["role_assignments"][0]["role"], json!("admin"));
        assert_eq!((&before["groups"][0]["id"], &before["groups"][0]["name"]), (&json!(group), &json!("admins")));
        assert!(world.may(&person, "write", "roles", None).await);
        world.events().await;
        let purged = event(&world, &AccountPurged { user: person.id, address_key: "5f3c".into() });
        world.hear(&purged).await;
        world.hear(&purged).await;
        assert!(!world.may(&person, "write", "roles", None).await);
        assert_eq!(export().await, json!({ "role_assignments": [], "groups": [] }));
        let types: Vec<_> = world.events().await.into_iter().map(|event| event.event_type).collect();
        assert_eq!(types, ["permissions.assignment.deleted", "permissions.group.member_removed"], "once");
        let again = world.assign(&person, "admin").await;
        assert_eq!(world.stand(&admin, false).await.unwrap_err().code, LAST, "an id that nobody has any more");
        world.delete(&format!("/api/v1/role-assignments/{again}")).by(&admin).send().await.expect(204);
    }

    async fn what_the_trail_keeps_of_somebody_who_is_gone_names_him_by_his_id_only(db: Database) {
        let world = World::new(db);
        let (admin, person) = (world.administrator().await, world.person());
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        let group = world.group(&admin, "readers").await;
        let given = world.assign(&person, "reader").await.to_string();
        world.join(&admin, &group, &person.subject()).await.expect(204);
        world.hear(&event(&world, &AccountPurged { user: person.id, address_key: "5f3c".into() })).await;
        let assignment = json!({ "subject": person.subject(), "role": "reader", "resource": null, "expires_at": null });
        let told: Vec<_> = world.trail(&given).await.into_iter().map(|one| (one.before, one.after)).collect();
        assert_eq!(told, [(None, Some(assignment.clone())), (Some(assignment), None)]);
        let member = json!({ "member": person.subject() });
        let told: Vec<_> = world.trail(&group).await.into_iter().map(|one| (one.before, one.after)).collect();
        assert_eq!(told[1..], [(None, Some(member.clone())), (Some(member), None)]);
    }

    async fn an_id_that_nobody_has_and_who_never_proved_his_address_do_not_count(db: Database) {
        let world = World::new(db);
        let (root, mistyped, registered) = (live(&world).await, world.person(), world.person());
        let own = format!("/api/v1/role-assignments/{}", world.assign(&root, "admin").await);
        for person in [&mistyped, &registered] {
            world.assign(person, "admin").await;
        }
        world.delete(&own).by(&root).send().await.expect_problem(409, LAST);
        assert_eq!(world.stand(&root, false).await.unwrap_err().code, LAST);
        let proven = event(&world, &AccountVerified { user: registered.id });
        world.hear(&proven).await;
        world.hear(&proven).await;
        world.delete(&own).by(&root).send().await.expect(204);
        assert_eq!(world.stand(&registered, false).await.unwrap_err().code, LAST);
    }

    async fn nor_do_they_count_through_groups(db: Database) {
        let world = World::new(db);
        let root = live(&world).await;
        let own = format!("/api/v1/role-assignments/{}", world.assign(&root, "admin").await);
        let (outer, inner) = (world.group(&root, "outer").await, world.group(&root, "inner").await);
        world.endow(&root, &outer, "admin").await;
        world.join(&root, &outer, &as_group(&inner)).await.expect(204);
        let (mistyped, registered) = (world.person(), world.person());
        for person in [&mistyped, &registered] {
            world.join(&root, &inner, &person.subject()).await.expect(204);
        }
        world.delete(&own).by(&root).send().await.expect_problem(409, LAST);
        world.join(&root, &inner, &root.subject()).await.expect(204);
        world.delete(&own).by(&root).send().await.expect(204);
        world.leave(&root, &inner, &root.subject()).await.expect_problem(409, LAST);
        world.leave(&root, &outer, &as_group(&inner)).await.expect_problem(409, LAST);
        world.hear(&event(&world, &AccountVerified { user: registered.id })).await;
        world.leave(&root, &inner, &root.subject()).await.expect(204);
        world.leave(&mistyped, &inner, &registered.subject()).await.expect_problem(409, LAST);
    }

    async fn a_proof_that_is_heard_late_brings_nobody_back(db: Database) {
        let world = World::new(db);
        let (root, heard, late) = (live(&world).await, world.person(), world.person());
        let own = format!("/api/v1/role-assignments/{}", world.assign(&root, "admin").await);
        let proofs = [&heard, &late].map(|person| event(&world, &AccountVerified { user: person.id }));
        world.hear(&proofs[0]).await;
        for person in [&heard, &late] {
            world.assign(person, "admin").await;
            world.stand(person, false).await.unwrap();
        }
        for proof in proofs.iter().chain(&proofs) {
            world.hear(proof).await;
            world.delete(&own).by(&root).send().await.expect_problem(409, LAST);
        }
        world.stand(&late, true).await.unwrap();
        world.delete(&own).by(&root).send().await.expect(204);
    }

    async fn the_first_administrator_is_the_last_one_in_whatever_order_it_is_told(db: Database) {
        let world = World::new(db);
        let person = world.person();
        let told = [
            event(&world, &AdministratorAppointed { user: person.id }),
            event(&world, &AccountVerified { user: person.id }),
        ];
        for one in &told {
            world.hear(one).await;
            assert_eq!(world.stand(&person, false).await.unwrap_err().code, LAST);
        }
        world.stand(&person, true).await.unwrap();
        world.assign(&world.person(), "admin").await;
        assert_eq!(world.stand(&person, false).await.unwrap_err().code, LAST);
    }

    async fn where_nobody_is_known_to_have_proven_his_address_the_last_one_stays_as_well(db: Database) {
        let world = World::new(db);
        let (one, other) = (world.person(), world.person());
        world.assign(&other, "admin").await;
        let own = format!("/api/v1/role-assignments/{}", world.assign(&one, "admin").await);
        world.delete(&own).by(&one).send().await.expect(204);
        assert_eq!(world.stand(&other, false).await.unwrap_err().code, LAST);
    }

    async fn who_was_administrator_before_proofs_were_kept_goes_on_to_count(database: TestDatabase) {
        let world = World::new(database.database());
        let [root, clerk, mia] = std::array::from_fn(|_| world.person());
        let own = world.assign(&root, "admin").await;
        world.assign(&clerk, "admin").await;
        let group = world.group(&root, "admins").await;
        world.join(&root, &group, &mia.subject()).await.expect(204);
        world.stand(&clerk, false).await.unwrap();
        let as_before = "DROP TABLE permissions_proven_subjects;
            DELETE FROM platform_migrations WHERE name LIKE '%_proven_subjects'";
        world.db.write().await.unwrap().batch(as_before).await.unwrap();
        Database::migrate(database.settings(), &crate::migrations()).await.unwrap();

        let mistyped = world.person();
        let given = world.assign(&mistyped, "admin").await;
        let own = format!("/api/v1/role-assignments/{own}");
        world.delete(&own).by(&root).send().await.expect_problem(409, LAST);
        world.endow(&root, &group, "admin").await;
        world.delete(&own).by(&root).send().await.expect(204);
        assert_eq!(world.stand(&mia, false).await.unwrap_err().code, LAST);
        world.stand(&clerk, true).await.unwrap();
        world.stand(&mia, false).await.unwrap();
        world.delete(&format!("/api/v1/role-assignments/{given}")).by(&clerk).send().await.expect(204);
    }
}
