//! What surrounds every request: ids, headers, problems for whatever fails, and the wall around panics.

use std::sync::{Arc, Mutex};

use actix_web::test::TestRequest;
use actix_web::{HttpResponse, web};
use contracts::{Error, Kind};
use platform::http::{Anyone, Methods, Problem, add_to};

use super::http_support::{Answer, Stage, send};

async fn panics() -> HttpResponse {
    panic!("hunter2")
}

async fn fails(kind: web::Path<String>) -> Result<HttpResponse, Problem> {
    let kind: Kind = serde_json::from_value(kind.into_inner().into()).unwrap();
    let error = Error::new(kind, "tests.code", "A sentence.").caused_by("host db-7 refused hunter2");
    Err(error.into())
}

async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("content-security-policy", "default-src 'self'"))
        .insert_header(("cache-control", "max-age=60"))
        .finish()
}

async fn who(Anyone(caller): Anyone) -> HttpResponse {
    HttpResponse::Ok().json(caller)
}

async fn plain_error() -> Result<HttpResponse, actix_web::Error> {
    Err(actix_web::error::ErrorBadRequest("secret detail"))
}

async fn own_error() -> Result<HttpResponse, actix_web::Error> {
    let answer = HttpResponse::BadRequest().json(serde_json::json!({ "error": "invalid_request" }));
    Err(actix_web::error::InternalError::from_response("oauth", answer).into())
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/panics", web::get().to(panics))
        .route("/fails/{kind}", web::get().to(fails))
        .route("/page", web::get().to(page))
        .route("/who", web::get().to(who))
        .route("/plain-error", web::get().to(plain_error))
        .route("/own-error", web::get().to(own_error))
        .route("/livez", web::get().to(page))
        .service(web::resource("/guarded").guard(actix_web::guard::Post()).to(page));
}

async fn get(path: &str) -> Answer {
    send(&Stage::new(), routes, TestRequest::get().uri(path)).await
}

#[actix_web::test]
async fn every_answer_carries_its_id_and_the_security_headers() {
    for path in ["/who", "/nowhere", "/fails/internal", "/panics", "/page", "/plain-error", "/own-error"] {
        let answer = get(path).await;
        let id: uuid::Uuid = answer.header("x-request-id").parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.headers.get("server").is_none());
        let own = path == "/page";
        let caching = if own { "max-age=60" } else { "no-store" };
        let policy = if own { "default-src 'self'" } else { "default-src 'none'; frame-ancestors 'none'" };
        assert_eq!(
            (answer.header("cache-control"), answer.header("content-security-policy")),
            (caching, policy)
        );
    }
}

#[actix_web::test]
async fn the_same_ids_reach_the_handler() {
    let request = TestRequest::get()
        .uri("/who")
        .insert_header(("x-request-id", "client-made-0001"))
        .insert_header(("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    let answer = send(&Stage::new(), routes, request).await;
    assert_eq!(answer.header("x-request-id"), "client-made-0001");
    assert_eq!(answer.json()["request_id"], "client-made-0001");
    let trace = answer.json()["traceparent"].as_str().unwrap().to_owned();
    assert!(trace.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{trace}");
    let forged = TestRequest::get().uri("/who").insert_header(("x-request-id", "a\"b\\c d;e"));
    let answer = send(&Stage::new(), routes, forged).await;
    assert!(answer.header("x-request-id").parse::<uuid::Uuid>().is_ok());
}

#[actix_web::test]
async fn every_kind_of_error_has_its_status() {
    for (kind, status) in [
        ("invalid", 422),
        ("unauthenticated", 401),
        ("denied", 403),
        ("not_found", 404),
        ("conflict", 409),
        ("gone", 410),
        ("limited", 429),
        ("unavailable", 503),
    ] {
        let answer = get(&format!("/fails/{kind}")).await;
        assert_eq!(answer.problem(), (status, "tests.code".to_owned(), vec![]), "{kind}");
        assert!(!answer.text.contains("hunter2"), "{}", answer.text);
        let retry = if matches!(status, 429 | 503) { "1" } else { "" };
        assert_eq!(answer.header("retry-after"), retry, "{kind}");
        assert_eq!(answer.header("www-authenticate") == "Bearer realm=\"doorward\"", status == 401, "{kind}");
        assert_eq!(answer.json()["instance"], format!("/fails/{kind}"));
    }
}

#[actix_web::test]
async fn a_mistake_of_ours_tells_nothing() {
    let answer = get("/fails/internal").await;
    assert_eq!(answer.problem(), (500, "platform.internal".to_owned(), vec![]));
    assert!(!answer.text.contains("A sentence") && !answer.text.contains("hunter2"), "{}", answer.text);
}

#[actix_web::test]
async fn a_panic_is_an_answer_and_no_more() {
    let answer = get("/panics").await;
    assert_eq!(answer.problem(), (500, "platform.internal".to_owned(), vec![]));
    assert!(!answer.text.contains("hunter2"), "{}", answer.text);
}

#[actix_web::test]
async fn the_frameworks_own_errors_become_problems_and_other_standards_bodies_stay() {
    let plain = get("/plain-error").await;
    assert_eq!(plain.problem().0, 400);
    assert!(!plain.text.contains("secret detail"), "{}", plain.text);
    let own = get("/own-error").await;
    assert_eq!((own.status.as_u16(), own.text.as_str()), (400, r#"{"error":"invalid_request"}"#));
}

#[actix_web::test]
async fn what_is_not_there_is_404_and_what_answers_otherwise_is_405() {
    assert_eq!(get("/nowhere").await.problem().1, "platform.not_found");
    assert_eq!(get("/guarded").await.problem().1, "platform.method_not_allowed");
    let mut document = utoipa::openapi::OpenApi::default();
    let item = utoipa::openapi::PathItem::new(
        utoipa::openapi::HttpMethod::Post,
        utoipa::openapi::path::OperationBuilder::new().build(),
    );
    document.paths.paths.insert("/guarded".to_owned(), item);
    let methods = web::Data::new(Methods::of(&document));
    let with_methods = |config: &mut web::ServiceConfig| {
        routes(config);
        config.app_data(methods);
    };
    let answer = send(&Stage::new(), with_methods, TestRequest::delete().uri("/guarded")).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
    // Beside the document.
    let methods = web::Data::new(Methods::of(&document).others("GET"));
    let beside = |config: &mut web::ServiceConfig| {
        let resource = web::resource("/beside").guard(actix_web::guard::Get()).to(page);
        config.service(resource).app_data(methods);
    };
    let answer = send(&Stage::new(), beside, TestRequest::delete().uri("/beside")).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET"));
}

/// What a request leaves in the log.
async fn logged(request: TestRequest) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let sink = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || sink.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    send(&Stage::new(), routes, request).await;
    drop(guard);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[actix_web::test]
async fn a_request_is_one_line_that_names_the_route_and_no_secret() {
    let request = TestRequest::get()
        .uri("/fails/denied?token=hunter2")
        .insert_header(("authorization", "Bearer hunter2"))
        .insert_header(("user-agent", "hunter2"));
    let log = logged(request).await;
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("GET /fails/{kind} 403") && log.contains("duration_ms="), "{log}");
    assert!(!log.contains("hunter2") && !log.contains("/fails/denied"), "{log}");
    let nowhere = logged(TestRequest::get().uri("/nowhere/hunter2")).await;
    assert!(nowhere.contains("GET unmatched 404") && !nowhere.contains("hunter2"), "{nowhere}");
    assert_eq!(logged(TestRequest::get().uri("/livez")).await, "", "probes are not worth a line");
}

#[actix_web::test]
async fn a_mistake_of_ours_is_told_to_the_operator_once() {
    let request = TestRequest::get().uri("/fails/internal").insert_header(("x-request-id", "request-0002"));
    let log = logged(request).await;
    assert_eq!(log.matches("host db-7 refused").count(), 1, "{log}");
    let line = log.lines().find(|line| line.contains("db-7")).unwrap();
    assert!(line.contains("ERROR") && line.contains("request-0002"), "{line}");
    let panicked = logged(TestRequest::get().uri("/panics")).await;
    assert!(panicked.contains("ended in a panic") && !panicked.contains("hunter2"), "{panicked}");
}

#[actix_web::test]
async fn requests_are_counted_by_route() {
    assert!(platform::metrics::install());
    get("/fails/gone").await;
    send(&Stage::new(), routes, TestRequest::default().method("BREW".parse().unwrap()).uri("/who")).await;
    let text = platform::metrics::render();
    for line in [
        r#"doorward_http_requests_total{method="GET",route="/fails/{kind}",status="410"} 1"#,
        r#"doorward_http_request_seconds_count{method="GET",route="/fails/{kind}"} 1"#,
        r#"doorward_http_requests_total{method="OTHER",route="/who",status="405"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in:\n{text}");
    }
    assert!(!text.contains("BREW"), "{text}");
}

#[test]
fn the_document_knows_the_shape_of_a_problem() {
    use utoipa::IntoResponses;
    let mut document = utoipa::openapi::OpenApi::default();
    add_to(&mut document);
    let json = serde_json::to_value(&document).unwrap();
    let properties = &json["components"]["schemas"]["Problem"]["properties"];
    for name in ["type", "title", "status", "detail", "code", "instance", "request_id", "errors"] {
        assert!(!properties[name].is_null(), "{name}: {properties}");
    }
    assert!(!json["components"]["schemas"]["ProblemField"].is_null());
    let statuses: Vec<_> = platform::http::RightProblems::responses().into_keys().collect();
    assert_eq!(statuses, ["400", "401", "403", "429", "500", "503"]);
}
