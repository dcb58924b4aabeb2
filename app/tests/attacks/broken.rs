//! Broken, huge and foreign requests: each is refused quickly, and nobody else notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::client::{Ask, Client};
use crate::house::{House, Shape};

/// Sends bytes as they are, and reads until the server closes or has said its status.
fn raw(house: &House, bytes: &[u8]) -> (String, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(house.public.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The server may close before it took everything: that is an answer as well.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..count]);
        if count == 0 || answer.windows(4).any(|window| window == b"\r\n\r\n") {
            break;
        }
    }
    (String::from_utf8_lossy(&answer).into_owned(), began.elapsed())
}

fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

const LOGIN: &str = "/api/v1/auth/logins";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_wide_and_huge_requests_are_refused_quickly_and_nobody_else_notices() {
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let mia = house.person("mia").await;
    let keys = |count: usize| {
        let fields: Vec<_> = (0..count).map(|number| format!("\"key{number}\":1")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let parameters: Vec<_> = (0..100_000).map(|number| format!("p{number}=1")).collect();
    let query = format!("GET /api/v1/audit-events?{} HTTP/1.1\r\nhost: x\r\n\r\n", parameters.join("&"));
    let header = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-big: {}\r\n\r\n", "a".repeat(1 << 20));
    let many: String = (0..5_000).map(|number| format!("x-{number}: 1\r\n")).collect();
    let chunked = format!(
        "POST {LOGIN} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{}",
        format!("{:x}\r\n{}\r\n", 65_536, "a".repeat(65_536)).repeat(4)
    );
    let long_password =
        |bytes: usize| json!({ "email": "mia@example.org", "password": "x".repeat(bytes) }).to_string();
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("deep, small", post(LOGIN, "", "[".repeat(60_000).as_bytes()), &[400, 422]),
        ("deep objects", post(LOGIN, "", "{\"a\":".repeat(12_000).as_bytes()), &[400, 422]),
        ("deep, large", post(LOGIN, "", "[".repeat(100_000).as_bytes()), &[413]),
        ("wide, small", post(LOGIN, "", keys(4_000).as_bytes()), &[422]),
        ("wide, large", post(LOGIN, "", keys(200_000).as_bytes()), &[413]),
        ("the same key again", post(LOGIN, "", br#"{"email":"a@b.test","email":"c@d.test","password":"x"}"#), &[400, 422]),
        ("two megabytes", post(LOGIN, "", &vec![b'a'; 2 << 20]), &[413]),
        ("said to be five gigabytes", b"POST /api/v1/auth/logins HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5368709120\r\n\r\n".to_vec(), &[413]),
        ("chunks without end", chunked.into_bytes(), &[413]),
        ("a password of 1025 bytes", post(LOGIN, "", long_password(1_025).as_bytes()), &[401, 422]),
        ("a password of 60 KB", post(LOGIN, "", long_password(60_000).as_bytes()), &[401, 422]),
        ("a query of a hundred thousand", query.into_bytes(), &[400, 414, 431]),
        ("a header of one megabyte", header.into_bytes(), &[400, 431]),
        ("five thousand headers", format!("GET /livez HTTP/1.1\r\nhost: x\r\n{many}\r\n").into_bytes(), &[400, 431]),
        ("two lengths", post(LOGIN, "content-length: 3\r\n", b"{}"), &[400]),
        ("a length and chunks", post(LOGIN, "transfer-encoding: chunked\r\n", b"0\r\n\r\n"), &[400]),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), &[400]),
        ("a foreign method", b"BREW /api/v1/auth/logins HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), &[405, 404, 400]),
        ("a path with NUL", b"GET /api/v1/roles/%00 HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), &[401, 404]),
        ("a path that climbs", b"GET /docs/../../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), &[404]),
        ("an encoded path that climbs", b"GET /docs/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), &[404]),
    ];
    for (what, bytes, expected) in cases {
        let (answer, took) = raw(&house, &bytes);
        let status: u16 = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        // A head beyond all bounds may be cut off without a word.
        let cut = status == 0 && (expected.contains(&431) || expected == [413]);
        assert!(expected.contains(&status) || cut, "{what}: {answer:.300}");
        assert!(took < Duration::from_secs(2), "{what} took {took:?}");
        assert_eq!(mia.client.get("/api/v1/users/me").await.status, 200, "after {what}");
    }
    house.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_on_another_site_changes_nothing() {
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let mia = house.person("mia").await;
    let before = mia.client.get("/api/v1/users/me").await.body;
    let document = house.client().get("/openapi.json").await.body;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let writes = methods.as_object().unwrap().keys().filter(|method| *method != "get");
        for method in writes.map(|method| Method::from_bytes(method.to_uppercase().as_bytes()).unwrap()) {
            let path = path.replace("{id}", &mia.id).replace(['{', '}'], "");
            for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
            {
                let ask = Ask::new(method.clone(), &path)
                    .body(&json!({ "display_name": "Mallory", "email": mia.email, "password": mia.password }))
                    .header("content-type", kind)
                    .header("origin", "https://evil.test")
                    .header(
                        "cookie",
                        &format!("access_token={0}; session={0}", mia.client.access_token.clone().unwrap()),
                    );
                let answer = Client::new(&house.public).send(&ask).await;
                assert!((400..500).contains(&answer.status), "{method} {path} as {kind}: {answer:?}");
                assert_eq!(answer.header("set-cookie"), "", "{method} {path}");
                assert_eq!(answer.header("access-control-allow-origin"), "", "{method} {path}");
            }
        }
    }
    assert_eq!(mia.client.get("/api/v1/users/me").await.body, before);
    house.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_page_does_not_answer_is_told_with_what_it_does() {
    let house = House::open(Shape::Embedded, &[]).await.unwrap();
    for (base, paths) in [
        (
            &house.public,
            &[
                "/openapi.json",
                "/docs",
                "/docs/",
                "/dev/mailbox",
                "/dev/mailbox.json",
                "/verify",
                "/setup",
                "/livez",
            ][..],
        ),
        (&house.management, &["/metrics", "/livez", "/readyz"][..]),
    ] {
        for path in paths {
            for method in [Method::DELETE, Method::PUT, Method::POST] {
                let answer = Client::new(base).send(&Ask::new(method.clone(), path)).await;
                assert_eq!((answer.status, answer.header("allow")), (405, "GET"), "{method} {path}");
                assert_eq!(answer.code(), "platform.method_not_allowed");
            }
        }
    }
    let answer = house.client().send(&Ask::new(Method::DELETE, "/api/v1/auth/logins")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_address_in_the_request_line_leads_no_link_elsewhere() {
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let mia = house.person("mia").await;
    let ask = post(
        "http://evil.test/api/v1/auth/password-resets",
        "",
        json!({ "email": mia.email }).to_string().as_bytes(),
    );
    let (answer, _) = raw(&house, &ask);
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let message = house.messages(&mia.email, 2).await.remove(0);
    assert!(message["links"][0].as_str().unwrap().starts_with("http://doorward.test/"), "{message}");
    assert!(!message.to_string().contains("evil.test"), "{message}");
    house.close();
}
