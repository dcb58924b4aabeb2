//! Who may do less does not get at the account of who may do more; and an export ends with the right to it.

use std::pin::Pin;

use actix_web::body::MessageBody;
use actix_web::http::Method;
use actix_web::test::TestRequest;
use contracts::UserId;
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

use crate::world::{Person, World};

fn at(user: UserId) -> String {
    format!("/api/v1/users/{user}")
}

/// Somebody of the help desk, and somebody who may do more.
fn desk_and_boss(world: &World) -> (Person, Person) {
    let (desk, boss) = (world.person("desk@example.org"), world.person("boss@example.org"));
    for right in ["users:read", "users:write"] {
        world.gate.allow(desk.account.id, right);
    }
    (desk, boss)
}

async fn next_piece<B: MessageBody>(body: &mut Pin<Box<B>>) -> Option<Result<String, B::Error>> {
    let piece = std::future::poll_fn(|context| body.as_mut().poll_next(context)).await?;
    Some(piece.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()))
}

both_engines! {
    async fn nobody_gets_at_the_account_of_who_may_do_more(db: Database) {
        let world = World::new(db);
        let (root, (desk, boss)) = (world.admin(), desk_and_boss(&world));
        let path = at(boss.account.id);
        world.gate.permissions.add_outranking(boss.account.id);
        for patch in [
            json!({ "email": "me@evil.test" }),
            json!({ "email": "me@evil.test", "state": "active" }),
            json!({ "state": "disabled", "given_name": "B" }),
            json!({ "phone": "+436601234567" }),
            json!({ "given_name": "B", "attributes": { "team": "blue" } }),
            json!({ "locale": "de" }),
            json!({ "time_zone": null }),
            json!({ "avatar_url": "https://evil.test/a.png" }),
        ] {
            let refused = world.write(&desk, Method::PATCH, &path, &patch, "").await.expect(403);
            assert_eq!(refused.body["code"], "users.outranks_you", "{patch}");
        }
        world.write(&desk, Method::DELETE, &path, &Value::Null, "").await.expect(403);
        let seen = world.get(&root, &path).await.expect(200).body;
        assert_eq!((&seen["email"], &seen["state"], &seen["given_name"]), (&json!("boss@example.org"), &json!("active"), &Value::Null));

        let names = json!({ "given_name": "B", "family_name": "O", "display_name": "Boss", "state": "active" });
        world.write(&desk, Method::PATCH, &path, &names, "").await.expect(200);
        let mia = world.make(&desk, "mia@example.org", "Mia").await;
        let mia = at(mia["id"].as_str().unwrap().parse().unwrap());
        world.write(&desk, Method::PATCH, &mia, &json!({ "email": "mia2@example.org", "locale": "de" }), "").await.expect(200);
        world.write(&desk, Method::DELETE, &mia, &Value::Null, "").await.expect(204);
    }

    async fn nobody_restores_who_may_do_more(db: Database) {
        let world = World::new(db);
        let (root, (desk, boss)) = (world.admin(), desk_and_boss(&world));
        world.write(&root, Method::DELETE, &at(boss.account.id), &Value::Null, "").await.expect(204);
        world.gate.permissions.add_outranking(boss.account.id);
        let restore = format!("{}/restore", at(boss.account.id));
        let refused = world.write(&desk, Method::POST, &restore, &Value::Null, "").await.expect(403);
        assert_eq!(refused.body["code"], "users.outranks_you");
        assert_eq!(world.get(&root, &at(boss.account.id)).await.body["state"], "deleted");
    }

    async fn nobody_is_imported_under_an_id_that_was_given_more(db: Database) {
        let world = World::new(db);
        let (desk, boss) = desk_and_boss(&world);
        let (promised, plain) = (UserId::new(), UserId::new());
        world.gate.permissions.add_outranking(promised);
        world.gate.permissions.add_outranking(boss.account.id);
        let rows = [
            json!({ "id": promised, "email": "me@evil.test", "email_verified": true }),
            json!({ "id": plain, "email": "mia@example.org" }),
            json!({ "id": boss.account.id, "email": "boss@example.org" }),
            json!({ "email": "ida@example.org" }),
        ];
        let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
        for query in ["?dry_run=true", ""] {
            let report = world.import(&desk, query, "application/x-ndjson", &rows).await.expect(200).body;
            assert_eq!((&report["created"], &report["present"], &report["refused"]), (&json!(2), &json!(1), &json!(1)), "{report:#}");
            let error = &report["errors"][0];
            assert_eq!((&error["row"], &error["pointer"], &error["code"]), (&json!(1), &json!("/id"), &json!("outranks_you")));
        }
        world.get(&desk, &at(promised)).await.expect(404);
        world.get(&desk, &at(plain)).await.expect(200);
    }

    async fn nothing_is_added_by_an_import_to_who_may_do_more(db: Database) {
        let world = World::new(db);
        let (desk, boss) = desk_and_boss(&world);
        let mia = world.person("mia@example.org");
        world.gate.permissions.add_outranking(boss.account.id);
        let row = |person: &Person| {
            json!({ "id": person.account.id, "email": person.account.email.as_str(), "phone": "+436601234567", "attributes": { "a": 1 } })
        };
        let rows = format!("{}\n{}\n", row(&boss), row(&mia));
        let report = world.import(&desk, "", "application/x-ndjson", &rows).await.expect(200).body;
        assert_eq!((&report["present"], &report["refused"]), (&json!(2), &json!(0)), "{report:#}");
        let seen = world.get(&desk, &at(boss.account.id)).await.expect(200).body;
        assert_eq!((&seen["phone"], &seen["attributes"]), (&Value::Null, &json!({})));
        assert_eq!(world.get(&desk, &at(mia.account.id)).await.expect(200).body["phone"], "+436601234567");
        assert_eq!(world.listed(&desk, "q=boss").await, ["boss@example.org"]);
    }

    async fn an_export_ends_with_the_right_to_it_and_with_the_login(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        world.make(&root, "mia@example.org", "Mia").await;
        let export = || TestRequest::get().uri("/api/v1/users/exports?format=csv");
        let mut body = Box::pin(world.answer(&root, export()).await.into_body());
        assert!(next_piece(&mut body).await.unwrap().is_ok_and(|head| head.starts_with("id,email")));
        assert!(next_piece(&mut body).await.unwrap().is_ok_and(|rows| rows.contains("mia@example.org")));
        world.gate.permissions.refuse(root.account.id, "users:export");
        assert!(next_piece(&mut body).await.unwrap().is_err(), "it went on without the right");

        world.gate.allow(root.account.id, "users:export");
        let mut body = Box::pin(world.answer(&root, export()).await.into_body());
        assert!(next_piece(&mut body).await.unwrap().is_ok());
        world.gate.auth.end_sessions(root.account.id);
        assert!(next_piece(&mut body).await.unwrap().is_err(), "it went on after the logout");
    }
}
