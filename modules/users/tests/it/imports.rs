//! Imports and exports: many rows, of which some are bad, interrupted anywhere.

use std::sync::atomic::Ordering;

use actix_web::test::TestRequest;
use contracts::auth::AccountRegistered;
use contracts::{Caller, Event};
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

use crate::world::World;

const NDJSON: &str = "application/x-ndjson";

/// So many rows, each with a name.
fn rows(count: usize) -> String {
    let row = |number| {
        let row = json!({
            "email": format!("user{number:04}@example.org"), "given_name": format!("Given{number}"),
            "email_verified": true, "phone": "+436601234567", "created_at": "2020-01-01T00:00:00Z",
        });
        format!("{row}\n")
    };
    (0..count).map(row).collect()
}

fn counts(report: &Value) -> [i64; 4] {
    ["rows", "created", "present", "refused"].map(|name| report[name].as_i64().unwrap())
}

both_engines! {
    async fn good_rows_are_taken_and_bad_ones_told(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let body = format!("{}{}\nnot json\n{}\n{}", rows(3), json!({ "email": "x", "phone": "1" }),
            json!({ "email": "user0000@example.org" }), json!({ "email": "late@example.org", "roles": ["admin"] }));
        let report = world.import(&root, "", NDJSON, &body).await.expect(200).body;
        assert_eq!(counts(&report), [7, 3, 0, 4], "{report:#}");
        let told: Vec<_> = report["errors"].as_array().unwrap().iter()
            .map(|it| (it["row"].as_i64().unwrap(), it["pointer"].as_str().unwrap(), it["code"].as_str().unwrap())).collect();
        assert_eq!(told, [
            (4, "/email", "malformed_address"), (4, "/phone", "malformed_phone"), (5, "", "platform.malformed_json"),
            (6, "/email", "taken"), (7, "/roles", "unknown_field"),
        ]);
        assert_eq!((&report["finished"], &report["errors_cut"]), (&json!(true), &json!(false)));
        let id = report["id"].as_str().unwrap();
        assert_eq!(world.get(&root, &format!("/api/v1/users/imports/{id}")).await.expect(200).body, report);
        assert_eq!(world.get(&root, "/api/v1/users/imports").await.expect(200).body["items"], json!([report]));
        assert_eq!(world.listed(&root, "q=given2").await, ["user0002@example.org"]);
        let found = world.get(&root, "/api/v1/users?q=given2").await.body["items"][0].clone();
        assert_eq!((&found["phone"], &found["state"]), (&json!("+436601234567"), &json!("active")));
        assert_eq!(found["created_at"], "2020-01-01T00:00:00Z");
        assert!(!report.to_string().contains("late@example.org"), "a report repeats no values");
    }

    async fn a_dry_run_changes_nothing(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let report = world.import(&root, "?dry_run=true", NDJSON, &rows(450)).await.expect(200).body;
        assert_eq!((counts(&report), &report["dry_run"]), ([450, 450, 0, 0], &json!(true)));
        assert!(world.listed(&root, "").await.is_empty());
        let real = world.import(&root, "", NDJSON, &rows(450)).await.expect(200).body;
        assert_eq!(counts(&real), [450, 450, 0, 0]);
        let after = world.import(&root, "?dry_run=true", NDJSON, &rows(450)).await.expect(200).body;
        assert_eq!(counts(&after), [450, 0, 0, 450]);
        assert_eq!((after["errors"].as_array().unwrap().len(), &after["errors_cut"]), (100, &json!(true)));
    }

    async fn what_auth_took_and_we_did_not_is_completed_by_going_on(db: Database) {
        let (world, between) = World::unsure(db);
        let root = world.admin();
        let body = rows(500);
        between.lost.store(1, Ordering::SeqCst);
        world.import(&root, "", NDJSON, &body).await.expect(503);
        let begun = world.get(&root, "/api/v1/users/imports").await.expect(200).body["items"][0].clone();
        assert_eq!((counts(&begun), &begun["finished"]), ([0, 0, 0, 0], &json!(false)));
        // Auth tells of the accounts before the import is gone on with.
        let made = world.gate.auth.account_of("user0003@example.org").unwrap();
        let fact = AccountRegistered { user: made.id, display_name: None, locale: Some("de".to_owned()) };
        world.hear(&Event::of(&fact, &Caller::module("auth"), world.clock.now()).unwrap()).await;
        let resume = format!("?resume={}", begun["id"].as_str().unwrap());
        let report = world.import(&root, &resume, NDJSON, &body).await.expect(200).body;
        assert_eq!((counts(&report), &report["finished"]), ([500, 300, 200, 0], &json!(true)));
        assert_eq!(world.listed(&root, "limit=200").await.len(), 500);
        let third = world.get(&root, "/api/v1/users?q=user0003").await.body["items"][0].clone();
        assert_eq!((&third["given_name"], &third["phone"], &third["locale"]),
            (&json!("Given3"), &json!("+436601234567"), &json!("de")));
        let again = world.import(&root, &resume, NDJSON, &body).await.expect(200).body;
        assert_eq!(again, report, "what is finished is told again");
    }

    async fn an_import_goes_on_with_the_same_file_only(db: Database) {
        let (world, between) = World::unsure(db);
        let root = world.admin();
        let body = rows(500);
        // The body ends in the middle of the second batch, as when the client dies, and its rest is another one.
        between.lost.store(0, Ordering::SeqCst);
        let part: String = body.lines().take(200).map(|line| format!("{line}\n")).collect();
        let bad = format!("{part}{}", "x".repeat(10));
        world.import(&root, "", NDJSON, &bad).await.expect(200);
        let id = world.get(&root, "/api/v1/users/imports").await.body["items"][0]["id"].as_str().unwrap().to_owned();
        let resume = format!("?resume={id}");
        for (query, kind, body) in [
            (resume.clone(), NDJSON, body.clone()),
            (resume.clone(), NDJSON, part.clone()),
            (resume.clone(), NDJSON, format!("{bad}\n{{}}")),
            (resume.clone(), "text/csv", "email\n".to_owned()),
            (format!("{resume}&dry_run=true"), NDJSON, bad.clone()),
        ] {
            let refused = world.import(&root, &query, kind, &body).await.expect(409);
            assert_eq!(refused.body["code"], "users.import_other_file");
        }
        world.import(&root, &resume, NDJSON, &bad).await.expect(200);
        world.import(&root, "?resume=01900000-0000-7000-8000-000000000000", NDJSON, &body).await.expect(404);
        world.import(&root, "?resume=1", NDJSON, &body).await.expect(400);
    }

    async fn only_rows_are_imported(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        for kind in ["application/json", "text/plain", "multipart/form-data", "application/x-ndjson, text/csv"] {
            world.import(&root, "", kind, &rows(1)).await.expect(415);
        }
        for body in ["", "name\nx\n", "email,role\nx,admin\n"] {
            let refused = world.import(&root, "", "text/csv", body).await.expect(422);
            assert_eq!(refused.body["code"], "users.import_header");
        }
        let empty = world.import(&root, "", NDJSON, "").await.expect(200).body;
        assert_eq!((counts(&empty), &empty["finished"]), ([0; 4], &json!(true)));
        let packed = TestRequest::post().uri("/api/v1/users/imports").insert_header(("content-encoding", "gzip"));
        world.send(&root, packed.insert_header(("content-type", NDJSON)).set_payload("x")).await.expect(415);
    }

    async fn a_body_that_breaks_off_can_not_be_read(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let request = TestRequest::post().uri("/api/v1/users/imports").insert_header(("content-type", NDJSON));
        let refused = world.break_off(&root, request, &rows(250)).await.expect(400);
        assert_eq!(refused.body["code"], "platform.malformed_body");
        let begun = world.get(&root, "/api/v1/users/imports").await.expect(200).body["items"][0].clone();
        assert_eq!((counts(&begun), &begun["finished"]), ([200, 200, 0, 0], &json!(false)));
        let resume = format!("?resume={}", begun["id"].as_str().unwrap());
        let report = world.import(&root, &resume, NDJSON, &rows(250)).await.expect(200).body;
        assert_eq!(counts(&report), [250, 250, 0, 0]);
    }

    async fn what_is_exported_here_is_imported_there(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let body = format!("{}{}\n{}\n", rows(3),
            json!({ "email": "-odd@example.org", "display_name": "=HYPERLINK(\"http://evil\")", "attributes": { "a": [1, "x,\"y"] } }),
            json!({ "email": "off@example.org", "state": "disabled", "given_name": "Zoë, \"Z\"" }));
        assert_eq!(counts(&world.import(&root, "", NDJSON, &body).await.expect(200).body), [5, 5, 0, 0]);
        let gone = world.make(&root, "gone@example.org", "Gone").await;
        let gone = format!("/api/v1/users/{}", gone["id"].as_str().unwrap());
        world.write(&root, actix_web::http::Method::DELETE, &gone, &Value::Null, "").await.expect(204);
        for (format, kind) in [("ndjson", NDJSON), ("csv", "text/csv")] {
            let export = world.get(&root, &format!("/api/v1/users/exports?format={format}")).await.expect(200);
            assert!(export.header("content-disposition").starts_with("attachment"));
            assert!(!export.text.contains("gone@example.org"), "who is deleted is not exported");
            assert!(!export.text.contains(",=") && !export.text.contains("\n="), "{}", export.text);
            let again = world.import(&root, "", kind, &export.text).await.expect(200).body;
            assert_eq!(counts(&again), [5, 0, 5, 0], "{again:#}");
            let elsewhere = World::new(fresh(&world).await);
            let there = elsewhere.admin();
            let report = elsewhere.import(&there, "", kind, &export.text).await.expect(200).body;
            assert_eq!(counts(&report), [5, 5, 0, 0], "{report:#}");
            let copy = elsewhere.get(&there, &format!("/api/v1/users/exports?format={format}")).await.expect(200);
            assert_eq!(copy.text, export.text);
        }
        let trail = world.everything().await;
        assert_eq!(trail.iter().filter(|entry| entry.action == "users.exported").count(), 2);
        assert_eq!(trail.iter().filter(|entry| entry.action == "users.import.finished").count(), 3);
    }
}

/// An empty house on another database: the fake auth of this one knows nobody.
async fn fresh(_: &World) -> Database {
    let settings = platform::db::Settings {
        url: format!("sqlite:{}/{}.db", std::env::temp_dir().display(), contracts::EventId::new()).into(),
        ..platform::db::Settings::default()
    };
    Database::migrate(&settings, &crate::migrations()).await.unwrap();
    Database::open(&settings).await.unwrap()
}
