//! What an attacker would try: without a login, without a right, with edited cursors and odd words, with names that are
//! code.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

use crate::world::World;

const SOMEBODY: &str = "/api/v1/users/01900000-0000-7000-8000-000000000000";

const OPERATIONS: [(&str, &str); 11] = [
    ("GET", "/api/v1/users"),
    ("POST", "/api/v1/users"),
    ("GET", SOMEBODY),
    ("PATCH", SOMEBODY),
    ("DELETE", SOMEBODY),
    ("POST", "/api/v1/users/01900000-0000-7000-8000-000000000000/restore"),
    ("POST", "/api/v1/users/imports"),
    ("GET", "/api/v1/users/imports"),
    ("GET", "/api/v1/users/imports/01900000-0000-7000-8000-000000000000"),
    ("GET", "/api/v1/users/exports"),
    ("GET", "/api/v1/users/exports?format=csv"),
];

/// Quotes, comments, wildcards, encodings and other ways out of a statement.
const QUOTES: [&str; 20] = [
    "'",
    "''",
    "\"",
    "\\",
    "' OR '1'='1",
    "1; DROP TABLE users_profiles--",
    "') UNION SELECT NULL--",
    "/*",
    "*/",
    "%",
    "_",
    "%25",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "\u{202e}",
    "\u{2019}",
    "(SELECT pg_sleep(9))",
    "email,(SELECT 1)",
    "-created_at;--",
    "created_at DESC",
];

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn request(method: &str, path: &str) -> TestRequest {
    TestRequest::with_uri(path).method(Method::from_bytes(method.as_bytes()).unwrap())
}

both_engines! {
    async fn a_name_in_the_request_is_no_login(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let id = root.account.id.to_string();
        for (method, path) in OPERATIONS {
            let joint = if path.contains('?') { '&' } else { '?' };
            let named = format!("{path}{joint}user_id={id}&sub={id}&owner={id}");
            for path in [path, &named] {
                let body = json!({ "user_id": id, "sub": id, "owner": id, "email": "x@example.org" });
                let request = request(method, path).set_json(&body).insert_header(("x-user-id", id.clone()));
                world.call(request.insert_header(("x-forwarded-user", id.clone()))).await.expect(401);
            }
        }
        assert!(world.listed(&root, "").await.is_empty());
    }

    async fn without_the_right_nobody_learns_anything(db: Database) {
        let world = World::new(db);
        let (root, mia) = (world.admin(), world.person("mia@example.org"));
        let made = world.make(&root, "tom@example.org", "Tom").await;
        for (method, path) in OPERATIONS {
            let unknown = world.send(&mia, request(method, path).set_json(json!({}))).await.expect(403);
            let real = path.replace("01900000-0000-7000-8000-000000000000", made["id"].as_str().unwrap());
            let known = world.send(&mia, request(method, &real).set_json(json!({}))).await.expect(403);
            assert_eq!((&known.body["detail"], &known.body["code"]), (&unknown.body["detail"], &unknown.body["code"]));
        }
        world.gate.allow(mia.account.id, "users:read");
        for (method, path) in OPERATIONS.into_iter().filter(|(method, path)| *method != "GET" || path.contains("ports")) {
            world.send(&mia, request(method, path).set_json(json!({}))).await.expect(403);
        }
        world.gate.allow(mia.account.id, "users:write");
        world.send(&mia, request("GET", "/api/v1/users/exports")).await.expect(403);
    }

    async fn nobody_proves_his_own_address(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        for patch in [json!({ "email": "x@example.org", "email_verified": true }), json!({ "state": "active" }), json!({ "email_verified": true })] {
            world.write(&mia, Method::PATCH, "/api/v1/users/me", &patch, "").await.expect(422);
        }
        let root = world.admin();
        let tom = world.make(&root, "tom@example.org", "Tom").await;
        let path = format!("/api/v1/users/{}", tom["id"].as_str().unwrap());
        let moved = world.write(&root, Method::PATCH, &path, &json!({ "email": "tom@example.com" }), "").await.expect(200);
        assert_eq!((&moved.body["email_verified"], &moved.body["state"]), (&json!(false), &json!("unverified")));
    }

    async fn odd_words_are_words_and_nothing_else(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        world.make(&root, "mia@example.org", "Mia O'Neil").await;
        for quote in QUOTES {
            let found = world.get(&root, &format!("/api/v1/users?q={}", encoded(quote))).await;
            assert_eq!(found.status, 200, "q={quote}: {:?}", found.body);
            assert_eq!(found.body["items"], json!([]), "q={quote} finds somebody");
            for parameter in ["sort", "state", "limit", "cursor", "fields", "filter", "user_id"] {
                let refused = world.get(&root, &format!("/api/v1/users?{parameter}={}", encoded(quote))).await;
                assert_eq!(refused.status, 400, "{parameter}={quote}: {:?}", refused.body);
            }
            for path in ["/api/v1/users/", "/api/v1/users/imports/"] {
                world.get(&root, &format!("{path}{}", encoded(quote))).await.expect(404);
            }
            let refused = world.get(&root, &format!("/api/v1/users/exports?format={}", encoded(quote))).await;
            assert_eq!(refused.status, 400, "format={quote}");
        }
        assert_eq!(world.listed(&root, "q=o'neil").await, ["mia@example.org"]);
        world.get(&root, "/api/v1/users?q=%00").await.expect(400);
        world.get(&root, "/api/v1/users?q=a&q=b").await.expect(400);
        world.get(&root, &format!("/api/v1/users?q={}", "a%20".repeat(60))).await.expect(200);
        world.get(&root, &format!("/api/v1/users?q={}", "x".repeat(201))).await.expect(400);
    }

    async fn a_cursor_is_good_for_its_own_list_only(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        for number in 0..5 {
            world.make(&root, &format!("user{number}@example.org"), "Somebody").await;
        }
        let first = world.get(&root, "/api/v1/users?limit=2").await.expect(200);
        let cursor = first.body["next_cursor"].as_str().unwrap();
        assert!(first.body.get("total").is_none(), "a list tells nobody how many there are");
        for query in ["sort=email", "sort=created_at", "state=active", "q=somebody"] {
            world.get(&root, &format!("/api/v1/users?limit=2&{query}&cursor={cursor}")).await.expect(400);
        }
        world.get(&root, &format!("/api/v1/users/imports?cursor={cursor}")).await.expect(400);
        for place in 0..cursor.len() {
            let mut edited: Vec<char> = cursor.chars().collect();
            edited[place] = if edited[place] == 'A' { 'B' } else { 'A' };
            let edited: String = edited.into_iter().collect();
            let reply = world.get(&root, &format!("/api/v1/users?limit=2&cursor={edited}")).await;
            assert!(reply.status == 400 || (place + 1 == cursor.len() && reply.status == 200), "{place}: {}", reply.status);
        }
        for limit in ["0", "-1", "201", "1000000000", "1e9", "99999999999999999999", "1.5", ""] {
            world.get(&root, &format!("/api/v1/users?limit={limit}")).await.expect(400);
        }
    }

    async fn code_in_a_name_is_a_name(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        for (number, name) in ["<a href=//evil>Click</a>", "{{7*7}}", "${7*7}", "<%= 7*7 %>", "'; --"].into_iter().enumerate() {
            let made = world.make(&root, &format!("user{number}@example.org"), name).await;
            assert_eq!(made["display_name"], name);
            let path = format!("/api/v1/users/{}", made["id"].as_str().unwrap());
            let shown = world.get(&root, &path).await.expect(200);
            assert_eq!(shown.header("content-type"), "application/json");
            assert_eq!(shown.body["display_name"], name);
        }
        let odd = json!({ "email": "x@example.org", "display_name": "a\nBcc: all@example.org" });
        world.write(&root, Method::POST, "/api/v1/users", &odd, "").await.expect(422);
    }

    async fn an_id_of_elsewhere_is_nobody_here(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let own = root.account.id.to_string();
        let rows = [
            json!({ "email": "one@example.org", "id": "1" }),
            json!({ "email": "two@example.org", "id": own }),
            json!({ "email": "three@example.org", "id": "root@example.org" }),
            json!({ "email": "root@example.org" }),
        ];
        let body: Vec<String> = rows.iter().map(Value::to_string).collect();
        let report = world.import(&root, "", "application/x-ndjson", &body.join("\n")).await.expect(200).body;
        assert_eq!((&report["created"], &report["refused"]), (&json!(0), &json!(4)), "{report:#}");
        let me = world.get(&root, "/api/v1/users/me").await.expect(200);
        assert_eq!(me.body["email"], "root@example.org");
    }
}
