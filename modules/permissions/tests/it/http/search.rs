//! `/access/v1/search/…`.

use crate::world::{Person, World};
use platform::db::Database;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::both_engines;

/// All results of a search, page by page.
async fn all(world: &World, by: &Person, kind: &str, mut body: Value) -> Vec<Value> {
    let mut found = vec![];
    loop {
        let reply = world.post(&format!("/access/v1/search/{kind}"), &body).by(by).send().await.expect(200);
        let results = reply.body["results"].as_array().unwrap().clone();
        assert_eq!(reply.body["page"]["count"], json!(results.len()));
        found.extend(results);
        let token = reply.text_at("/page/next_token");
        if token.is_empty() {
            return found;
        }
        body["page"]["token"] = json!(token);
    }
}

both_engines! {
    async fn everybody_who_may_is_found_and_nobody_else(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        world.role(&admin, "editor", &["documents:write"], &["reader"]).await;
        let people: Vec<Person> = (0..8).map(|_| world.person()).collect();
        let give = async |to: Value, role: &str, id: Option<&str>, end: Option<u64>| {
            let resource = id.map(|id| json!({ "type": "documents", "id": id }));
            let body = json!({ "subject": to, "role": role, "resource": resource, "expires_at": end.map(|end| world.later(end)) });
            world.post("/api/v1/role-assignments", &body).by(&admin).send().await.expect(201);
        };
        give(people[0].subject(), "reader", None, None).await;
        give(people[1].subject(), "editor", None, None).await;
        give(people[1].subject(), "reader", None, None).await;
        give(people[2].subject(), "reader", Some("1"), None).await;
        give(people[3].subject(), "reader", Some("2"), None).await;
        give(people[4].subject(), "reader", None, Some(60)).await;
        let (outer, inner) = (world.group(&admin, "outer").await, world.group(&admin, "inner").await);
        world.join(&admin, &outer, &json!({ "type": "group", "id": inner })).await.expect(204);
        world.join(&admin, &inner, &people[5].subject()).await.expect(204);
        give(json!({ "type": "group", "id": outer }), "reader", Some("1"), None).await;

        let search = |kind: &str, id: &str| json!({
            "subject": { "type": kind }, "action": { "name": "read" },
            "resource": { "type": "documents", "id": id }, "page": { "limit": 2 },
        });
        let ids = |at: &[usize]| {
            let mut ids: Vec<Value> = at.iter().map(|at| people[*at].subject()).collect();
            ids.push(admin.subject());
            ids.sort_by_key(|subject| subject["id"].as_str().unwrap().to_owned());
            ids
        };
        assert_eq!(all(&world, &admin, "subject", search("user", "1")).await, ids(&[0, 1, 2, 4, 5]));
        assert_eq!(all(&world, &admin, "subject", search("user", "2")).await, ids(&[0, 1, 3, 4]));
        let mut owned = search("user", "3");
        owned["resource"]["properties"] = json!({ "owner": people[7].id });
        assert_eq!(all(&world, &admin, "subject", owned).await, ids(&[0, 1, 4, 7]));
        let mut groups = [outer.clone(), inner.clone()];
        groups.sort();
        let groups: Vec<Value> = groups.iter().map(|id| json!({ "type": "group", "id": id })).collect();
        assert_eq!(all(&world, &admin, "subject", search("group", "1")).await, groups);
        assert_eq!(all(&world, &admin, "subject", search("group", "2")).await, Vec::<Value>::new());
        assert_eq!(all(&world, &admin, "subject", search("service", "1")).await, Vec::<Value>::new());
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(all(&world, &admin, "subject", search("user", "2")).await, ids(&[0, 1, 3]), "to the second");

        let things = |of: &Person| json!({
            "subject": of.subject(), "action": { "name": "read" }, "resource": { "type": "documents" },
        });
        let reach = async |of: &Person| {
            let reply = world.post("/access/v1/search/resource", &things(of)).by(of).send().await.expect(200);
            (reply.body["results"].clone(), reply.body["context"]["whole_type"] == json!(true))
        };
        let one = json!([{ "type": "documents", "id": "1" }]);
        assert_eq!(reach(&people[2]).await, (one.clone(), false));
        assert_eq!(reach(&people[5]).await, (one, false));
        assert_eq!(reach(&people[0]).await, (json!([]), true));
        assert_eq!(reach(&people[6]).await, (json!([]), false));
        let doing = |of: &Person| json!({ "subject": of.subject(), "resource": { "type": "documents", "id": "1" } });
        let may = async |of: &Person| {
            let reply = world.post("/access/v1/search/action", &doing(of)).by(of).send().await.expect(200);
            (reply.body["results"].clone(), reply.body["context"]["every_action"] == json!(true))
        };
        assert_eq!(may(&people[1]).await, (json!([{ "name": "read" }, { "name": "write" }]), false));
        assert_eq!(may(&people[6]).await, (json!([]), false));
        assert_eq!(may(&admin).await, (json!([{ "name": "read" }, { "name": "write" }]), true));
    }

    async fn who_may_do_everything_with_his_own_learns_no_words_of_other_roles(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "payroll", &["documents:sign", "salaries:read"], &[]).await;
        world.role(&admin, "printer", &["documents:print"], &[]).await;
        world.role(&admin, "auditor", &["permissions:evaluate"], &[]).await;
        let [plain, printer, auditor] = std::array::from_fn(|_| world.person());
        world.assign(&printer, "printer").await;
        world.assign(&auditor, "auditor").await;
        let own = |of: &Person| json!({
            "subject": of.subject(),
            "resource": { "type": "documents", "id": "1", "properties": { "owner": of.id } },
        });
        let names = async |by: &Person, of: &Person| {
            let reply = world.post("/access/v1/search/action", &own(of)).by(by).send().await.expect(200);
            assert_eq!(reply.body["context"]["every_action"], json!(true));
            reply.body["results"].clone()
        };
        world.get("/api/v1/roles").by(&plain).send().await.expect(403);
        assert_eq!(names(&plain, &plain).await, json!([]));
        assert_eq!(names(&printer, &printer).await, json!([{ "name": "print" }]));
        let all = json!([{ "name": "print" }, { "name": "sign" }]);
        assert_eq!(names(&auditor, &auditor).await, all);
        assert_eq!(names(&auditor, &plain).await, all);
    }

    async fn only_some_search_about_others_and_tokens_are_not_forged(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let person = world.person();
        let subject = json!({
            "subject": { "type": "user" }, "action": { "name": "read" }, "resource": { "type": "documents", "id": "1" },
        });
        let resource = json!({ "subject": admin.subject(), "action": { "name": "read" }, "resource": { "type": "documents" } });
        let action = json!({ "subject": admin.subject(), "resource": { "type": "documents", "id": "1" } });
        for (kind, body) in [("subject", &subject), ("resource", &resource), ("action", &action)] {
            let path = format!("/access/v1/search/{kind}");
            world.post(&path, body).by(&person).send().await.expect_problem(403, "platform.denied");
            world.post(&path, body).by(&admin).send().await.expect(200);
            for page in [json!({ "limit": 0 }), json!({ "limit": "2" }), json!({ "size": 2 }), json!([])] {
                let mut bad = body.clone();
                bad["page"] = page;
                world.post(&path, &bad).by(&admin).send().await.expect_problem(400, "permissions.malformed_evaluation");
            }
            for token in ["x", "AAAA", &"A".repeat(3000)] {
                let mut bad = body.clone();
                bad["page"] = json!({ "token": token });
                world.post(&path, &bad).by(&admin).send().await.expect_problem(400, "platform.invalid_cursor");
            }
            let mut wide = body.clone();
            wide["page"] = json!({ "limit": 4_000_000, "token": "" });
            world.post(&path, &wide).by(&admin).send().await.expect(200);
            let mut less = body.clone();
            less.as_object_mut().unwrap().remove("resource");
            let reply = world.post(&path, &less).by(&admin).send().await;
            assert_eq!(reply.expect_problem(400, "permissions.malformed_evaluation").pointers(), ["/resource"]);
        }
        let other = json!({ "type": "service", "id": "x" });
        let mut strange = subject.clone();
        strange["subject"] = other;
        world.post("/access/v1/search/subject", &strange).by(&person).send().await.expect_problem(403, "platform.denied");
        let second = world.administrator().await;
        let mut paged = subject.clone();
        paged["page"] = json!({ "limit": 1 });
        let first = world.post("/access/v1/search/subject", &paged).by(&second).send().await.expect(200);
        paged["page"]["token"] = first.body["page"]["next_token"].clone();
        paged["resource"]["id"] = json!("2");
        world.post("/access/v1/search/subject", &paged).by(&second).send().await
            .expect_problem(400, "platform.invalid_cursor");
    }
}
