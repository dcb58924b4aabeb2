//! Nobody gives what he does not hold, and nobody takes it from others; and a refusal tells nothing that is not known.

use crate::world::{Person, Reply, World};
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

const EXCEEDS: &str = "permissions.grant_exceeds_own";

async fn make(world: &World, by: &Person, name: &str, permissions: &[&str], inherits: &[&str]) -> Reply {
    let body = json!({ "name": name, "permissions": permissions, "inherits": inherits });
    world.post("/api/v1/roles", &body).by(by).send().await
}

async fn give(world: &World, by: &Person, to: &Person, role: &str) -> Reply {
    world
        .post("/api/v1/role-assignments", &json!({ "subject": to.subject(), "role": role }))
        .by(by)
        .send()
        .await
}

both_engines! {
    async fn a_role_maker_makes_roles_within_his_own(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let rights = ["roles:read", "roles:write", "role-assignments:write", "documents:*"];
        world.role(&admin, "maker", &rights, &[]).await;
        world.role(&admin, "payroll", &["salaries:read"], &[]).await;
        let (maker, person) = (world.person(), world.person());
        world.assign(&maker, "maker").await;

        make(&world, &maker, "reader", &["documents:read", "own:*"], &["member"]).await.expect(201);
        give(&world, &maker, &person, "reader").await.expect(201);
        make(&world, &maker, "wide", &["documents:*", "*:read"], &[]).await
            .expect_problem(403, EXCEEDS);
        let refused = make(&world, &maker, "sneaky", &["salaries:write"], &["payroll"]).await;
        let refused = refused.expect_problem(403, EXCEEDS);
        assert!(refused.text("detail").ends_with("you lack salaries:write."), "{}", refused.text("detail"));
        for inherits in ["admin", "payroll"] {
            make(&world, &maker, "sneaky", &[], &[inherits]).await
                .expect_problem(403, EXCEEDS);
        }
        let body = json!({ "permissions": ["documents:read"], "inherits": ["admin"] });
        world.put("/api/v1/roles/reader", &body).by(&maker).send().await
            .expect_problem(403, EXCEEDS);
        for role in ["admin", "payroll"] {
            give(&world, &maker, &maker, role).await.expect_problem(403, EXCEEDS);
        }
        let described = json!({ "description": "mine now", "permissions": ["salaries:read"], "inherits": [] });
        world.put("/api/v1/roles/payroll", &described).by(&maker).send().await
            .expect_problem(403, EXCEEDS);
        let kept = world.get("/api/v1/roles/payroll").by(&admin).send().await;
        assert!(kept.body["description"].is_null());
        assert!(!world.may(&person, "read", "salaries", None).await);
    }

    async fn what_one_holds_on_one_thing_is_not_his_to_give(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "assigner", &["role-assignments:write"], &[]).await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        let (person, friend) = (world.person(), world.person());
        world.assign(&person, "assigner").await;
        let body = json!({
            "subject": person.subject(), "role": "reader", "resource": { "type": "documents", "id": "1" },
        });
        world.post("/api/v1/role-assignments", &body).by(&admin).send().await.expect(201);
        give(&world, &person, &friend, "reader").await.expect_problem(403, EXCEEDS);
        let scoped = json!({
            "subject": friend.subject(), "role": "reader", "resource": { "type": "documents", "id": "1" },
        });
        world.post("/api/v1/role-assignments", &scoped).by(&person).send().await
            .expect_problem(403, EXCEEDS);
    }

    async fn what_one_holds_for_a_while_he_gives_for_no_longer(db: Database) {
        let world = World::new(db);
        world.administrator().await;
        let deputy = world.person();
        let end = world.later(600);
        world.assign_until(&deputy, "admin", Some(end)).await;
        give(&world, &deputy, &deputy, "admin").await.expect_problem(403, EXCEEDS);
        let person = world.person();
        give(&world, &deputy, &person, "admin").await.expect_problem(403, EXCEEDS);
        let until = |end| json!({ "subject": person.subject(), "role": "admin", "expires_at": end });
        world.post("/api/v1/role-assignments", &until(world.later(601))).by(&deputy).send().await
            .expect_problem(403, EXCEEDS);
        world.post("/api/v1/role-assignments", &until(end)).by(&deputy).send().await.expect(201);
        make(&world, &deputy, "eternal", &["a:b"], &[]).await.expect_problem(403, EXCEEDS);
    }

    async fn a_right_that_was_just_lost_gives_nothing(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let former = world.person();
        let assignment = world.assign(&former, "admin").await;
        let person = world.person();
        for _ in 0..3 {
            assert!(world.may(&former, "write", "roles", None).await);
        }
        world.delete(&format!("/api/v1/role-assignments/{assignment}")).by(&admin).send().await.expect(204);
        give(&world, &former, &person, "admin").await.expect_problem(403, "platform.denied");
    }

    async fn a_refusal_names_only_what_was_written_down(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "payroll", &["salaries:read", "salaries:write"], &[]).await;
        world.role(&admin, "clerk", &["roles:write", "role-assignments:write", "groups:write"], &[]).await;
        let (clerk, person) = (world.person(), world.person());
        world.assign(&clerk, "clerk").await;
        let given = world.assign(&person, "payroll").await;
        let group = world.group(&admin, "paymasters").await;
        world.endow(&admin, &group, "payroll").await;
        world.join(&admin, &group, &person.subject()).await.expect(204);
        let changed = json!({ "permissions": [], "inherits": [] });
        for refused in [
            give(&world, &clerk, &clerk, "payroll").await,
            make(&world, &clerk, "mine", &["roles:write"], &["payroll"]).await,
            world.put("/api/v1/roles/payroll", &changed).by(&clerk).send().await,
            world.delete("/api/v1/roles/payroll").by(&clerk).send().await,
            world.join(&clerk, &group, &clerk.subject()).await,
            world.leave(&clerk, &group, &person.subject()).await,
            world.delete(&format!("/api/v1/groups/{group}")).by(&clerk).send().await,
            world.delete(&format!("/api/v1/role-assignments/{given}")).by(&clerk).send().await,
        ] {
            let refused = refused.expect_problem(403, EXCEEDS);
            let said = "You can only give or take away what you hold yourself, everywhere and as long.";
            assert_eq!(refused.text("detail"), said);
        }
        let many: Vec<String> = (0..23).map(|at| format!("a{at:02}:b")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let refused = make(&world, &clerk, "mine", &many, &["payroll"]).await.expect_problem(403, EXCEEDS);
        let told = refused.text("detail");
        assert!(told.contains("a19:b") && told.ends_with(" and 3 more.") && !told.contains("salaries"), "{told}");
    }
}
