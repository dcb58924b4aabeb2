//! What is whole in every shape: the interface's document and page, the audit trail, and what is known about a person;
//! whichever process is asked.

use contracts::Module;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Ask;
use crate::fleet::Fleet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_services_do_what_one_does() {
    let Some(fleet) = Fleet::open().await else { return };
    let root = fleet.administrator().await;

    // Users makes an account in auth; permissions gives a role; both ask auth whether the login is live.
    let users = fleet.client(Module::Users, Some(&root));
    let body =
        json!({ "email": "mia@example.org", "password": "a long sentence for mia", "state": "active" });
    let made = users.post("/api/v1/users", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let mia = fleet.log_in("mia@example.org", "a long sentence for mia").await;
    assert_eq!(made.body["id"], mia.id);

    let permissions = fleet.client(Module::Permissions, Some(&root));
    let role = json!({ "name": "reader", "permissions": ["documents:read"] });
    assert_eq!(permissions.post("/api/v1/roles", &role).await.status, 201);
    let assignment = json!({ "subject": { "type": "user", "id": mia.id }, "role": "reader" });
    assert_eq!(permissions.post("/api/v1/role-assignments", &assignment).await.status, 201);
    let ask = json!({
        "subject": { "type": "user", "id": mia.id }, "action": { "name": "read" },
        "resource": { "type": "documents", "id": "1" },
    });
    let decision = fleet.client(Module::Permissions, Some(&mia)).post("/access/v1/evaluation", &ask).await;
    assert_eq!((decision.status, &decision.body["decision"]), (200, &json!(true)), "{decision:?}");

    // A right is decided by permissions, wherever it is needed.
    let refused = fleet.client(Module::Users, Some(&mia)).get("/api/v1/users").await;
    assert_eq!((refused.status, refused.code()), (403, "platform.denied"));
    let message = json!({ "to": { "email": "who@example.org" }, "template": "nothing", "data": {} });
    let refused =
        fleet.client(Module::Notifications, Some(&mia)).post("/api/v1/notifications", &message).await;
    assert_eq!((refused.status, refused.code()), (403, "platform.denied"));

    // Everything about a person comes from everywhere.
    let export = fleet.client(Module::Users, Some(&mia)).get("/api/v1/users/me/export").await;
    assert_eq!(export.status, 200, "{export:?}");
    let sections: Vec<&String> = export.body["sections"].as_object().unwrap().keys().collect();
    for wanted in ["account", "sessions", "profile", "role_assignments", "notifications", "audit_events"] {
        assert!(sections.iter().any(|section| *section == wanted), "{wanted} is not in {sections:?}");
    }
    let entries = export.body["sections"]["audit_events"]["items"].to_string();
    for wanted in ["auth.login.succeeded", "users.user.created"] {
        assert!(entries.contains(wanted), "{wanted} is not in {entries}");
    }

    // A login that ended is over everywhere, on the very next request.
    let signed_out = Ask::new(Method::DELETE, "/api/v1/auth/sessions/current");
    assert_eq!(fleet.client(Module::Auth, Some(&mia)).send(&signed_out).await.status, 204);
    for module in [Module::Users, Module::Permissions, Module::Notifications] {
        let path = match module {
            Module::Users => "/api/v1/users/me",
            Module::Permissions => "/api/v1/users/me/permissions",
            _ => "/api/v1/inbox",
        };
        assert_eq!(fleet.client(module, Some(&mia)).get(path).await.status, 401, "{module}");
    }
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_is_whole_and_in_order_whoever_is_asked() {
    let Some(fleet) = Fleet::open().await else { return };
    let root = fleet.administrator().await;
    for number in 0..4 {
        let role = json!({ "name": format!("role-{number}"), "permissions": ["documents:read"] });
        assert_eq!(
            fleet.client(Module::Permissions, Some(&root)).post("/api/v1/roles", &role).await.status,
            201
        );
        let change =
            Ask::new(Method::PATCH, "/api/v1/users/me").body(&json!({ "given_name": format!("R{number}") }));
        let change = change.header("content-type", "application/merge-patch+json");
        assert_eq!(fleet.client(Module::Users, Some(&root)).send(&change).await.status, 200);
    }
    let mut pages: Vec<Vec<Value>> = Vec::new();
    for module in Module::ALL {
        let client = fleet.client(module, Some(&root));
        let (mut all, mut path) = (Vec::new(), "/api/v1/audit-events?limit=3".to_owned());
        loop {
            let page = client.get(&path).await;
            assert_eq!(page.status, 200, "{page:?}");
            all.extend(page.body["items"].as_array().unwrap().clone());
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            path = format!("/api/v1/audit-events?limit=3&cursor={cursor}");
        }
        pages.push(all);
    }
    let first = &pages[0];
    assert!(pages.iter().all(|page| page == first), "the trail depends on who is asked");
    let place =
        |entry: &Value| (entry["at"].as_str().unwrap().to_owned(), entry["id"].as_str().unwrap().to_owned());
    let places: Vec<_> = first.iter().map(place).collect();
    assert!(places.windows(2).all(|pair| pair[0] > pair[1]), "newest first, each once: {places:?}");
    let actions: Vec<&str> = first.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    for wanted in ["auth.login.succeeded", "permissions.role.created", "users.user.updated"] {
        assert!(actions.contains(&wanted), "{wanted} is not in {actions:?}");
    }
    // What narrows it narrows every part.
    let path = "/api/v1/audit-events?action=permissions.role.created";
    let narrowed = fleet.client(Module::Notifications, Some(&root)).get(path).await;
    assert_eq!(narrowed.body["items"].as_array().unwrap().len(), 4, "{narrowed:?}");
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_process_shows_the_whole_document() {
    let Some(fleet) = Fleet::open().await else { return };
    let kept = include_str!("../../../docs/openapi.json");
    let kept: Value = serde_json::from_str(kept).unwrap();
    for module in Module::ALL {
        let client = fleet.client(module, None);
        assert_eq!(client.get("/openapi.json").await.body, kept, "{module}");
        assert_eq!(client.get("/docs/").await.status, 200, "{module}");
        assert_eq!(client.get("/readyz").await.status, 200, "{module}");
        let mailbox = if module == Module::Notifications { 200 } else { 404 };
        assert_eq!(client.get("/dev/mailbox").await.status, mailbox, "{module}");
    }
    // A path of another module is not here, and says so as a problem.
    let elsewhere = fleet.client(Module::Users, None).post("/api/v1/auth/logins", &json!({})).await;
    assert_eq!((elsewhere.status, elsewhere.code()), (404, "platform.not_found"));
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_database_holds_its_own_modules_tables_only() {
    let Some(fleet) = Fleet::open().await else { return };
    for module in Module::ALL {
        let file = fleet.services[&module].database().url().trim_start_matches("sqlite:").to_owned();
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned()
            + &String::from_utf8_lossy(&std::fs::read(format!("{file}-wal")).unwrap_or_default());
        for (table, owner) in [
            ("auth_accounts", Module::Auth),
            ("users_profiles", Module::Users),
            ("permissions_roles", Module::Permissions),
            ("notifications_messages", Module::Notifications),
        ] {
            assert_eq!(
                text.contains(&format!("CREATE TABLE {table}")),
                owner == module,
                "{table} in {module}"
            );
        }
    }
    fleet.close().await;
}
