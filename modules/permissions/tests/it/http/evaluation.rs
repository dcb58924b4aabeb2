//! `/access/v1/evaluation`.

use crate::world::{Person, Reply, World, cold, warm};
use actix_web::http::Method;
use platform::db::Database;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::both_engines;

const PATH: &str = "/access/v1/evaluation";

fn question(person: &Person, action: &str, kind: &str, id: &str) -> Value {
    json!({
        "subject": person.subject(), "action": { "name": action }, "resource": { "type": kind, "id": id },
    })
}

async fn ask(world: &World, by: &Person, body: &Value) -> Reply {
    world.post(PATH, body).by(by).send().await
}

async fn allowed(world: &World, person: &Person, action: &str, kind: &str, id: &str) -> bool {
    let reply = ask(world, person, &question(person, action, kind, id)).await.expect(200);
    reply.body["decision"].as_bool().unwrap()
}

async fn give_on(world: &World, by: &Person, to: &Person, role: &str, kind: &str, id: &str) {
    let body = json!({ "subject": to.subject(), "role": role, "resource": { "type": kind, "id": id } });
    world.post("/api/v1/role-assignments", &body).by(by).send().await.expect(201);
}

both_engines! {
    async fn a_decision_tells_why(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        world.role(&admin, "editor", &["documents:write"], &["reader"]).await;
        let person = world.person();
        world.assign(&person, "editor").await;
        let yes = ask(&world, &person, &question(&person, "read", "documents", "1")).await.expect(200);
        assert_eq!(yes.body, json!({
            "decision": true,
            "context": { "reason": "permission_held", "role": "editor", "permission": "documents:read" },
        }));
        let no = ask(&world, &person, &question(&person, "delete", "documents", "1")).await.expect(200);
        assert_eq!(no.body, json!({ "decision": false, "context": { "reason": "no_matching_permission" } }));
    }

    async fn only_some_ask_about_others(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "gateway", &["permissions:evaluate"], &[]).await;
        let (person, gateway) = (world.person(), world.person());
        let body = question(&admin, "read", "documents", "1");
        ask(&world, &person, &body).await.expect_problem(403, "platform.denied");
        let mut other_kind = question(&person, "read", "documents", "1");
        other_kind["subject"]["type"] = json!("service");
        ask(&world, &person, &other_kind).await.expect_problem(403, "platform.denied");
        world.assign(&gateway, "gateway").await;
        assert_eq!(ask(&world, &gateway, &body).await.expect(200).body["decision"], json!(true));
        assert_eq!(ask(&world, &gateway, &other_kind).await.expect(200).body["decision"], json!(false));
    }

    async fn own_things_are_open_to_their_owner(db: Database) {
        let world = World::new(db);
        let (person, other) = (world.person(), world.person());
        let own = async |kind: &str, id: &str, properties: Value| {
            let mut body = question(&person, "delete", kind, id);
            body["resource"]["properties"] = properties;
            ask(&world, &person, &body).await.expect(200)
        };
        let decided = async |kind: &str, id: &str, properties: Value| own(kind, id, properties).await.body["decision"] == json!(true);
        let (mine, theirs) = (person.id.to_string(), other.id.to_string());
        assert!(decided("user", &mine, json!({})).await);
        assert!(decided("documents", "1", json!({ "owner": mine })).await);
        assert!(!decided("documents", "1", json!({ "owner": theirs })).await);
        assert!(!decided("documents", "1", json!({ "owner": { "id": mine } })).await);
        assert!(!decided("documents", "1", json!({ "owner": [mine] })).await);
        assert!(!decided("documents", "1", json!({ "Owner": mine })).await);
        assert!(!decided("documents", &mine, json!({})).await);
        assert!(!decided("user", &theirs, json!({ "owner": null })).await);
        assert!(!decided("own", "1", json!({})).await);
        let why = own("documents", "1", json!({ "owner": mine })).await;
        assert_eq!(why.body["context"], json!({ "reason": "permission_held", "role": "member", "permission": "own:*" }));
        let mut elsewhere = question(&person, "delete", "documents", "1");
        elsewhere["subject"]["properties"] = json!({ "owner": mine });
        elsewhere["context"] = json!({ "owner": mine });
        elsewhere["action"]["properties"] = json!({ "owner": mine });
        assert_eq!(ask(&world, &person, &elsewhere).await.expect(200).body["decision"], json!(false));
    }

    async fn names_that_start_or_join_alike_stay_apart(db: Database) {
        for cache in [warm(), cold()] {
            let world = World::with_cache(db.clone(), &cache);
            let admin = world.administrator().await;
            let suffix = if cache.settings().enabled { "w" } else { "c" };
            let (sales, sales_eu, any) = (format!("sales.{suffix}"), format!("sales-eu.{suffix}"), format!("any.{suffix}"));
            world.role(&admin, &sales, &["sales:read"], &[]).await;
            world.role(&admin, &sales_eu, &["sales-eu:read"], &[]).await;
            world.role(&admin, &any, &["*:read"], &[]).await;
            let (one, other) = (world.person(), world.person());
            world.assign(&one, &sales).await;
            world.assign(&other, &sales_eu).await;
            for _ in 0..3 {
                assert!(allowed(&world, &one, "read", "sales", "1").await);
                assert!(!allowed(&world, &one, "read", "sales-eu", "1").await);
                assert!(!allowed(&world, &one, "read-all", "sales", "1").await);
                assert!(allowed(&world, &other, "read", "sales-eu", "1").await);
                assert!(!allowed(&world, &other, "read", "sales", "1").await);
            }
            let things = [
                ("a", "b:c"), ("a", "b#c"), ("a", "b@c"), ("a", "b|c"), ("a", "b,c"), ("a", "b/c"), ("a", "b%c"),
                ("a", "b"), ("a", "c"), ("a", " b"), ("a", "b%3Ac"), ("a-b", "c"), ("a", "-b"), ("a_b", "c"),
            ];
            for (kind, id) in things {
                let person = world.person();
                give_on(&world, &admin, &person, &any, kind, id).await;
                for (other_kind, other_id) in things {
                    let expected = (kind, id) == (other_kind, other_id);
                    let told = world.may(&person, "read", other_kind, Some(other_id)).await;
                    assert_eq!(told, expected, "{kind} {id} / {other_kind} {other_id}");
                }
                assert!(!allowed(&world, &person, "read", "a:b", "c").await);
                assert!(!world.may(&person, "read", kind, None).await, "one is not all");
            }
        }
    }

    async fn a_way_and_a_change_are_told_when_asked_for(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        world.role(&admin, "editor", &["documents:write"], &["reader"]).await;
        let person = world.person();
        let group = world.group(&admin, "sales").await;
        world.join(&admin, &group, &person.subject()).await.expect(204);
        let body = json!({ "subject": { "type": "group", "id": group }, "role": "editor" });
        let given = world.post("/api/v1/role-assignments", &body).by(&admin).send().await.expect(201).text("id");
        let explain = async |by: &Person, body: &Value| {
            world.post(&format!("{PATH}?explain=true"), body).by(by).send().await.expect(200)
        };
        let yes = explain(&person, &question(&person, "read", "documents", "1")).await;
        let explanation = &yes.body["context"]["explanation"];
        assert_eq!(explanation["path"], json!([
            { "step": "member_of", "member": person.subject(), "group": { "id": group, "name": "sales" } },
            { "step": "assigned", "subject": { "type": "group", "id": group }, "assignment_id": given,
              "role": "editor", "resource": null, "expires_at": null },
            { "step": "inherits", "role": "editor", "inherited": "reader" },
            { "step": "grants", "role": "reader", "permission": "documents:read" },
        ]));
        assert_eq!((&explanation["change"], &explanation["changes_withheld"]), (&Value::Null, &json!(false)));
        let other = world.person();
        let no = explain(&admin, &question(&other, "read", "documents", "1")).await;
        let explanation = &no.body["context"]["explanation"];
        assert_eq!((&no.body["decision"], &explanation["path"]), (&json!(false), &Value::Null));
        assert_eq!(explanation["change"], json!({
            "change": "assign_role", "role": "reader", "resource": { "type": "documents", "id": "1" },
        }));
        assert_eq!(explanation["alternatives"], json!([
            { "change": "add_to_group", "group": { "id": group, "name": "sales" } },
        ]));
        give_on(&world, &admin, &other, "reader", "documents", "1").await;
        assert!(allowed(&world, &other, "read", "documents", "1").await, "the change helps");
        let stranger = world.person();
        let withheld = explain(&stranger, &question(&stranger, "read", "documents", "1")).await;
        let explanation = &withheld.body["context"]["explanation"];
        assert_eq!((&explanation["change"], &explanation["alternatives"]), (&Value::Null, &json!([])));
        assert_eq!(explanation["changes_withheld"], json!(true), "roles and groups of others are not told");
        let plain = ask(&world, &person, &question(&person, "read", "documents", "1")).await.expect(200);
        assert!(plain.body["context"].get("explanation").is_none());
        let refused = world.post(&format!("{PATH}?explain=true"), &question(&admin, "read", "documents", "1"));
        refused.by(&stranger).send().await.expect_problem(403, "platform.denied");
        world.post(&format!("{PATH}?explain=yes"), &question(&person, "read", "documents", "1"))
            .by(&person).send().await.expect(400);
    }

    async fn time_is_judged_when_it_is_asked(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        let person = world.person();
        world.assign_until(&person, "reader", Some(world.later(10))).await;
        for _ in 0..4 {
            assert!(allowed(&world, &person, "read", "documents", "1").await);
        }
        world.clock.advance(Duration::from_secs(9));
        assert!(allowed(&world, &person, "read", "documents", "1").await);
        world.clock.advance(Duration::from_micros(999_999));
        assert!(allowed(&world, &person, "read", "documents", "1").await);
        world.clock.advance(Duration::from_micros(1));
        assert!(!allowed(&world, &person, "read", "documents", "1").await);
    }

    async fn a_question_that_cannot_be_read_is_a_bad_request(db: Database) {
        let world = World::new(db);
        let person = world.person();
        let good = question(&person, "read", "documents", "1");
        let without = |pointer: &str, field: &str| {
            let mut body = good.clone();
            body.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field);
            body
        };
        let with = |pointer: &str, field: &str, value: Value| {
            let mut body = good.clone();
            body.pointer_mut(pointer).unwrap()[field] = value;
            body
        };
        let cases = [
            (without("", "subject"), "/subject"),
            (without("", "action"), "/action"),
            (without("", "resource"), "/resource"),
            (without("/subject", "type"), "/subject/type"),
            (without("/subject", "id"), "/subject/id"),
            (without("/action", "name"), "/action/name"),
            (without("/resource", "type"), "/resource/type"),
            (without("/resource", "id"), "/resource/id"),
            (with("", "subject", json!("me")), "/subject"),
            (with("", "action", json!("read")), "/action"),
            (with("", "action", json!(["read"])), "/action"),
            (with("", "context", json!([])), "/context"),
            (with("", "options", json!({})), "/options"),
            (with("/subject", "name", json!("x")), "/subject/name"),
            (with("/subject", "id", json!(7)), "/subject/id"),
            (with("/subject", "id", json!("")), "/subject/id"),
            (with("/subject", "type", json!("a".repeat(256))), "/subject/type"),
            (with("/action", "name", json!("a\nb")), "/action/name"),
            (with("/action", "name", Value::Null), "/action/name"),
            (with("/resource", "type", json!("\u{7f}")), "/resource/type"),
            (with("/resource", "id", json!("a\u{0}b")), "/resource/id"),
            (with("/resource", "id", json!("x".repeat(256))), "/resource/id"),
            (with("/resource", "properties", json!("owner")), "/resource/properties"),
        ];
        for (body, pointer) in cases {
            let reply = ask(&world, &person, &body).await;
            assert_eq!(reply.status, 400, "{body}");
            let reply = reply.expect_problem(400, "permissions.malformed_evaluation");
            assert!(reply.text("detail").starts_with(&format!("{pointer}: ")), "{}", reply.text("detail"));
            assert_eq!(reply.pointers(), [pointer], "{body}");
        }
        for raw in ["", "{", "[]", "null", "\"x\"", "{\"subject\":1,\"subject\":2}"] {
            world.ask(Method::POST, PATH).by(&person).raw(raw).send().await.expect(400);
        }
        let both = json!({ "subject": { "type": "", "id": "" }, "action": { "name": "" }, "resource": { "type": "", "id": "" } });
        let reply = ask(&world, &person, &both).await.expect(400);
        let every = ["/subject/type", "/subject/id", "/action/name", "/resource/type", "/resource/id"];
        assert_eq!(reply.pointers(), every);
        for pointer in every {
            assert!(reply.text("detail").contains(&format!("{pointer}: ")));
        }
    }
}
