//! `/api/v1/role-assignments` and what users hold.

use crate::world::{World, cold, warm};
use contracts::UserId;
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::both_engines;

const PATH: &str = "/api/v1/role-assignments";

both_engines! {
    async fn a_role_is_given_and_taken_away(db: Database) {
        for cache in [warm(), cold()] {
            let world = World::with_cache(db.clone(), &cache);
            let admin = world.administrator().await;
            let role = if cache.settings().enabled { "reader" } else { "reader2" };
            world.role(&admin, role, &["documents:read"], &[]).await;
            let person = world.person();
            for _ in 0..4 {
                assert!(!world.may(&person, "read", "documents", Some("1")).await);
            }
            let body = json!({
                "subject": person.subject(), "role": role,
                "resource": { "type": "documents", "id": "1" }, "expires_at": "2026-12-31T00:00:00+01:00",
            });
            let made = world.post(PATH, &body).by(&admin).send().await.expect(201);
            let id = made.text("id");
            assert_eq!(made.header("location"), format!("{PATH}/{id}"));
            assert_eq!(made.body, json!({
                "id": id, "subject": person.subject(), "role": role,
                "resource": { "type": "documents", "id": "1" },
                "expires_at": "2026-12-30T23:00:00Z", "created_at": "2026-12-01T12:00:00Z",
            }));
            for _ in 0..4 {
                assert!(world.may(&person, "read", "documents", Some("1")).await, "at once");
            }
            let path = format!("{PATH}/{id}");
            assert_eq!(world.get(&path).by(&admin).send().await.expect(200).body, made.body);
            world.delete(&path).by(&admin).send().await.expect(204);
            assert!(!world.may(&person, "read", "documents", Some("1")).await, "on the very next question");
            world.delete(&path).by(&admin).send().await.expect_problem(404, "permissions.assignment_not_found");
            world.get(&path).by(&admin).send().await.expect_problem(404, "permissions.assignment_not_found");

            let told: Vec<_> = world.events().await.into_iter().filter(|event| event.subject == id).collect();
            let types: Vec<_> = told.iter().map(|event| event.event_type.as_str()).collect();
            assert_eq!(types, ["permissions.assignment.created", "permissions.assignment.deleted"]);
            assert_eq!(told[1].data, json!({ "assignment": id, "subject": person.subject(), "role": role }));
            let trail = world.trail(&id).await;
            assert_eq!((trail[0].before.is_none(), trail[1].after.is_none()), (true, true));
            assert_eq!(trail[0].after, trail[1].before);
        }
    }

    async fn the_same_role_is_given_once_at_a_place(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        let person = world.person();
        let everywhere = json!({ "subject": person.subject(), "role": "reader" });
        let on = |id: &str| json!({
            "subject": person.subject(), "role": "reader", "resource": { "type": "documents", "id": id },
        });
        for body in [&everywhere, &on("1"), &on("2"), &on("1 ")] {
            let ask = || world.post(PATH, body).by(&admin).send();
            let mut statuses: Vec<u16> = join_all((0..3).map(|_| ask())).await.iter().map(|one| one.status).collect();
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 409, 409], "{body}");
            ask().await.expect_problem(409, "permissions.assignment_exists");
        }
    }

    async fn what_has_ended_makes_way(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        let person = world.person();
        let until = |end| json!({ "subject": person.subject(), "role": "reader", "expires_at": end });
        let first = world.post(PATH, &until(world.later(60))).by(&admin).send().await.expect(201);
        assert!(world.may(&person, "read", "documents", None).await);
        world.clock.advance(Duration::from_secs(59));
        assert!(world.may(&person, "read", "documents", None).await);
        world.clock.advance(Duration::from_secs(1));
        assert!(!world.may(&person, "read", "documents", None).await, "ended, without anybody doing anything");
        let second = world.post(PATH, &until(world.later(60))).by(&admin).send().await.expect(201);
        assert_ne!(first.text("id"), second.text("id"));
        assert!(world.may(&person, "read", "documents", None).await);
        assert_eq!(world.trail(&first.text("id")).await.len(), 2, "its end is on the trail");
    }

    async fn bad_input_is_refused_where_it_is_bad(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let good = || json!({
            "subject": { "type": "user", "id": UserId::new() }, "role": "admin",
            "resource": { "type": "documents", "id": "1" }, "expires_at": "2027-01-01T00:00:00Z",
        });
        let cases: Vec<(&str, Value, &[&str])> = vec![
            ("subject", Value::Null, &["/subject"]),
            ("subject", json!("user"), &["/subject"]),
            ("subject", json!({ "type": "user" }), &["/subject/id"]),
            ("subject", json!({ "type": "group", "id": "x" }), &["/subject/id"]),
            ("subject", json!({ "type": "group", "id": UserId::new() }), &["/subject/id"]),
            ("subject", json!({ "type": "service", "id": UserId::new() }), &["/subject/type"]),
            ("subject", json!({ "type": "user", "id": "user:1" }), &["/subject/id"]),
            ("subject", json!({ "type": "user", "id": UserId::new(), "name": "x" }), &["/subject/name"]),
            ("role", json!(["admin"]), &["/role"]),
            ("role", json!("Admin"), &["/role"]),
            ("role", json!("gone"), &["/role"]),
            ("resource", json!("documents"), &["/resource"]),
            ("resource", json!({ "type": "documents" }), &["/resource/id"]),
            ("resource", json!({ "type": "a:b", "id": "" }), &["/resource/type", "/resource/id"]),
            ("resource", json!({ "type": "*", "id": "1" }), &["/resource/type"]),
            ("resource", json!({ "type": "documents", "id": "a\u{0}" }), &["/resource/id"]),
            ("resource", json!({ "type": "documents", "id": "a\u{1b}[2J" }), &["/resource/id"]),
            ("resource", json!({ "type": "documents", "id": "é".repeat(256) }), &["/resource/id"]),
            ("expires_at", json!("tomorrow"), &["/expires_at"]),
            ("expires_at", json!(1_800_000_000), &["/expires_at"]),
            ("expires_at", json!("2026-12-01T12:00:00Z"), &["/expires_at"]),
            ("expires_at", json!("2026-12-01T11:59:59Z"), &["/expires_at"]),
            ("until", json!("2027-01-01T00:00:00Z"), &["/until"]),
        ];
        for (field, value, pointers) in cases {
            let mut body = good();
            body[field] = value;
            let reply = world.post(PATH, &body).by(&admin).send().await.expect(422);
            assert_eq!(reply.pointers(), pointers, "{field} {:#}", reply.body);
        }
        let mut longest = good();
        longest["resource"]["id"] = json!("é".repeat(255));
        world.post(PATH, &longest).by(&admin).send().await.expect(201);
        for (query, pointer) in [("subject=x", "/subject"), ("role=X", "/role"), ("limit=-1", "/limit"), ("state=1", "/state"), ("subject_type=x", "/subject_type"), ("until=1", "/until")] {
            let reply = world.get(&format!("{PATH}?{query}")).by(&admin).send().await.expect(400);
            assert_eq!(reply.pointers(), [pointer]);
        }
        for path in ["x", "%00", "01890a5d-ac96-774b-bcce-b302099a805"] {
            world.delete(&format!("{PATH}/{path}")).by(&admin).send().await.expect(404);
        }
    }

    async fn assignments_are_listed_by_subject_and_role(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        world.role(&admin, "reader-eu", &["documents:read"], &[]).await;
        let (one, other) = (world.person(), world.person());
        for person in [&one, &other] {
            for role in ["reader", "reader-eu"] {
                world.assign(person, role).await;
            }
        }
        let list = async |query: &str| {
            let mut found = vec![];
            let mut cursor = String::new();
            loop {
                let page = world.get(&format!("{PATH}?limit=2{query}{cursor}")).by(&admin).send().await.expect(200);
                for item in page.body["items"].as_array().unwrap() {
                    found.push(format!("{} {}", item["subject"]["id"].as_str().unwrap(), item["role"].as_str().unwrap()));
                }
                match page.body["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break found,
                }
            }
        };
        let (one, other) = (one.id, other.id);
        let all = [
            format!("{} admin", admin.id), format!("{one} reader"), format!("{one} reader-eu"),
            format!("{other} reader"), format!("{other} reader-eu"),
        ];
        assert_eq!(list("").await, all);
        assert_eq!(list(&format!("&subject={one}")).await, all[1..3]);
        assert_eq!(list("&role=reader").await, [all[1].clone(), all[3].clone()]);
        assert_eq!(list(&format!("&role=reader-eu&subject={other}")).await, all[4..]);
        let body = json!({
            "subject": { "type": "user", "id": one }, "role": "reader", "expires_at": world.later(60),
            "resource": { "type": "documents", "id": "a b" },
        });
        world.post(PATH, &body).by(&admin).send().await.expect(201);
        let scoped = [format!("{one} reader")];
        assert_eq!(list("&resource_type=documents").await, scoped);
        assert_eq!(list("&resource_type=documents&resource_id=a+b").await, scoped);
        assert!(list("&resource_type=document").await.is_empty());
        assert!(list("&resource_id=a").await.is_empty());
        assert!(list("&state=ended").await.is_empty() && list("&subject_type=group").await.is_empty());
        assert_eq!(list("&subject_type=user").await.len(), 6);
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(list("&state=ended").await, scoped);
        assert_eq!(list("&state=active").await, all);
        let page = world.get(&format!("{PATH}?limit=1&role=reader")).by(&admin).send().await;
        let cursor = page.text("next_cursor");
        world.get(&format!("{PATH}?limit=1&cursor={cursor}")).by(&admin).send().await
            .expect_problem(400, "platform.invalid_cursor");
    }

    async fn the_last_administrator_stays(db: Database) {
        let world = World::new(db);
        let (first, second, brief) = (world.person(), world.person(), world.person());
        let one = world.assign(&first, "admin").await;
        let other = world.assign(&second, "admin").await;
        world.assign_until(&brief, "admin", Some(world.later(60))).await;
        let body = json!({
            "subject": brief.subject(), "role": "admin", "resource": { "type": "documents", "id": "1" },
        });
        world.post(PATH, &body).by(&first).send().await.expect(201);
        world.delete(&format!("{PATH}/{one}")).by(&second).send().await.expect(204);
        world.delete(&format!("{PATH}/{other}")).by(&second).send().await
            .expect_problem(409, "permissions.last_administrator");
        assert!(world.may(&second, "write", "roles", None).await);
        assert_eq!(world.trail(&other.to_string()).await.len(), 1, "nothing was removed");
    }

    async fn two_administrators_removed_at_once_leave_one(db: Database) {
        let world = World::new(db);
        let mut keeper = world.administrator().await;
        for _ in 0..8 {
            let other = world.administrator().await;
            let of = async |id: UserId| {
                let list = world.get(&format!("{PATH}?subject={id}")).by(&keeper).send().await.expect(200);
                list.text_at("/items/0/id")
            };
            let (one, two) = (of(keeper.id).await, of(other.id).await);
            let (one_path, two_path) = (format!("{PATH}/{one}"), format!("{PATH}/{two}"));
            let (first, second) = futures_util::join!(
                world.delete(&one_path).by(&other).send(),
                world.delete(&two_path).by(&keeper).send(),
            );
            match (first.status, second.status) {
                (204, 409) => { second.expect_problem(409, "permissions.last_administrator"); keeper = other; }
                (409, 204) => { first.expect_problem(409, "permissions.last_administrator"); }
                // The second one was judged after the first had taken its own right away.
                (204, 403) => keeper = other,
                (403, 204) => {}
                both => panic!("{both:?}"),
            }
            let left = world.get(&format!("{PATH}?role=admin")).by(&keeper).send().await.expect(200);
            assert_eq!(left.body["items"].as_array().unwrap().len(), 1);
        }
    }

    async fn a_third_removes_the_last_two_at_once_and_one_stays(db: Database) {
        let world = World::new(db);
        let root = world.administrator().await;
        world.role(&root, "remover", &["*:*"], &[]).await;
        let remover = world.person();
        world.assign(&remover, "remover").await;
        let mut kept = world.assign(&root, "admin").await;
        for _ in 0..8 {
            let other = world.assign(&world.person(), "admin").await;
            let (one, two) = (format!("{PATH}/{kept}"), format!("{PATH}/{other}"));
            let (first, second) = futures_util::join!(
                world.delete(&one).by(&remover).send(),
                world.delete(&two).by(&remover).send(),
            );
            let mut statuses = [first.status, second.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [204, 409]);
            if first.status == 204 {
                kept = other;
            }
        }
    }

    async fn everybody_sees_what_he_holds(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        world.role(&admin, "editor", &["documents:write"], &["reader"]).await;
        let person = world.person();
        let lasting = world.assign(&person, "editor").await;
        let end = world.later(60);
        world.assign_until(&person, "reader", Some(end)).await;
        let body = json!({
            "subject": person.subject(), "role": "reader", "resource": { "type": "folders", "id": "a:b#c" },
        });
        let scoped = world.post(PATH, &body).by(&admin).send().await.expect(201).text("id");
        world.clock.advance(Duration::from_secs(30));

        let path = format!("/api/v1/users/{}/roles", person.id);
        let own = world.get(&path).by(&person).send().await.expect(200);
        assert_eq!(own.body["items"][0], json!({
            "role": "member", "implicit": true, "assignment_id": null, "resource": null, "group": null,
            "expires_at": null,
        }));
        assert_eq!(own.body["items"][1], json!({
            "role": "editor", "implicit": false, "assignment_id": lasting, "resource": null, "group": null,
            "expires_at": null,
        }));
        assert_eq!(own.body["items"][2]["expires_at"], json!(end));
        assert_eq!(own.body["items"][3]["resource"], json!({ "type": "folders", "id": "a:b#c" }));
        assert_eq!(world.get(&path).by(&admin).send().await.expect(200).body, own.body);
        world.get(&path).by(&world.person()).send().await.expect_problem(403, "platform.denied");

        let mine = world.get("/api/v1/users/me/permissions").by(&person).send().await.expect(200);
        assert_eq!(mine.body, json!({ "items": [
            { "permission": "own:*", "resource": null,
              "sources": [{ "role": "member", "listed_by": "member", "group": null, "expires_at": null }] },
            { "permission": "documents:read", "resource": null, "sources": [
                { "role": "editor", "listed_by": "reader", "group": null, "expires_at": null },
                { "role": "reader", "listed_by": "reader", "group": null, "expires_at": end },
            ] },
            { "permission": "documents:write", "resource": null,
              "sources": [{ "role": "editor", "listed_by": "editor", "group": null, "expires_at": null }] },
            { "permission": "documents:read", "resource": { "type": "folders", "id": "a:b#c" },
              "sources": [{ "role": "reader", "listed_by": "reader", "group": null, "expires_at": null }] },
        ] }));

        world.clock.advance(Duration::from_secs(30));
        let now = world.get(&path).by(&person).send().await.expect(200);
        let ids: Vec<_> = now.body["items"].as_array().unwrap().iter().map(|one| &one["assignment_id"]).collect();
        assert_eq!(ids, [&Value::Null, &json!(lasting), &json!(scoped)], "what has ended is not held");
        let mine = world.get("/api/v1/users/me/permissions").by(&person).send().await.expect(200);
        assert_eq!(mine.body["items"][1]["sources"].as_array().unwrap().len(), 1);
        world.get("/api/v1/users/nobody/roles").by(&admin).send().await.expect(404);
    }
}
