//! `/api/v1/roles`.

use crate::world::{World, cold};
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::both_engines;

both_engines! {
    async fn a_role_is_made_read_changed_and_deleted(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        let body = json!({
            "name": "editor", "description": "Für Redakteure", "permissions": ["documents:write", "own:*"],
            "inherits": ["reader"],
        });
        let made = world.post("/api/v1/roles", &body).by(&admin).send().await.expect(201);
        assert_eq!(made.header("location"), "/api/v1/roles/editor");
        assert_eq!(made.body, json!({
            "name": "editor", "description": "Für Redakteure", "permissions": ["documents:write", "own:*"],
            "inherits": ["reader"], "builtin": false,
            "created_at": "2026-12-01T12:00:00Z", "updated_at": "2026-12-01T12:00:00Z",
        }));
        let read = world.get("/api/v1/roles/editor").by(&admin).send().await.expect(200);
        assert_eq!((&read.body, read.header("etag")), (&made.body, "\"1\""));

        world.clock.advance(Duration::from_secs(60));
        let body = json!({ "name": "editor", "permissions": ["documents:delete"] });
        let put = world.put("/api/v1/roles/editor", &body).by(&admin).header("if-match", "\"1\"").send().await;
        let put = put.expect(200);
        assert_eq!(put.header("etag"), "\"2\"");
        assert_eq!(put.body, json!({
            "name": "editor", "description": null, "permissions": ["documents:delete"], "inherits": [],
            "builtin": false, "created_at": "2026-12-01T12:00:00Z", "updated_at": "2026-12-01T12:01:00Z",
        }));
        world.delete("/api/v1/roles/editor").by(&admin).send().await.expect(204);
        world.get("/api/v1/roles/editor").by(&admin).send().await.expect_problem(404, "permissions.role_not_found");
        world.delete("/api/v1/roles/editor").by(&admin).send().await.expect_problem(404, "permissions.role_not_found");
        world.put("/api/v1/roles/editor", &body).by(&admin).send().await.expect_problem(404, "permissions.role_not_found");

        let told: Vec<_> = world.events().await.into_iter().filter(|event| event.subject == "editor").collect();
        let types: Vec<_> = told.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(types, ["permissions.role.created", "permissions.role.updated", "permissions.role.deleted"]);
        assert!(told.iter().all(|event| event.actor == format!("user:{}", admin.id)));
        let trail = world.trail("editor").await;
        let before: Vec<_> = trail.iter().map(|entry| entry.before.clone()).collect();
        let after: Vec<_> = trail.iter().map(|entry| entry.after.clone()).collect();
        let first = json!({
            "description": "Für Redakteure", "permissions": ["documents:write", "own:*"], "inherits": ["reader"],
        });
        let second = json!({ "description": null, "permissions": ["documents:delete"], "inherits": [] });
        assert_eq!(before, [None, Some(first.clone()), Some(second.clone())]);
        assert_eq!(after, [Some(first), Some(second), None]);
        assert!(trail.iter().all(|entry| entry.actor_id == Some(admin.id.to_string())));
    }

    async fn the_roles_of_the_product_stay_as_they_are(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        for (name, permission) in [("admin", "*:*"), ("member", "own:*")] {
            let path = format!("/api/v1/roles/{name}");
            let role = world.get(&path).by(&admin).send().await.expect(200);
            assert_eq!((&role.body["permissions"], &role.body["builtin"]), (&json!([permission]), &json!(true)));
            let body = json!({ "name": name, "permissions": ["a:b"], "inherits": [] });
            for refused in [
                world.post("/api/v1/roles", &body).by(&admin).send().await,
                world.put(&path, &body).by(&admin).send().await,
                world.delete(&path).by(&admin).send().await,
            ] {
                refused.expect_problem(409, "permissions.role_builtin");
            }
        }
        assert!(world.trail("admin").await.is_empty(), "what was refused leaves no trace");
    }

    async fn a_name_is_taken_once(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let body = json!({ "name": "reader", "permissions": [], "inherits": [] });
        let ask = || world.post("/api/v1/roles", &body).by(&admin).send();
        let mut statuses: Vec<u16> = join_all((0..4).map(|_| ask())).await.iter().map(|reply| reply.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409]);
        ask().await.expect_problem(409, "permissions.role_exists");
    }

    async fn bad_input_is_refused_where_it_is_bad(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let long = "a".repeat(64);
        let many: Vec<String> = (0..201).map(|at| format!("a{at}:b")).collect();
        let heirs: Vec<String> = (0..33).map(|at| format!("a{at}")).collect();
        let good = || json!({ "name": "reader", "permissions": ["a:b"], "inherits": [] });
        let cases: Vec<(&str, Value, &[&str])> = vec![
            ("name", json!(7), &["/name"]),
            ("name", Value::Null, &["/name"]),
            ("name", json!(""), &["/name"]),
            ("name", json!("Reader"), &["/name"]),
            ("name", json!("a:b"), &["/name"]),
            ("name", json!("a\u{0}"), &["/name"]),
            ("name", json!("a\n"), &["/name"]),
            ("name", json!(long), &["/name"]),
            ("description", json!(1), &["/description"]),
            ("description", json!("a\u{7}"), &["/description"]),
            ("description", json!("é".repeat(501)), &["/description"]),
            ("permissions", json!("a:b"), &["/permissions"]),
            ("permissions", json!(["a:b", 1]), &["/permissions/1"]),
            ("permissions", json!(["a:b", "ab", "a:b:c", "A:b", "a:b"]), &["/permissions/1", "/permissions/2", "/permissions/3", "/permissions/4"]),
            ("permissions", json!(["a:\u{1}"]), &["/permissions/0"]),
            ("permissions", json!([format!("{long}:a")]), &["/permissions/0"]),
            ("permissions", json!(many), &["/permissions"]),
            ("inherits", json!({}), &["/inherits"]),
            ("inherits", json!(["member", "member", "B"]), &["/inherits/1", "/inherits/2"]),
            ("inherits", json!(heirs), &["/inherits"]),
            ("builtin", json!(true), &["/builtin"]),
        ];
        for (field, value, pointers) in cases {
            let mut body = good();
            body[field] = value;
            let reply = world.post("/api/v1/roles", &body).by(&admin).send().await.expect(422);
            assert_eq!(reply.pointers(), pointers, "{field} {:#}", reply.body);
        }
        for field in ["name", "permissions"] {
            let mut body = good();
            body.as_object_mut().unwrap().remove(field);
            let reply = world.post("/api/v1/roles", &body).by(&admin).send().await.expect(422);
            assert_eq!(reply.pointers(), [format!("/{field}")]);
        }
        world.ask(actix_web::http::Method::POST, "/api/v1/roles").by(&admin).raw("{\"name\"").send().await.expect(400);
        let both = json!({ "name": "X", "permissions": ["x"], "inherits": ["Y"] });
        let reply = world.post("/api/v1/roles", &both).by(&admin).send().await.expect(422);
        assert_eq!(reply.pointers(), ["/name", "/permissions/0", "/inherits/0"], "all at once");
        world.role(&admin, "reader", &["a:b"], &[]).await;
        let other = json!({ "name": "writer", "permissions": [], "inherits": [] });
        let reply = world.put("/api/v1/roles/reader", &other).by(&admin).send().await.expect(422);
        assert_eq!(reply.pointers(), ["/name"], "a role keeps its name");
        for path in ["/api/v1/roles/Reader", "/api/v1/roles/%00", "/api/v1/roles/a%2Fb", &format!("/api/v1/roles/{long}")] {
            world.get(path).by(&admin).send().await.expect(404);
        }
        for (query, pointer) in [("limit=0", "/limit"), ("limit=201", "/limit"), ("limit=x", "/limit"), ("sort=name", "/sort")] {
            let reply = world.get(&format!("/api/v1/roles?{query}")).by(&admin).send().await.expect(400);
            assert_eq!(reply.pointers(), [pointer]);
        }
    }

    async fn what_a_role_inherits_must_exist_and_not_lead_back(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "a", &[], &[]).await;
        world.role(&admin, "b", &[], &["a"]).await;
        world.role(&admin, "c", &[], &["b"]).await;
        let put = async |name: &str, inherits: &[&str]| {
            let body = json!({ "permissions": [], "inherits": inherits });
            world.put(&format!("/api/v1/roles/{name}"), &body).by(&admin).send().await
        };
        let reply = put("a", &["member", "gone"]).await.expect_problem(422, "permissions.role_unknown");
        assert_eq!(reply.pointers(), ["/inherits/1"]);
        let reply = put("a", &["member", "c"]).await.expect_problem(422, "permissions.role_cycle");
        assert_eq!(reply.pointers(), ["/inherits/1"]);
        let reply = put("a", &["a"]).await.expect_problem(422, "permissions.role_cycle");
        assert_eq!(reply.pointers(), ["/inherits/0"]);
        let body = json!({ "name": "d", "permissions": [], "inherits": ["d"] });
        world.post("/api/v1/roles", &body).by(&admin).send().await.expect_problem(422, "permissions.role_cycle");

        for at in 4..=16 {
            let below = if at == 4 { "c".to_owned() } else { format!("r{}", at - 1) };
            world.role(&admin, &format!("r{at}"), &[], &[&below]).await;
        }
        let body = json!({ "name": "r17", "permissions": [], "inherits": ["r16"] });
        let reply = world.post("/api/v1/roles", &body).by(&admin).send().await;
        assert_eq!(reply.expect_problem(422, "permissions.role_too_deep").pointers(), ["/inherits"]);
        put("a", &["member"]).await.expect_problem(422, "permissions.role_too_deep");
    }

    async fn two_changes_that_together_close_a_circle_are_not_both_made(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        for round in 0..8 {
            let (one, other) = (format!("a{round}"), format!("b{round}"));
            world.role(&admin, &one, &[], &[]).await;
            world.role(&admin, &other, &[], &[]).await;
            let put = async |name: &str, inherits: &str| {
                let body = json!({ "permissions": [], "inherits": [inherits] });
                world.put(&format!("/api/v1/roles/{name}"), &body).by(&admin).send().await
            };
            let (first, second) = futures_util::join!(put(&one, &other), put(&other, &one));
            let (made, refused) = if first.status == 200 { (first, second) } else { (second, first) };
            made.expect(200);
            refused.expect_problem(422, "permissions.role_cycle");
        }
    }

    async fn a_role_in_use_stays(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        world.role(&admin, "editor", &[], &["reader"]).await;
        let person = world.person();
        let delete = async |name: &str| world.delete(&format!("/api/v1/roles/{name}")).by(&admin).send().await;
        delete("reader").await.expect_problem(409, "permissions.role_in_use");
        world.assign_until(&person, "editor", Some(world.later(60))).await;
        delete("editor").await.expect_problem(409, "permissions.role_in_use");
        world.clock.advance(Duration::from_secs(60));
        delete("editor").await.expect(204);
        delete("reader").await.expect(204);
    }

    async fn a_role_is_not_deleted_while_it_is_being_given(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        for round in 0..8 {
            let name = format!("r{round}");
            world.role(&admin, &name, &["documents:read"], &[]).await;
            let person = world.person();
            let body = json!({ "subject": person.subject(), "role": name });
            let (given, deleted) = futures_util::join!(
                world.post("/api/v1/role-assignments", &body).by(&admin).send(),
                world.delete(&format!("/api/v1/roles/{name}")).by(&admin).send(),
            );
            match (given.status, deleted.status) {
                (201, 409) => assert!(world.may(&person, "read", "documents", None).await),
                (422, 204) => assert_eq!(given.pointers(), ["/role"]),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn a_lost_update_is_refused(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &[], &[]).await;
        let put = async |tag: &str, permission: &str| {
            let body = json!({ "permissions": [permission], "inherits": [] });
            world.put("/api/v1/roles/reader", &body).by(&admin).header("if-match", tag).send().await
        };
        let (one, other) = futures_util::join!(put("\"1\"", "a:a"), put("\"1\"", "a:b"));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
        put("\"1\"", "a:c").await.expect_problem(412, "platform.precondition_failed");
        put("\"2\"", "a:c").await.expect(200);
        put("*", "a:d").await.expect(200);
        put("nonsense", "a:d").await.expect(400);
        let stale = world.delete("/api/v1/roles/reader").by(&admin).header("if-match", "\"1\"").send().await;
        stale.expect_problem(412, "platform.precondition_failed");
    }

    async fn the_same_request_sent_again_makes_one_role(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let ask = async |name: &str, key: &str| {
            let body = json!({ "name": name, "permissions": ["a:b"], "inherits": [] });
            world.post("/api/v1/roles", &body).by(&admin).header("idempotency-key", key).send().await
        };
        let first = ask("reader", "one").await.expect(201);
        let again = ask("reader", "one").await.expect(201);
        assert_eq!((first.body, first.headers.get("location")), (again.body, again.headers.get("location")));
        ask("writer", "one").await.expect_problem(422, "platform.idempotency_key_reused");
        ask("reader", "two").await.expect_problem(409, "permissions.role_exists");
        assert_eq!(world.trail("reader").await.len(), 1);
    }

    async fn roles_are_listed_by_name_page_by_page(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        for name in ["b.c", "b", "zz", "b-c", "b_c"] {
            world.role(&admin, name, &[], &[]).await;
        }
        let mut names = vec![];
        let mut path = "/api/v1/roles?limit=3".to_owned();
        for _ in 0..5 {
            let page = world.get(&path).by(&admin).send().await.expect(200);
            for role in page.body["items"].as_array().unwrap() {
                names.push(role["name"].as_str().unwrap().to_owned());
            }
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            assert!(page.header("link").contains(cursor));
            path = format!("/api/v1/roles?limit=3&cursor={cursor}");
        }
        assert_eq!(names, ["admin", "b", "b-c", "b.c", "b_c", "member", "zz"]);
        let foreign = world.get("/api/v1/role-assignments?limit=1").by(&admin).send().await;
        assert!(foreign.body["next_cursor"].is_null());
        world.get("/api/v1/roles?cursor=AAAA").by(&admin).send().await.expect_problem(400, "platform.invalid_cursor");
    }

    async fn a_changed_role_counts_at_once(db: Database) {
        for cache in [crate::world::warm(), cold()] {
            let world = World::with_cache(db.clone(), &cache);
            let admin = world.administrator().await;
            let name = if cache.settings().enabled { "warm" } else { "cold" };
            world.role(&admin, name, &["documents:read"], &[]).await;
            let top = format!("{name}-top");
            world.role(&admin, &top, &[], &[name]).await;
            let person = world.person();
            world.assign(&person, &top).await;
            for _ in 0..4 {
                assert!(world.may(&person, "read", "documents", None).await);
            }
            let body = json!({ "permissions": ["documents:write"], "inherits": [] });
            world.put(&format!("/api/v1/roles/{name}"), &body).by(&admin).send().await.expect(200);
            assert!(!world.may(&person, "read", "documents", None).await);
            assert!(world.may(&person, "write", "documents", None).await);
        }
    }
}
