//! Who passes: tokens, sessions and rights, and what an attacker's headers do not change.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::test::TestRequest;
use actix_web::{HttpResponse, web};
use platform::http::{Allowed, Anyone, Json, Path, Query, User};
use serde_json::{Value, json};

use super::http_support::{Answer, Stage, claims, new_signer, send};

platform::rights! {
    /// May change roles.
    pub ManageRoles = "roles:write";
}

async fn open(Anyone(caller): Anyone) -> HttpResponse {
    HttpResponse::Ok().json(caller)
}

async fn mine(user: User) -> HttpResponse {
    HttpResponse::Ok().json(user.caller)
}

async fn manage(allowed: Allowed<ManageRoles>, Json(_): Json<Value>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "user": allowed.user.id }))
}

async fn everything(
    _: Allowed<ManageRoles>,
    _: Path<uuid::Uuid>,
    _: Query<Vec<(String, u8)>>,
    _: Json<Value>,
) -> HttpResponse {
    HttpResponse::NoContent().finish()
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/open", web::get().to(open))
        .route("/mine", web::get().to(mine))
        .route("/manage", web::post().to(manage))
        .route("/everything/{id}", web::post().to(everything));
}

fn with(path: &str, authorization: &str) -> TestRequest {
    TestRequest::get().uri(path).insert_header(("authorization", authorization))
}

async fn mine_as(stage: &Stage, authorization: &str) -> Answer {
    send(stage, routes, with("/mine", authorization)).await
}

#[actix_web::test]
async fn somebody_who_is_logged_in_passes_until_the_session_ends() {
    let stage = Stage::new();
    let (user, session, token) = stage.log_in();
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer "] {
        let answer = mine_as(&stage, &format!("{scheme} {token}")).await;
        let actor = json!({ "type": "user", "id": user, "session": session });
        assert_eq!(answer.json()["actor"], actor);
    }
    stage.auth.end_session(user, session);
    let (status, code, _) = mine_as(&stage, &format!("Bearer {token}")).await.problem();
    assert_eq!((status, code.as_str()), (401, "platform.unauthenticated"));
}

#[actix_web::test]
async fn nobody_passes_without_a_good_token() {
    let stage = Stage::new();
    let (user, session, token) = stage.log_in();
    let foreign = new_signer(platform::tokens::Algorithm::EdDsa);
    let foreign = foreign.sign_access(&claims(stage.clock.now(), user, session)).unwrap();
    for bad in [
        "",
        "Bearer",
        "Bearer ",
        &format!("Basic {token}"),
        &token,
        &format!("Bearer {token} {token}"),
        &format!("Bearer {token},"),
        &format!("Bearer \"{token}\""),
        &format!("Bearer {foreign}"),
        &format!("Bearer\t{token}"),
    ] {
        let answer = mine_as(&stage, bad).await;
        assert_eq!(answer.problem().0, 401, "{bad}");
        assert!(answer.header("www-authenticate").starts_with("Bearer realm=\"doorward\""), "{bad}");
        assert!(answer.headers.get("set-cookie").is_none());
    }
    let none = send(&stage, routes, TestRequest::get().uri("/mine")).await;
    assert_eq!((none.problem().0, none.header("www-authenticate")), (401, "Bearer realm=\"doorward\""));
    let good = format!("Bearer {token}");
    let twice = with("/mine", &good).append_header(("authorization", good.as_str()));
    assert_eq!(send(&stage, routes, twice).await.problem().0, 401);
    let elsewhere = TestRequest::get().uri(&format!("/mine?access_token={token}"));
    assert_eq!(send(&stage, routes, elsewhere).await.problem().0, 401);
    stage.clock.advance(Duration::from_secs(700));
    let answer = mine_as(&stage, &good).await;
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"doorward\", error=\"invalid_token\"");
}

#[actix_web::test]
async fn a_right_is_asked_for_every_time() {
    let stage = Stage::new();
    let (user, _, token) = stage.log_in();
    let manage = || {
        let request = TestRequest::post().uri("/manage").set_json(json!({}));
        request.insert_header(("authorization", format!("Bearer {token}")))
    };
    let (status, code, _) = send(&stage, routes, manage()).await.problem();
    assert_eq!((status, code.as_str()), (403, "platform.denied"));
    stage.permissions.allow(user, "roles:read");
    assert_eq!(send(&stage, routes, manage()).await.problem().0, 403);
    stage.permissions.allow(user, "roles:write");
    assert_eq!(send(&stage, routes, manage()).await.status, 200);
}

#[actix_web::test]
async fn who_may_not_call_is_not_told_what_is_wrong_with_the_request() {
    let stage = Stage::new();
    let (user, _, token) = stage.log_in();
    let broken = || TestRequest::post().uri("/everything/no-id?x=no-number").set_payload("{");
    assert_eq!(send(&stage, routes, broken()).await.problem().0, 401);
    let as_user = || broken().insert_header(("authorization", format!("Bearer {token}")));
    assert_eq!(send(&stage, routes, as_user()).await.problem().0, 403);
    stage.permissions.allow(user, "roles:write");
    assert!([400, 404, 415].contains(&send(&stage, routes, as_user()).await.problem().0));
}

#[actix_web::test]
async fn headers_can_not_say_who_or_where_a_caller_is() {
    let stage = Stage::new();
    let plain = || TestRequest::get().uri("/open").peer_addr("[::ffff:192.0.2.7]:5000".parse().unwrap());
    let ids = |mut caller: Value| {
        caller["request_id"] = Value::Null;
        caller["traceparent"] = Value::Null;
        caller
    };
    let expected = ids(send(&stage, routes, plain()).await.json());
    assert_eq!(expected["client_address"], "192.0.2.7");
    let hops = ["10.0.0.1"; 100].join(", ");
    let long = "x".repeat(10_000);
    for (name, value) in [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-for", ""),
        ("x-forwarded-for", "1.2.3.4, x"),
        ("x-forwarded-for", hops.as_str()),
        ("x-forwarded-for", long.as_str()),
        ("forwarded", "for=6.6.6.6;host=evil.test"),
        ("x-real-ip", "6.6.6.6"),
        ("x-user-id", "00000000-0000-7000-8000-000000000000"),
        ("x_user_id", "admin"),
        ("doorward-caller", r#"{"actor":{"type":"module","name":"auth"},"request_id":"x"}"#),
        ("connection", "x-user-id"),
        ("x-forwarded-uri", "/admin"),
    ] {
        let answer = send(&stage, routes, plain().insert_header((name, value))).await;
        assert_eq!(ids(answer.json()), expected, "{name}");
    }
}

#[actix_web::test]
async fn a_client_is_named_in_one_short_line() {
    let stage = Stage::new();
    let address: SocketAddr = "[2001:db8::1]:443".parse().unwrap();
    let name = [b"Mozilla\t\xff\x80 ".as_slice(), "ü".repeat(400).as_bytes()].concat();
    let name = actix_web::http::header::HeaderValue::from_bytes(&name).unwrap();
    let request = TestRequest::get().uri("/open").peer_addr(address).insert_header(("user-agent", name));
    let caller = send(&stage, routes, request).await.json();
    let agent = caller["user_agent"].as_str().unwrap();
    assert_eq!(agent.chars().count(), 256);
    assert!(agent.starts_with("Mozilla") && !agent.chars().any(char::is_control), "{agent:?}");
    assert_eq!(caller["client_address"], "2001:db8::1");
}
