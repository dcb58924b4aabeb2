//! Administration: making, finding, changing, deleting and restoring users, and what happens when one half of a change
//! is lost.

use std::sync::atomic::Ordering;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use contracts::auth::Account;
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

use crate::world::{Person, Reply, World};

const USERS: &str = "/api/v1/users";

fn at(user: &Value) -> String {
    format!("{USERS}/{}", user["id"].as_str().unwrap())
}

async fn keyed(world: &World, by: &Person, key: &str, body: &Value) -> Reply {
    let request = TestRequest::post().uri(USERS).set_json(body).insert_header(("idempotency-key", key));
    world.send(by, request).await
}

both_engines! {
    async fn who_is_made_is_in_the_list_at_once(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let body = json!({ "email": "Mia@Example.org", "display_name": "Mia Lind", "send_invitation": true });
        let made = world.write(&root, Method::POST, USERS, &body, "").await.expect(201);
        assert_eq!(made.header("location"), at(&made.body));
        assert_eq!((&made.body["email"], &made.body["state"]), (&json!("mia@example.org"), &json!("unverified")));
        assert_eq!(world.listed(&root, "q=lind").await, ["mia@example.org"]);
        let got = world.get(&root, &at(&made.body)).await.expect(200);
        assert_eq!(got.body, made.body);
        assert_eq!(world.make(&root, "tom@example.org", "Tom").await["state"], "active");
        assert_eq!(world.listed(&root, "sort=email").await, ["mia@example.org", "tom@example.org"]);
        let taken = world.write(&root, Method::POST, USERS, &json!({ "email": "mia@example.org" }), "").await.expect(409);
        assert_eq!(taken.pointers(), ["/email"]);
        let user = made.body["id"].as_str().unwrap().parse().unwrap();
        let trail = world.trail(user).await;
        let entry = trail.iter().find(|entry| entry.action == "users.user.made").unwrap();
        assert_eq!(entry.after, Some(json!({ "state": "unverified", "invited": true })));
        assert_eq!(entry.actor_id, Some(root.account.id.to_string()));
    }

    async fn what_breaks_a_rule_is_told_all_at_once_and_makes_nobody(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let body = json!({ "email": "nobody", "display_name": "", "state": "deleted", "locale": "?" });
        let refused = world.write(&root, Method::POST, USERS, &body, "").await.expect(422);
        let mut pointers = refused.pointers();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/display_name", "/email", "/locale", "/state"]);
        for body in [json!({}), json!({ "email": 1 }), json!({ "email": "a@example.org", "role": "admin" }), json!([])] {
            world.write(&root, Method::POST, USERS, &body, "").await.expect(422);
        }
        assert!(world.listed(&root, "").await.is_empty());
    }

    async fn a_creation_that_is_sent_again_makes_one_user(db: Database) {
        let (world, between) = World::unsure(db);
        let root = world.admin();
        let body = json!({ "email": "mia@example.org", "display_name": "Mia" });
        between.lost.store(1, Ordering::SeqCst);
        keyed(&world, &root, "k1", &body).await.expect(503);
        assert!(world.listed(&root, "").await.is_empty(), "our half is missing");
        let made = keyed(&world, &root, "k1", &body).await.expect(201);
        let again = keyed(&world, &root, "k1", &body).await.expect(201);
        assert_eq!((&made.body, made.header("location")), (&again.body, again.header("location")));
        let other = json!({ "email": "tom@example.org" });
        keyed(&world, &root, "k1", &other).await.expect(422);
        assert_eq!(world.listed(&root, "").await, ["mia@example.org"]);
        let second = world.person("second@example.org");
        world.gate.allow(second.account.id, "users:write");
        keyed(&world, &second, "k1", &other).await.expect(201);
    }

    async fn a_change_of_both_halves_is_one_and_told_with_before_and_after(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let mia = world.make(&root, "mia@example.org", "Mia").await;
        let etag = world.get(&root, &at(&mia)).await.header("etag");
        let patch = json!({ "email": "mia@example.com", "state": "active", "family_name": "Berg", "display_name": null });
        let changed = world.write(&root, Method::PATCH, &at(&mia), &patch, &etag).await.expect(200);
        assert_eq!((&changed.body["email"], &changed.body["family_name"]), (&json!("mia@example.com"), &json!("Berg")));
        assert_eq!(world.get(&root, &at(&mia)).await.header("etag"), changed.header("etag"));
        assert_eq!(world.listed(&root, "q=berg").await, ["mia@example.com"]);
        assert!(world.listed(&root, "q=mia@example.org").await.is_empty());
        let trail = world.trail(mia["id"].as_str().unwrap().parse().unwrap()).await;
        let entry = trail.iter().find(|entry| entry.action == "users.account.changed").unwrap();
        assert_eq!(entry.before, Some(json!({ "email": "m***@example.org" })));
        assert_eq!(entry.after, Some(json!({ "email": "m***@example.com" })));
        world.write(&root, Method::PATCH, &at(&mia), &json!({ "state": "disabled" }), &etag).await.expect(412);
        world.write(&root, Method::PATCH, &at(&mia), &json!({ "state": "disabled" }), "*").await.expect(200);
        assert_eq!(world.listed(&root, "state=disabled").await, ["mia@example.com"]);
    }

    async fn a_patch_of_which_a_part_is_refused_changes_nothing(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let mia = world.make(&root, "mia@example.org", "Mia").await;
        world.make(&root, "tom@example.org", "Tom").await;
        let patch = json!({ "email": "x", "state": "deleted", "phone": "1", "id": "x", "email_verified": true, "role": "admin" });
        let refused = world.write(&root, Method::PATCH, &at(&mia), &patch, "").await.expect(422);
        let mut pointers = refused.pointers();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/email", "/email_verified", "/id", "/phone", "/role", "/state"]);
        let patch = json!({ "email": "mia@example.com", "phone": "1" });
        world.write(&root, Method::PATCH, &at(&mia), &patch, "").await.expect(422);
        let patch = json!({ "email": "tom@example.org", "given_name": "M" });
        world.write(&root, Method::PATCH, &at(&mia), &patch, "").await.expect(409);
        assert_eq!(world.get(&root, &at(&mia)).await.body, mia);
    }

    async fn a_change_whose_answer_got_lost_is_completed_by_sending_it_again(db: Database) {
        let (world, between) = World::unsure(db);
        let root = world.admin();
        let mia = world.make(&root, "mia@example.org", "Mia").await;
        let patch = json!({ "email": "mia@example.com", "given_name": "Maria" });
        between.lost.store(1, Ordering::SeqCst);
        world.write(&root, Method::PATCH, &at(&mia), &patch, "").await.expect(503);
        assert_eq!(world.get(&root, &at(&mia)).await.body["given_name"], Value::Null);
        let done = world.write(&root, Method::PATCH, &at(&mia), &patch, "").await.expect(200);
        assert_eq!((&done.body["email"], &done.body["given_name"]), (&json!("mia@example.com"), &json!("Maria")));
        assert_eq!(world.listed(&root, "q=mia@example.com").await, ["mia@example.com"]);
        between.lost.store(1, Ordering::SeqCst);
        world.write(&root, Method::DELETE, &at(&mia), &Value::Null, "").await.expect(503);
        world.write(&root, Method::DELETE, &at(&mia), &Value::Null, "").await.expect(204);
        assert_eq!(world.listed(&root, "state=deleted").await, ["mia@example.com"]);
    }

    async fn who_is_deleted_can_be_restored_and_nothing_else(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let mia = world.make(&root, "mia@example.org", "Mia").await;
        world.write(&root, Method::POST, &format!("{}/restore", at(&mia)), &Value::Null, "").await.expect(409);
        world.write(&root, Method::DELETE, &at(&mia), &Value::Null, "").await.expect(204);
        world.write(&root, Method::DELETE, &at(&mia), &Value::Null, "").await.expect(204);
        assert_eq!(world.get(&root, &at(&mia)).await.body["state"], "deleted");
        let refused = world.write(&root, Method::PATCH, &at(&mia), &json!({ "state": "active" }), "").await.expect(409);
        assert_eq!(refused.body["code"], "users.deleted");
        let back = world.write(&root, Method::POST, &format!("{}/restore", at(&mia)), &Value::Null, "").await.expect(200);
        assert_eq!(back.body["state"], "active");
        assert_eq!(world.listed(&root, "state=active").await, ["mia@example.org"]);
        let trail = world.trail(mia["id"].as_str().unwrap().parse().unwrap()).await;
        let told: Vec<_> = trail.iter().map(|entry| (entry.action.as_str(), entry.after.clone())).collect();
        assert!(told.contains(&("users.user.deleted", Some(json!({ "state": "deleted" })))), "{told:?}");
        assert!(told.contains(&("users.user.restored", Some(json!({ "state": "active" })))), "{told:?}");
        assert_eq!(trail.iter().filter(|entry| entry.action == "users.user.deleted").count(), 1);
    }

    async fn a_deletion_and_a_restoring_of_another_state_than_meant_are_refused(db: Database) {
        let (world, between) = World::unsure(db);
        let root = world.admin();
        let mia = world.make(&root, "mia@example.org", "Mia").await;
        let (path, restore) = (at(&mia), format!("{}/restore", at(&mia)));
        let old = world.get(&root, &path).await.header("etag");
        world.write(&root, Method::PATCH, &path, &json!({ "given_name": "M" }), "").await.expect(200);
        world.write(&root, Method::DELETE, &path, &Value::Null, &old).await.expect(412);
        // Read by us before somebody else changed it.
        let read = world.gate.auth.account_of("mia@example.org").unwrap();
        let etag = world.get(&root, &path).await.header("etag");
        world.gate.auth.set_account(Account { revision: read.revision + 1, ..read.clone() });
        *between.late.lock().unwrap() = Some(read);
        world.write(&root, Method::DELETE, &path, &Value::Null, &etag).await.expect(412);
        assert_eq!(world.get(&root, &path).await.body["state"], "active");
        let etag = world.get(&root, &path).await.header("etag");
        world.write(&root, Method::DELETE, &path, &Value::Null, &etag).await.expect(204);
        world.write(&root, Method::POST, &restore, &Value::Null, &etag).await.expect(412);
        assert_eq!(world.get(&root, &path).await.body["state"], "deleted");
        let etag = world.get(&root, &path).await.header("etag");
        let back = world.write(&root, Method::POST, &restore, &Value::Null, &etag).await.expect(200);
        assert_eq!(world.get(&root, &path).await.header("etag"), back.header("etag"));
        world.write(&root, Method::DELETE, &path, &Value::Null, "*").await.expect(204);
        world.write(&root, Method::POST, &restore, &Value::Null, "*").await.expect(200);
    }

    async fn who_may_write_and_not_read_is_shown_nobody(db: Database) {
        let world = World::new(db);
        let (root, desk) = (world.admin(), world.person("desk@example.org"));
        world.gate.allow(desk.account.id, "users:write");
        let mia = world.make(&root, "mia@example.org", "Mia").await;
        let (path, restore) = (at(&mia), format!("{}/restore", at(&mia)));
        for patch in [json!({}), json!({ "phone": "+436601234567" })] {
            let done = world.write(&desk, Method::PATCH, &path, &patch, "").await.expect(204);
            assert_eq!((&*done.text, done.header("etag")), ("", world.get(&root, &path).await.header("etag")));
        }
        assert_eq!(world.get(&root, &path).await.body["phone"], "+436601234567");
        world.write(&desk, Method::DELETE, &path, &Value::Null, "").await.expect(204);
        let done = world.write(&desk, Method::POST, &restore, &Value::Null, "").await.expect(204);
        assert_eq!((&*done.text, done.header("etag")), ("", world.get(&root, &path).await.header("etag")));
        world.gate.allow(desk.account.id, "users:read");
        let seen = world.write(&desk, Method::PATCH, &path, &json!({}), "").await.expect(200);
        assert_eq!(seen.body["email"], "mia@example.org");
    }

    async fn an_invitation_that_is_refused_is_called_as_it_was_asked_for(db: Database) {
        let (world, _) = World::unsure(db);
        let root = world.admin();
        let body = json!({ "email": "mia@example.org", "send_invitation": true, "state": "disabled" });
        let refused = world.write(&root, Method::POST, USERS, &body, "").await.expect(422);
        assert_eq!(refused.pointers(), ["/send_invitation"]);
    }

    async fn nobody_switches_himself_off(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let own = format!("{USERS}/{}", root.account.id);
        let refused = world.write(&root, Method::DELETE, &own, &Value::Null, "").await.expect(409);
        assert_eq!(refused.body["code"], "users.own_account");
        world.write(&root, Method::PATCH, &own, &json!({ "state": "disabled" }), "").await.expect(409);
        world.write(&root, Method::PATCH, &own, &json!({ "email": "new@example.org" }), "").await.expect(409);
        world.write(&root, Method::PATCH, &own, &json!({ "given_name": "Root", "state": "active" }), "").await.expect(200);
    }

    async fn lists_are_stable_while_people_come(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        for number in 0..25 {
            world.make(&root, &format!("user{number:02}@example.org"), "Same Name").await;
        }
        for sort in ["created_at", "-created_at", "email", "-email"] {
            for filter in ["", "&state=active", "&q=same", "&q=same user"] {
                let query = format!("limit=7&sort={sort}{}", filter.replace(' ', "%20"));
                let all = world.listed(&root, &query).await;
                let mut once = all.clone();
                once.sort_unstable();
                once.dedup();
                assert_eq!((all.len(), once.len()), (25, 25), "{query}");
                if sort == "email" {
                    assert!(all.is_sorted(), "{query}");
                }
            }
        }
        let first = world.get(&root, "/api/v1/users?limit=10").await.expect(200);
        let page = |reply: &Reply| reply.body["items"].as_array().unwrap().iter().map(|it| it["email"].clone()).collect::<Vec<_>>();
        world.make(&root, "newcomer@example.org", "New").await;
        let cursor = first.body["next_cursor"].as_str().unwrap();
        let second = world.get(&root, &format!("/api/v1/users?limit=10&cursor={cursor}")).await.expect(200);
        assert!(page(&second).iter().all(|it| !page(&first).contains(it)), "somebody is listed twice");
        assert!(!page(&second).contains(&json!("newcomer@example.org")));
    }
}
