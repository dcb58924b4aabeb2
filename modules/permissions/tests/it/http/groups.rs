//! `/api/v1/groups` and who is in them.

use crate::world::{Person, World, cold, warm};
use contracts::GroupId;
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

const PATH: &str = "/api/v1/groups";

fn as_group(id: &str) -> Value {
    json!({ "type": "group", "id": id })
}

async fn reads(world: &World, person: &Person) -> bool {
    world.may(person, "read", "documents", Some("1")).await
}

both_engines! {
    async fn a_group_is_made_changed_and_deleted(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let body = json!({ "name": "sales", "description": "Verkäufer" });
        let made = world.post(PATH, &body).by(&admin).send().await.expect(201);
        let id = made.text("id");
        assert_eq!(made.header("location"), format!("{PATH}/{id}"));
        assert_eq!(made.body, json!({
            "id": id, "name": "sales", "description": "Verkäufer",
            "created_at": "2026-12-01T12:00:00Z", "updated_at": "2026-12-01T12:00:00Z",
        }));
        world.post(PATH, &body).by(&admin).send().await.expect_problem(409, "permissions.group_exists");
        let path = format!("{PATH}/{id}");
        let read = world.get(&path).by(&admin).send().await.expect(200);
        assert_eq!((read.body.clone(), read.header("etag")), (made.body, "\"1\""));
        let put = async |tag: &str, body: Value| {
            world.put(&path, &body).by(&admin).header("if-match", tag).send().await
        };
        put("\"1\"", json!({ "name": "sales-eu" })).await.expect(200);
        put("\"1\"", json!({ "name": "sales" })).await.expect_problem(412, "platform.precondition_failed");
        world.group(&admin, "other").await;
        put("\"2\"", json!({ "name": "other" })).await.expect_problem(409, "permissions.group_exists");
        let stale = world.delete(&path).by(&admin).header("if-match", "\"1\"").send().await;
        stale.expect_problem(412, "platform.precondition_failed");
        world.delete(&path).by(&admin).send().await.expect(204);
        world.delete(&path).by(&admin).send().await.expect_problem(404, "permissions.group_not_found");
        world.get(&path).by(&admin).send().await.expect_problem(404, "permissions.group_not_found");
        put("*", json!({ "name": "sales" })).await.expect_problem(404, "permissions.group_not_found");

        let told: Vec<_> = world.events().await.into_iter().filter(|event| event.subject == id).collect();
        let types: Vec<_> = told.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(types, ["permissions.group.created", "permissions.group.updated", "permissions.group.deleted"]);
        let trail = world.trail(&id).await;
        let first = json!({ "name": "sales", "description": "Verkäufer" });
        let second = json!({ "name": "sales-eu", "description": null });
        let before: Vec<_> = trail.iter().map(|entry| entry.before.clone()).collect();
        let after: Vec<_> = trail.iter().map(|entry| entry.after.clone()).collect();
        assert_eq!(before, [None, Some(first.clone()), Some(second.clone())]);
        assert_eq!(after, [Some(first), Some(second), None]);
    }

    async fn bad_groups_are_refused_where_they_are_bad(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let long = "a".repeat(64);
        for (body, pointers) in [
            (json!({}), vec!["/name"]),
            (json!({ "name": 7 }), vec!["/name"]),
            (json!({ "name": "" }), vec!["/name"]),
            (json!({ "name": "/sales" }), vec!["/name"]),
            (json!({ "name": "sales/eu" }), vec!["/name"]),
            (json!({ "name": long }), vec!["/name"]),
            (json!({ "name": "A", "description": "a\u{7}" }), vec!["/name", "/description"]),
            (json!({ "name": "a", "description": "é".repeat(501) }), vec!["/description"]),
            (json!({ "name": "a", "members": [] }), vec!["/members"]),
        ] {
            let reply = world.post(PATH, &body).by(&admin).send().await.expect(422);
            assert_eq!(reply.pointers(), pointers, "{body}");
        }
        let group = world.group(&admin, "sales").await;
        let person = world.person();
        for member in [
            format!("users/{}", person.id), format!("User/{}", person.id), "user/me".into(), "group/sales".into(),
            format!("service/{}", person.id), "user/%00".into(), format!("user/{}", person.id.uuid().simple()),
        ] {
            let path = format!("{PATH}/{group}/members/{member}");
            world.ask(actix_web::http::Method::PUT, &path).by(&admin).send().await.expect(404);
            world.delete(&path).by(&admin).send().await.expect(404);
        }
        let gone = GroupId::new().to_string();
        world.join(&admin, &gone, &person.subject()).await.expect_problem(404, "permissions.group_not_found");
        world.join(&admin, &group, &as_group(&gone)).await.expect_problem(404, "permissions.group_not_found");
        world.leave(&admin, &gone, &person.subject()).await.expect_problem(404, "permissions.group_not_found");
        world.get(&format!("{PATH}/{gone}/members")).by(&admin).send().await.expect(404);
        let twice = json!({ "name": "twice" });
        let ask = async || world.post(PATH, &twice).by(&admin).send().await.status;
        let mut made: Vec<u16> = join_all((0..4).map(|_| ask())).await;
        made.sort_unstable();
        assert_eq!(made, [201, 409, 409, 409]);
    }

    async fn who_is_in_a_group_may_what_it_may(db: Database) {
        for cache in [warm(), cold()] {
            let world = World::with_cache(db.clone(), &cache);
            let admin = world.administrator().await;
            let suffix = if cache.settings().enabled { "w" } else { "c" };
            let (reader, inner_name) = (format!("reader.{suffix}"), format!("inner.{suffix}"));
            world.role(&admin, &reader, &["documents:read"], &[]).await;
            let (outer, inner) = (world.group(&admin, &format!("outer.{suffix}")).await, world.group(&admin, &inner_name).await);
            let person = world.person();
            let changes = async |expected: bool, what: &str| {
                for _ in 0..3 {
                    assert_eq!(reads(&world, &person).await, expected, "{what}");
                }
            };
            changes(false, "nothing yet").await;
            world.join(&admin, &inner, &person.subject()).await.expect(204);
            world.join(&admin, &inner, &person.subject()).await.expect(204);
            changes(false, "an empty group").await;
            let given = world.endow(&admin, &outer, &reader).await;
            changes(false, "another group").await;
            world.join(&admin, &outer, &as_group(&inner)).await.expect(204);
            changes(true, "a group in a group").await;
            let held = world.get("/api/v1/users/me/permissions").by(&person).send().await.expect(200);
            assert_eq!(held.body["items"][1], json!({
                "permission": "documents:read", "resource": null, "sources": [{
                    "role": reader, "listed_by": reader, "expires_at": null,
                    "group": { "id": outer, "name": format!("outer.{suffix}") },
                }],
            }));
            let seen = world.get(&format!("/api/v1/users/{}/permissions", person.id)).by(&admin).send().await.expect(200);
            assert_eq!(seen.body, held.body);
            world.get(&format!("/api/v1/users/{}/permissions", admin.id)).by(&person).send().await
                .expect_problem(403, "platform.denied");
            let roles = world.get(&format!("/api/v1/users/{}/roles", person.id)).by(&person).send().await.expect(200);
            assert_eq!((roles.text_at("/items/1/assignment_id"), roles.text_at("/items/1/group/id")), (given.clone(), outer.clone()));
            world.leave(&admin, &inner, &person.subject()).await.expect(204);
            changes(false, "on the very next question").await;
            world.leave(&admin, &inner, &person.subject()).await.expect(204);
            world.join(&admin, &inner, &person.subject()).await.expect(204);
            changes(true, "again").await;
            world.leave(&admin, &outer, &as_group(&inner)).await.expect(204);
            changes(false, "no longer nested").await;
            world.join(&admin, &outer, &as_group(&inner)).await.expect(204);
            world.delete(&format!("/api/v1/role-assignments/{given}")).by(&admin).send().await.expect(204);
            changes(false, "the group holds nothing").await;
            world.endow(&admin, &inner, &reader).await;
            changes(true, "its own group").await;
            world.delete(&format!("{PATH}/{inner}")).by(&admin).send().await.expect(204);
            changes(false, "the group is gone").await;
            let left = world.get(&format!("/api/v1/role-assignments?subject={inner}")).by(&admin).send().await;
            assert_eq!(left.body["items"], json!([]));
            let members = world.get(&format!("{PATH}/{outer}/members")).by(&admin).send().await.expect(200);
            assert_eq!(members.body["items"], json!([]));
            let trail = world.trail(&outer).await;
            let actions: Vec<_> = trail.iter().map(|entry| entry.action.as_str()).collect();
            let (added, removed) = ("permissions.group.member_added", "permissions.group.member_removed");
            assert_eq!(actions, ["permissions.group.created", added, removed, added, removed]);
            assert_eq!(trail[1].after, Some(json!({ "member": as_group(&inner) })));
            assert_eq!(trail[2].before, Some(json!({ "member": as_group(&inner) })));
        }
    }

    async fn names_that_start_alike_are_other_groups(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        let sales = world.group(&admin, "sales").await;
        for name in ["sales-eu", "sales.eu", "sale", "sales_"] {
            let other = world.group(&admin, name).await;
            let person = world.person();
            world.join(&admin, &other, &person.subject()).await.expect(204);
            world.endow(&admin, &sales, "reader").await;
            assert!(!reads(&world, &person).await, "{name}");
            let list = world.get(&format!("/api/v1/role-assignments?subject={sales}")).by(&admin).send().await;
            let path = format!("/api/v1/role-assignments/{}", list.text_at("/items/0/id"));
            world.delete(&path).by(&admin).send().await.expect(204);
        }
    }

    async fn a_group_is_not_put_into_itself(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let mut ids = vec![];
        for at in 0..17 {
            ids.push(world.group(&admin, &format!("g{at}")).await);
        }
        world.join(&admin, &ids[0], &as_group(&ids[0])).await.expect_problem(409, "permissions.group_cycle");
        for pair in ids.windows(2).take(15) {
            world.join(&admin, &pair[0], &as_group(&pair[1])).await.expect(204);
        }
        world.join(&admin, &ids[15], &as_group(&ids[0])).await.expect_problem(409, "permissions.group_cycle");
        world.join(&admin, &ids[15], &as_group(&ids[16])).await.expect_problem(409, "permissions.group_too_deep");
        world.join(&admin, &ids[16], &as_group(&ids[0])).await.expect_problem(409, "permissions.group_too_deep");
        for round in 0..6 {
            let (one, two) = (world.group(&admin, &format!("a{round}")).await, world.group(&admin, &format!("b{round}")).await);
            let (into_one, into_two) = (as_group(&two), as_group(&one));
            let (first, second) = futures_util::join!(
                world.join(&admin, &one, &into_one), world.join(&admin, &two, &into_two),
            );
            let mut statuses = [first.status, second.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [204, 409], "two at once close no circle");
        }
    }

    async fn nobody_puts_anybody_where_he_would_get_more(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "keeper", &["groups:read", "groups:write", "documents:read"], &[]).await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        let keeper = world.person();
        world.assign(&keeper, "keeper").await;
        let (admins, around, readers, free) = (
            world.group(&admin, "admins").await, world.group(&admin, "around").await,
            world.group(&admin, "readers").await, world.group(&keeper, "free").await,
        );
        world.endow(&admin, &admins, "admin").await;
        world.endow(&admin, &readers, "reader").await;
        world.join(&admin, &admins, &as_group(&around)).await.expect(204);
        let person = world.person();
        for group in [&admins, &around] {
            for member in [keeper.subject(), person.subject(), as_group(&free)] {
                world.join(&keeper, group, &member).await.expect_problem(403, "permissions.grant_exceeds_own");
            }
        }
        for member in [keeper.subject(), person.subject(), as_group(&free)] {
            world.join(&keeper, &readers, &member).await.expect(204);
        }
        let body = json!({ "subject": as_group(&free), "role": "admin" });
        world.post("/api/v1/role-assignments", &body).by(&keeper).send().await.expect_problem(403, "platform.denied");
        world.role(&admin, "assigner", &["role-assignments:write"], &[]).await;
        world.assign(&keeper, "assigner").await;
        world.post("/api/v1/role-assignments", &body).by(&keeper).send().await
            .expect_problem(403, "permissions.grant_exceeds_own");
        assert!(!world.may(&keeper, "write", "roles", None).await);
        // What one holds through a group is his to give, as long as he is in it.
        let second = world.person();
        world.join(&admin, &admins, &second.subject()).await.expect(204);
        world.join(&second, &around, &person.subject()).await.expect(204);
        world.leave(&admin, &admins, &second.subject()).await.expect(204);
        world.join(&second, &around, &keeper.subject()).await.expect_problem(403, "platform.denied");
    }

    async fn members_are_listed_page_by_page(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let group = world.group(&admin, "sales").await;
        let mut expected = vec![];
        for at in 0..3 {
            let inner = world.group(&admin, &format!("g{at}")).await;
            world.join(&admin, &group, &as_group(&inner)).await.expect(204);
            expected.push(inner);
        }
        for _ in 0..4 {
            let person = world.person();
            world.join(&admin, &group, &person.subject()).await.expect(204);
            expected.push(person.id.to_string());
        }
        let path = format!("{PATH}/{group}/members?limit=2");
        let (mut found, mut cursor) = (vec![], String::new());
        loop {
            let page = world.get(&format!("{path}{cursor}")).by(&admin).send().await.expect(200);
            found.extend(page.body["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(found, expected);
        let other = world.group(&admin, "other").await;
        world.get(&format!("{PATH}/{other}/members?limit=2{cursor}")).by(&admin).send().await
            .expect_problem(400, "platform.invalid_cursor");
        let list = world.get(&format!("{PATH}?limit=2")).by(&admin).send().await.expect(200);
        assert_eq!((list.text_at("/items/0/name"), list.text_at("/items/1/name")), ("g0".into(), "g1".into()));
    }
}
