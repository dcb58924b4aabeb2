//! The interface: what is answered to good requests, and which field a bad one is told about.

use actix_web::http::Method;
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

use crate::world::World;

const ME: &str = "/api/v1/users/me";
const EDITOR: &str = "/api/v1/users/me/preferences/editor";

both_engines! {
    async fn a_profile_is_made_on_first_touch_and_asks_auth_who_it_is(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let me = world.get(&mia, ME).await.expect(200);
        assert_eq!(me.body["email"], "mia@example.org");
        assert_eq!((&me.body["state"], &me.body["email_verified"]), (&json!("active"), &json!(true)));
        assert_eq!((&me.body["display_name"], &me.body["attributes"]), (&Value::Null, &json!({})));
        let account = contracts::auth::Account { revision: 2, email_verified: false, ..mia.account.clone() };
        world.gate.auth.set_account(account);
        let later = world.get(&mia, ME).await.expect(200);
        assert_eq!(later.body["email_verified"], false, "identity is never copied");
        assert_ne!(later.header("etag"), me.header("etag"), "the account is part of the state");
    }

    async fn a_change_is_told_and_written_down_without_what_is_personal(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let patch = json!({ "given_name": "Mia", "phone": "+436601234567", "locale": "de-at" });
        let changed = world.write(&mia, Method::PATCH, ME, &patch, "").await.expect(200);
        assert_eq!((&changed.body["given_name"], &changed.body["locale"]), (&json!("Mia"), &json!("de-AT")));
        let trail = world.trail(mia.account.id).await;
        let entry = trail.last().unwrap();
        assert_eq!(entry.action, "users.user.updated");
        assert_eq!(entry.before, Some(json!({ "given_name": false, "phone": false, "locale": null })));
        assert_eq!(entry.after, Some(json!({ "given_name": true, "phone": true, "locale": "de-AT" })));
        let same = world.write(&mia, Method::PATCH, ME, &patch, "").await.expect(200);
        assert_eq!(same.header("etag"), changed.header("etag"), "what changes nothing is no change");
        assert_eq!(world.trail(mia.account.id).await.len(), trail.len());
    }

    async fn a_change_to_another_state_than_meant_is_refused(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let etag = world.get(&mia, ME).await.header("etag");
        world.write(&mia, Method::PATCH, ME, &json!({ "given_name": "Mia" }), &etag).await.expect(200);
        let lost = world.write(&mia, Method::PATCH, ME, &json!({ "given_name": "Maria" }), &etag).await.expect(412);
        assert_eq!(lost.header("content-type"), "application/problem+json");
        world.write(&mia, Method::PATCH, ME, &json!({ "given_name": "Maria" }), "*").await.expect(200);
        world.write(&mia, Method::PATCH, ME, &json!({ "given_name": "M" }), "\"someone else's\"").await.expect(412);
    }

    async fn what_is_not_ones_own_to_change_is_refused_by_name(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        for field in ["email", "email_verified", "id", "state", "created_at", "updated_at", "role", "is_admin"] {
            let reply = world.write(&mia, Method::PATCH, ME, &json!({ (field): "x" }), "").await.expect(422);
            assert_eq!(reply.pointers(), [format!("/{field}")]);
        }
        for (patch, pointers) in [
            (json!({ "display_name": 7, "phone": {}, "email": "x", "role": "admin" }), vec!["/display_name", "/email", "/phone", "/role"]),
            (json!({ "attributes": [] }), vec!["/attributes"]),
            (json!({ "phone": "1", "locale": "?", "time_zone": "x" }), vec!["/locale", "/phone", "/time_zone"]),
            (json!({ "avatar_url": "http://10.0.0.1/" }), vec!["/avatar_url"]),
            (json!({ "display_name": "x".repeat(201), "given_name": "a\u{202e}b" }), vec!["/display_name", "/given_name"]),
            (json!({ "attributes": { "a": "x".repeat(17_000) } }), vec!["/attributes"]),
        ] {
            let reply = world.write(&mia, Method::PATCH, ME, &patch, "").await.expect(422);
            assert_eq!(reply.pointers(), pointers, "{patch}");
        }
        for body in [json!(["Mia"]), json!("Mia"), json!(null)] {
            world.write(&mia, Method::PATCH, ME, &body, "").await.expect(422);
        }
        assert_eq!(world.get(&mia, ME).await.header("etag"), "\"2\"", "nothing was changed");
    }

    async fn preferences_are_put_patched_read_and_removed(db: Database) {
        let world = World::new(db);
        let (mia, tom) = (world.person("mia@example.org"), world.person("tom@example.org"));
        world.get(&mia, EDITOR).await.expect(404);
        let new = world.write(&mia, Method::PUT, EDITOR, &json!({ "theme": "dark", "n": { "a": 1 } }), "").await.expect(201);
        let patched = json!({ "theme": null, "n": { "b": 2 } });
        let patched = world.write(&mia, Method::PATCH, EDITOR, &patched, &new.header("etag")).await.expect(200);
        assert_eq!(patched.body, json!({ "n": { "a": 1, "b": 2 } }));
        world.write(&mia, Method::PUT, EDITOR, &json!({}), &new.header("etag")).await.expect(412);
        world.write(&mia, Method::PUT, EDITOR, &json!({ "x": 1 }), "").await.expect(200);
        let all = world.get(&mia, "/api/v1/users/me/preferences").await.expect(200);
        assert_eq!(all.body, json!({ "editor": { "x": 1 } }));
        world.get(&tom, EDITOR).await.expect(404);
        world.write(&mia, Method::DELETE, EDITOR, &Value::Null, "\"1\"").await.expect(412);
        world.write(&mia, Method::DELETE, EDITOR, &Value::Null, "").await.expect(204);
        world.write(&mia, Method::DELETE, EDITOR, &Value::Null, "").await.expect(404);
        world.write(&mia, Method::PATCH, EDITOR, &json!({}), "").await.expect(404);
        world.write(&mia, Method::PUT, EDITOR, &json!({}), "*").await.expect(412);
        let told = world.trail(mia.account.id).await;
        assert_eq!(told.iter().filter(|entry| entry.action == "users.preference.changed").count(), 4);
        assert!(told.iter().all(|entry| !format!("{entry:?}").contains("dark")), "preferences are not audited");
    }

    async fn preferences_that_stay_as_they_are_are_no_change(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let first = world.write(&mia, Method::PUT, EDITOR, &json!({ "a": 1, "b": { "c": [2] } }), "").await.expect(201);
        let told = world.trail(mia.account.id).await.len();
        let same = json!({ "b": { "c": [2] }, "a": 1 });
        for if_match in [String::new(), "*".to_owned(), first.header("etag")] {
            let again = world.write(&mia, Method::PUT, EDITOR, &same, &if_match).await.expect(200);
            assert_eq!((&again.body, again.header("etag")), (&same, first.header("etag")));
        }
        let patched = world.write(&mia, Method::PATCH, EDITOR, &json!({ "a": 1, "d": null }), "").await.expect(200);
        assert_eq!((&patched.body, patched.header("etag")), (&same, first.header("etag")));
        world.write(&mia, Method::PUT, EDITOR, &same, "\"7\"").await.expect(412);
        assert_eq!(world.trail(mia.account.id).await.len(), told, "something was written down");
        let other = world.write(&mia, Method::PUT, EDITOR, &json!({ "a": 2 }), "").await.expect(200);
        assert_ne!(other.header("etag"), first.header("etag"));
    }

    async fn what_was_removed_and_made_again_is_something_else(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let first = world.write(&mia, Method::PUT, EDITOR, &json!({ "a": 1 }), "").await.expect(201);
        world.write(&mia, Method::DELETE, EDITOR, &Value::Null, &first.header("etag")).await.expect(204);
        let second = world.write(&mia, Method::PUT, EDITOR, &json!({ "a": 2 }), "").await.expect(201);
        assert_eq!((&*first.header("etag"), &*second.header("etag")), ("\"1\"", "\"2\""));
        world.write(&mia, Method::PUT, EDITOR, &json!({ "a": 3 }), &first.header("etag")).await.expect(412);
        world.write(&mia, Method::DELETE, EDITOR, &Value::Null, &first.header("etag")).await.expect(412);
    }

    async fn preferences_have_bounds(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let put = async |path: &str, body: Value| world.write(&mia, Method::PUT, path, &body, "").await;
        put(EDITOR, json!({ "text": "x".repeat(16 * 1024) })).await.expect(413);
        put(EDITOR, json!({ "text": "x".repeat(70 * 1024) })).await.expect(413);
        put(EDITOR, json!([1])).await.expect(422);
        put(EDITOR, json!("text")).await.expect(422);
        put(EDITOR, (0..40).fold(json!(1), |inner, _| json!({ "x": inner }))).await.expect(422);
        for odd in ["My-App", "..", "a%20b", "a%2Fb", "1st", &"a".repeat(64)] {
            let path = format!("/api/v1/users/me/preferences/{odd}");
            let refused = put(&path, json!({})).await.expect(422);
            assert_eq!((refused.pointers(), &refused.body["errors"][0]["code"]), (vec!["/namespace"], &json!("malformed_namespace")));
            world.get(&mia, &path).await.expect(404);
            world.write(&mia, Method::PATCH, &path, &json!({}), "").await.expect(404);
            world.write(&mia, Method::DELETE, &path, &Value::Null, "").await.expect(404);
        }
        for name in ["one", "two", "three"] {
            put(&format!("/api/v1/users/me/preferences/{name}"), json!({})).await.expect(201);
        }
        let fourth = put("/api/v1/users/me/preferences/four", json!({})).await.expect(409);
        assert_eq!(fourth.body["code"], "users.too_many_namespaces");
        put("/api/v1/users/me/preferences/one", json!({ "still": "writable" })).await.expect(200);
    }
}
