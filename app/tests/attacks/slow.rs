//! Slow clients (slowloris): who sends a letter a second holds a connection for a while, and nothing else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::house::{House, Shape};

const SETTINGS: [(&str, &str); 2] =
    [("DOORWARD__SERVER__HEADER_TIMEOUT_MS", "500"), ("DOORWARD__SERVER__BODY_TIMEOUT_MS", "500")];

fn connect(house: &House) -> TcpStream {
    let stream = TcpStream::connect(house.public.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Sends a beginning and then a byte now and then, until the server has had enough; what it said, and when.
fn trickle(mut stream: TcpStream, beginning: &str, drop: &[u8]) -> (String, Duration) {
    let began = Instant::now();
    stream.write_all(beginning.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while began.elapsed() < Duration::from_secs(8) {
        if stream.write_all(drop).is_err() {
            break;
        }
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    (String::from_utf8_lossy(&answer).into_owned(), began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_never_ends_is_cut_off_and_others_are_served_meanwhile() {
    let mut house = House::open(Shape::Embedded, &SETTINGS).await.unwrap();
    let mia = house.person("mia").await;
    let streams: Vec<_> = (0..100).map(|_| connect(&house)).collect();
    let slow = std::thread::spawn(move || {
        let threads = streams.into_iter().map(|stream| {
            std::thread::spawn(move || trickle(stream, "GET /livez HTTP/1.1\r\nhost: x\r\n", b"x"))
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    while !slow.is_finished() {
        let began = Instant::now();
        assert_eq!(mia.client.get("/api/v1/users/me").await.status, 200);
        assert!(began.elapsed() < Duration::from_secs(2), "others wait for the slow ones");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (answer, took) in slow.join().unwrap() {
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408") || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
        assert!(took < Duration::from_secs(6), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_never_ends_is_408() {
    let house = House::open(Shape::Embedded, &SETTINGS).await.unwrap();
    for (path, kind) in [
        ("/api/v1/auth/logins", "application/json"),
        ("/api/v1/notifications/unsubscribe?token=x", "application/x-www-form-urlencoded"),
        ("/api/v1/notifications/receipts/primary", "application/json"),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: 6000\r\n\r\n{{\"email\":\""
        );
        let (answer, took) = trickle(connect(&house), &head, b"a");
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        assert!(
            answer.contains("platform.request_timeout") && answer.contains("application/problem+json"),
            "{path}: {answer}"
        );
        assert!(took < Duration::from_secs(7), "{path}: the connection stays open: {took:?}");
    }
    assert_eq!(house.client().get("/livez").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_stands_still_is_given_up_and_one_that_goes_on_is_not() {
    let mut house = House::open(Shape::Embedded, &SETTINGS).await.unwrap();
    let root = house.administrator().await;
    let token = root.client.access_token.as_deref().unwrap();
    let head = format!(
        "POST /api/v1/users/imports HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/x-ndjson\r\ncontent-length: 60000\r\n\r\n"
    );
    let (answer, took) = trickle(connect(&house), &head, b"");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("platform.malformed_body"), "{answer}");
    assert!(took < Duration::from_secs(7), "{took:?}");
    let (answer, took) = trickle(connect(&house), &head, b" ");
    assert!(answer.is_empty() && took >= Duration::from_secs(8), "each piece has its own time: {answer}");
}
