//! Who may call what: every operation of the OpenAPI document is in this table, and does what the table says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    unreachable_pub,
    missing_docs,
    dead_code,
    reason = "a test fails by panicking, and borrows the house of the journeys without needing all its rooms"
)]

#[path = "journeys/client.rs"]
mod client;
#[path = "journeys/house.rs"]
mod house;
#[path = "journeys/plan.rs"]
mod plan;
#[path = "journeys/transcript.rs"]
mod transcript;

use std::collections::BTreeSet;

use client::Ask;
use house::{House, Shape};
use reqwest::Method;

use Who::{Anyone, Right, User};

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Anybody.
    Anyone,
    /// Somebody who is logged in.
    User,
    /// Somebody who has a right that plain people don't have.
    Right,
}

const OPERATIONS: &[(&str, &str, Who)] = &[
    ("GET", "/livez", Anyone),
    ("GET", "/readyz", Anyone),
    ("GET", "/.well-known/jwks.json", Anyone),
    ("GET", "/.well-known/openid-configuration", Anyone),
    ("GET", "/.well-known/oauth-authorization-server", Anyone),
    ("POST", "/api/v1/setup", Anyone),
    ("POST", "/api/v1/auth/registrations", Anyone),
    ("POST", "/api/v1/auth/verifications", Anyone),
    ("POST", "/api/v1/auth/verifications/resend", Anyone),
    ("POST", "/api/v1/auth/invitations/accept", Anyone),
    ("POST", "/api/v1/auth/logins", Anyone),
    ("POST", "/api/v1/auth/tokens", Anyone),
    ("POST", "/api/v1/auth/password-resets", Anyone),
    ("POST", "/api/v1/auth/password-resets/confirm", Anyone),
    ("PUT", "/api/v1/auth/password", User),
    ("POST", "/api/v1/auth/session-reports", Anyone),
    ("GET", "/api/v1/auth/sessions", User),
    ("DELETE", "/api/v1/auth/sessions", User),
    ("DELETE", "/api/v1/auth/sessions/current", User),
    ("DELETE", "/api/v1/auth/sessions/{id}", User),
    ("GET", "/api/v1/users/me", User),
    ("PATCH", "/api/v1/users/me", User),
    ("GET", "/api/v1/users/me/preferences", User),
    ("GET", "/api/v1/users/me/preferences/{namespace}", User),
    ("PUT", "/api/v1/users/me/preferences/{namespace}", User),
    ("PATCH", "/api/v1/users/me/preferences/{namespace}", User),
    ("DELETE", "/api/v1/users/me/preferences/{namespace}", User),
    ("GET", "/api/v1/users/me/permissions", User),
    ("GET", "/api/v1/users/me/export", User),
    ("GET", "/api/v1/users", Right),
    ("POST", "/api/v1/users", Right),
    ("GET", "/api/v1/users/{id}", Right),
    ("PATCH", "/api/v1/users/{id}", Right),
    ("DELETE", "/api/v1/users/{id}", Right),
    ("POST", "/api/v1/users/{id}/restore", Right),
    ("POST", "/api/v1/users/imports", Right),
    ("GET", "/api/v1/users/imports", Right),
    ("GET", "/api/v1/users/imports/{id}", Right),
    ("GET", "/api/v1/users/exports", Right),
    ("GET", "/api/v1/users/{id}/roles", Right),
    ("GET", "/api/v1/users/{id}/permissions", Right),
    ("GET", "/api/v1/groups", Right),
    ("POST", "/api/v1/groups", Right),
    ("GET", "/api/v1/groups/{id}", Right),
    ("PUT", "/api/v1/groups/{id}", Right),
    ("DELETE", "/api/v1/groups/{id}", Right),
    ("GET", "/api/v1/groups/{id}/members", Right),
    ("PUT", "/api/v1/groups/{id}/members/{type}/{member}", Right),
    ("DELETE", "/api/v1/groups/{id}/members/{type}/{member}", Right),
    ("GET", "/api/v1/roles", Right),
    ("POST", "/api/v1/roles", Right),
    ("GET", "/api/v1/roles/{name}", Right),
    ("PUT", "/api/v1/roles/{name}", Right),
    ("DELETE", "/api/v1/roles/{name}", Right),
    ("GET", "/api/v1/role-assignments", Right),
    ("POST", "/api/v1/role-assignments", Right),
    ("GET", "/api/v1/role-assignments/{id}", Right),
    ("DELETE", "/api/v1/role-assignments/{id}", Right),
    ("POST", "/access/v1/evaluation", User),
    ("POST", "/access/v1/evaluations", User),
    ("POST", "/access/v1/search/subject", User),
    ("POST", "/access/v1/search/resource", User),
    ("POST", "/access/v1/search/action", User),
    ("POST", "/api/v1/notifications", Right),
    ("GET", "/api/v1/notifications", Right),
    ("GET", "/api/v1/notifications/{id}", Right),
    ("POST", "/api/v1/notifications/{id}/retry", Right),
    ("POST", "/api/v1/notifications/receipts/{provider}", Anyone),
    ("GET", "/api/v1/notifications/unsubscribe", Anyone),
    ("POST", "/api/v1/notifications/unsubscribe", Anyone),
    ("GET", "/api/v1/notification-preferences", User),
    ("PUT", "/api/v1/notification-preferences", User),
    ("GET", "/api/v1/inbox", User),
    ("POST", "/api/v1/inbox/read", User),
    ("POST", "/api/v1/inbox/{id}/read", User),
    ("GET", "/api/v1/inbox/stream", User),
    ("GET", "/api/v1/audit-events", Right),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_known_and_refuses_whom_it_must() {
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let document = house.client().get("/openapi.json").await.body;
    let listed: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let known =
        OPERATIONS.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(listed, known, "the document and the table of who may call what differ");

    let stranger = house.client();
    let mia = house.person("mia").await;
    for (method, path, who) in OPERATIONS {
        let method_of = |method: &str| Method::from_bytes(method.as_bytes()).unwrap();
        let real = path.replace("{id}", "01900000-0000-7000-8000-000000000000").replace("{name}", "x");
        let ask = Ask::new(method_of(method), &real.replace("{namespace}", "x"));
        let says_public =
            document["paths"][path][method.to_lowercase()]["security"].as_array().is_some_and(Vec::is_empty);
        assert_eq!(says_public, *who == Anyone, "{method} {path} tells its security wrongly");

        let anonymous = stranger.send(&ask).await;
        assert_eq!(
            anonymous.status == 401 && anonymous.code() == "platform.unauthenticated",
            *who != Anyone,
            "{method} {path}: {anonymous:?}"
        );
        if *path == "/api/v1/auth/sessions" || path.ends_with("/current") || path.ends_with("/stream") {
            continue;
        }
        let member = mia.client.send(&ask).await;
        assert_eq!(
            member.status == 403,
            *who == Right,
            "{method} {path} as a person without roles: {member:?}"
        );
        assert_ne!(member.status, 500, "{method} {path}: {member:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_told_as_a_problem() {
    let house = House::open(Shape::Embedded, &[]).await.unwrap();
    for (method, path, status) in [
        (Method::GET, "/nowhere", 404),
        (Method::GET, "/internal/users/find_profile", 404),
        (Method::POST, "/internal/users/find_profile", 404),
        (Method::GET, "/metrics", 404),
        (Method::TRACE, "/api/v1/users/me", 405),
        (Method::DELETE, "/api/v1/auth/logins", 405),
    ] {
        let answer = house.client().send(&Ask::new(method.clone(), path)).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_in_headers_open_no_door() {
    let house = House::open(Shape::Embedded, &[]).await.unwrap();
    let headers = [
        ("user-agent", "GoogleHC/1.0"),
        ("user-agent", "kube-probe/1.31"),
        ("x-forwarded-user", "root"),
        ("x-user-id", "01900000-0000-7000-8000-000000000000"),
        ("x_user_id", "01900000-0000-7000-8000-000000000000"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-original-url", "/livez"),
        ("doorward-caller", r#"{"actor":{"type":"module","name":"auth"},"request_id":"x"}"#),
    ];
    for (name, value) in headers {
        let answer =
            house.client().send(&Ask::new(Method::GET, "/api/v1/users/me").header(name, value)).await;
        assert_eq!(answer.status, 401, "{name}: {value}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_in_the_request_is_no_login() {
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let mia = house.person("mia").await;
    let stranger = house.client();
    let body =
        serde_json::json!({ "user_id": mia.id, "sub": mia.id, "owner": mia.id, "session_id": mia.session });
    for (method, path, _) in OPERATIONS.iter().filter(|(_, _, who)| *who != Anyone) {
        let real = path.replace("{id}", &mia.id).replace("{name}", "admin").replace("{namespace}", "x");
        let real = format!("{real}?user_id={0}&sub={0}&owner={0}", mia.id);
        let ask = Ask::new(Method::from_bytes(method.as_bytes()).unwrap(), &real).body(&body);
        let answer = stranger.send(&ask.header("x-user-id", &mia.id)).await;
        assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
    }
}

#[test]
fn the_kept_document_is_what_the_code_says() {
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_doorward")).arg("openapi").output().unwrap();
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(
        String::from_utf8(printed.stdout).unwrap() == kept,
        "the interface changed: look at the difference after `cargo run -- openapi > docs/openapi.json`"
    );
}
