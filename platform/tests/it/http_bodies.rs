//! What may be in a body, and how a caller learns what is wrong with it.

use actix_web::test::TestRequest;
use actix_web::{HttpResponse, web};
use platform::http::{Anyone, IdempotentJson, Json, MergePatch, Problem, User, present};
use serde::{Deserialize, Serialize};

use super::http_support::{Answer, Stage, send};

#[derive(Debug, Serialize, Deserialize)]
struct Person {
    email: String,
    age: u8,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    colour: Option<Colour>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Tag {
    name: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Colour {
    Red,
    Green,
}

#[derive(Debug, Deserialize)]
struct Patch {
    #[serde(default, deserialize_with = "present")]
    name: Option<Option<String>>,
}

async fn take(Json(person): Json<Person>) -> Json<Person> {
    Json(person)
}

async fn take_little(Json(value): Json<serde_json::Value, 32>) -> Json<serde_json::Value> {
    Json(value)
}

async fn patch(MergePatch(patch): MergePatch<Patch>) -> String {
    format!("{:?}", patch.name)
}

async fn patch_any(MergePatch(patch): MergePatch) -> HttpResponse {
    HttpResponse::Ok().json(patch)
}

async fn keyed(user: User, ask: IdempotentJson<Person>) -> Result<String, Problem> {
    let (_, key) = ask.into_parts(&user.caller);
    Ok(format!("{key:?}"))
}

async fn keyed_by_nobody(Anyone(caller): Anyone, ask: IdempotentJson<Person>) -> String {
    format!("{:?}", ask.into_parts(&caller).1)
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/people", web::post().to(take))
        .route("/little", web::post().to(take_little))
        .route("/patch", web::patch().to(patch))
        .route("/patch-any", web::patch().to(patch_any))
        .route("/keyed", web::post().to(keyed))
        .route("/keyed/other", web::post().to(keyed))
        .route("/nobody", web::post().to(keyed_by_nobody));
}

async fn ask(request: TestRequest) -> Answer {
    send(&Stage::new(), routes, request).await
}

fn post(path: &str, kind: &str, body: impl Into<web::Bytes>) -> TestRequest {
    TestRequest::post().uri(path).insert_header(("content-type", kind)).set_payload(body)
}

async fn refused(body: impl Into<web::Bytes>) -> (u16, String, Vec<(String, String)>) {
    ask(post("/people", "application/json", body)).await.problem()
}

fn at(pointer: &str, code: &str) -> (u16, String, Vec<(String, String)>) {
    (422, "platform.invalid_input".to_owned(), vec![(pointer.to_owned(), code.to_owned())])
}

const GOOD: &str = r#"{"email":"a@example.test","age":7}"#;

#[actix_web::test]
async fn a_good_body_is_read() {
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\""]
    {
        let answer = ask(post("/people", kind, GOOD)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["age"]), (200, &7.into()), "{kind}");
    }
}

#[actix_web::test]
async fn what_is_not_json_is_not_read() {
    for kind in
        ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "*/*"]
    {
        let answer = ask(post("/people", kind, GOOD)).await;
        assert_eq!(answer.problem().0, 415, "{kind}");
    }
    let none = TestRequest::post().uri("/people").set_payload(GOOD);
    assert_eq!(ask(none).await.problem().1, "platform.unsupported_media_type");
    let twice = post("/people", "application/json", GOOD).append_header(("content-type", "text/plain"));
    assert_eq!(ask(twice).await.problem().0, 415);
    let packed = post("/people", "application/json", GOOD).insert_header(("content-encoding", "gzip"));
    assert_eq!(ask(packed).await.problem().0, 415);
}

#[actix_web::test]
async fn what_can_not_be_read_is_malformed() {
    let brackets = ["[".repeat(50_000), "]".repeat(10)].concat();
    for body in ["", "{", "nonsense", "{\"email\":\"a\",}", "{} {}", "\u{feff}{}", brackets.as_str()] {
        let (status, code, _) = refused(body.to_owned()).await;
        assert_eq!((status, code.as_str()), (400, "platform.malformed_json"), "{body:.20}");
    }
    assert_eq!(refused(&b"{\"email\":\"\xff\xfe\"}"[..]).await.0, 400);
    assert_eq!(refused(&b"{\"email\":\"\\ud800\"}"[..]).await.0, 400);
}

#[actix_web::test]
async fn a_body_that_is_too_large_is_not_read_to_its_end() {
    let large = format!(r#"{{"email":"{}","age":1}}"#, "x".repeat(64 * 1024));
    assert_eq!(refused(large).await.0, 413);
    let announced = post("/people", "application/json", GOOD).insert_header(("content-length", "70000"));
    assert_eq!(ask(announced).await.problem().1, "platform.payload_too_large");
    let many: String = (0..200_000).map(|n| format!("\"k{n}\":1,")).collect();
    assert_eq!(refused(format!("{{{many}\"z\":1}}")).await.0, 413);
    let little = ask(post("/little", "application/json", format!("\"{}\"", "x".repeat(40)))).await;
    assert_eq!(little.problem().0, 413);
}

#[actix_web::test]
async fn every_unknown_field_is_named() {
    let body = r#"{"email":"a","age":1,"admin":true,"tags":[{"name":"x","a/b~c":1}]}"#;
    let (status, _, fields) = refused(body).await;
    let expected = [("/admin", "unknown_field"), ("/tags/0/a~1b~0c", "unknown_field")];
    assert_eq!(status, 422);
    assert_eq!(fields, expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
}

#[actix_web::test]
async fn the_field_that_breaks_the_shape_is_named() {
    assert_eq!(refused(r#"{"age":1}"#).await, at("/email", "missing_field"));
    assert_eq!(refused(r#"{"email":"a","age":"1"}"#).await, at("/age", "wrong_type"));
    assert_eq!(refused(r#"{"email":"a","age":300}"#).await, at("/age", "invalid_value"));
    assert_eq!(refused(r#"{"email":"a","age":-1}"#).await, at("/age", "invalid_value"));
    assert_eq!(refused(r#"{"email":["a"],"age":1}"#).await, at("/email", "wrong_type"));
    assert_eq!(refused(r#"{"email":null,"age":1}"#).await, at("/email", "wrong_type"));
    assert_eq!(refused(r#"{"email":"a","age":1,"tags":[{}]}"#).await, at("/tags/0/name", "missing_field"));
    assert_eq!(refused(r#"{"email":"a","age":1,"tags":{}}"#).await, at("/tags", "wrong_type"));
    assert_eq!(refused(r#"{"email":"a","age":1,"colour":"blue"}"#).await.0, 422);
    assert_eq!(refused(r#"["a",1,[],null]"#).await, at("", "wrong_type"), "fields in order are no object");
    assert_eq!(refused("null").await, at("", "wrong_type"));
}

#[actix_web::test]
async fn a_name_that_occurs_twice_is_refused() {
    assert_eq!(refused(r#"{"email":"a","email":"b","age":1}"#).await, at("/email", "duplicate_field"));
    let nested = r#"{"email":"a","age":1,"tags":[{"name":"x","name":"y"}]}"#;
    assert_eq!(refused(nested).await, at("/tags/0/name", "duplicate_field"));
}

#[actix_web::test]
async fn nul_is_refused_wherever_it_hides() {
    assert_eq!(refused(r#"{"email":"a\u0000b","age":1}"#).await, at("/email", "invalid_character"));
    assert_eq!(refused(r#"{"email":"a","age":1,"x\u0000":1}"#).await.0, 422);
    let patch = TestRequest::patch()
        .uri("/patch-any")
        .insert_header(("content-type", "application/merge-patch+json"))
        .set_payload(r#"{"a":[{"b":"\u0000"}]}"#);
    assert_eq!(ask(patch).await.problem(), at("/a/0/b", "invalid_character"));
}

#[actix_web::test]
async fn an_answer_never_repeats_a_value_that_was_sent() {
    for body in [
        r#"{"email":31337,"age":1}"#,
        r#"{"email":"a","age":"hunter2, expected u8"}"#,
        r#"{"email":"a","age":31337}"#,
        r#"{"email":"a","age":1,"colour":"hunter2"}"#,
    ] {
        let text = ask(post("/people", "application/json", body)).await.text;
        assert!(!text.contains("hunter2") && !text.contains("31337"), "{text}");
    }
}

#[actix_web::test]
async fn a_refusal_reads_like_this() {
    let answer = ask(post("/people", "application/json", r#"{"email":7,"age":1,"extra":0}"#)
        .insert_header(("x-request-id", "request-0001")))
    .await;
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer.json()).unwrap(), @r#"
    {
      "code": "platform.invalid_input",
      "detail": "The input breaks at least one rule.",
      "errors": [
        {
          "code": "wrong_type",
          "detail": "Must be a string.",
          "pointer": "/email"
        }
      ],
      "instance": "/people",
      "request_id": "request-0001",
      "status": 422,
      "title": "Unprocessable Entity",
      "type": "about:blank"
    }
    "#);
}

#[actix_web::test]
async fn a_merge_patch_tells_absent_from_null() {
    let patch = |body: &'static str, kind: &'static str| {
        TestRequest::patch().uri("/patch").insert_header(("content-type", kind)).set_payload(body)
    };
    for kind in ["application/merge-patch+json", "application/json"] {
        assert_eq!(ask(patch("{}", kind)).await.text, "None");
        assert_eq!(ask(patch(r#"{"name":null}"#, kind)).await.text, "Some(None)");
        assert_eq!(ask(patch(r#"{"name":"x"}"#, kind)).await.text, "Some(Some(\"x\"))");
        assert_eq!(ask(patch(r#"{"nam":"x"}"#, kind)).await.problem(), at("/nam", "unknown_field"));
    }
    assert_eq!(ask(patch("[]", "application/json-patch+json")).await.problem().0, 415);
}

#[actix_web::test]
async fn a_key_belongs_to_its_caller_endpoint_and_body() {
    let stage = Stage::new();
    let (first, second) = (stage.log_in().2, stage.log_in().2);
    let key = async |path: &str, token: &str, body: &'static str, key: &str| {
        let request = post(path, "application/json", body)
            .insert_header(("authorization", format!("Bearer {token}")))
            .insert_header(("idempotency-key", key));
        send(&stage, routes, request).await.text
    };
    let one = key("/keyed", &first, GOOD, "k").await;
    assert_eq!(one, key("/keyed", &first, GOOD, "k").await);
    let others = [
        key("/keyed", &second, GOOD, "k").await,
        key("/keyed/other", &first, GOOD, "k").await,
        key("/keyed", &first, GOOD, "l").await,
        key("/keyed", &first, r#"{"email":"b@example.test","age":7}"#, "k").await,
    ];
    assert!(others.iter().all(|other| *other != one && other.starts_with("Some")), "{others:?}");
}

#[actix_web::test]
async fn a_key_that_is_not_one_is_refused_and_strangers_have_none() {
    for bad in ["", "two words", "ünïcode", &"x".repeat(256)] {
        let request = post("/nobody", "application/json", GOOD).insert_header(("idempotency-key", bad));
        assert_eq!(ask(request).await.problem().1, "platform.invalid_idempotency_key", "{bad}");
    }
    let good = post("/nobody", "application/json", GOOD).insert_header(("idempotency-key", "k"));
    assert_eq!(ask(good).await.text, "None");
}
