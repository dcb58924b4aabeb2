//! The configurations of reverse proxies: both programs take them, every path goes to the process that owns it, forwarded
//! headers of clients don't get through, a stream is not held back, a replica that is gone is not noticed, and a change
//! that was sent is not sent once more.
//!
//! Behind the proxies stand stand-ins that say their name. Where a program isn't installed its tests say so, and fail
//! when `DOORWARD_TEST_REQUIRE_PROXIES` is `1`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use contracts::Module;
use regex::Regex;
use serde_json::{Value, json};

use crate::client::{Ask, Client};
use crate::fleet::Fleet;
use crate::plan::{Proxy, installed};

/// Answers every request with a name and the request's head; a stream with its first piece, and then nothing.
fn stand_in(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(name, stream));
        }
    });
    address
}

/// Reads every request, counts it and hangs up, as one that dies while it works.
fn dying(count: &Arc<AtomicU32>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::clone(count));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // It hangs up after it has counted.
            let mut reader = BufReader::new(stream);
            if read(&mut reader).is_some() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    address
}

/// The head of a request whose body was read as well.
fn read(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while reader.read_line(&mut head).ok()? > 2 {}
    let length = Regex::new(r"(?i)content-length: (\d+)").unwrap();
    let length: u64 = length.captures(&head).map_or(0, |found| found[1].parse().unwrap());
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
    head.contains(" HTTP/1.1").then_some(head)
}

fn answer(name: &str, mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = read(&mut reader)?;
    if head.contains("/inbox/stream") {
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n").ok()?;
        stream.flush().ok()?;
        // Until the proxy goes away.
        reader.read_line(&mut head).ok()?;
        return None;
    }
    let body = json!({ "name": name, "head": head }).to_string();
    let kind = "content-type: application/json\r\nconnection: close";
    write!(stream, "HTTP/1.1 200 OK\r\n{kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).ok()
}

/// What a stand-in behind the proxy tells.
async fn asked(proxy: &Proxy, method: &str, path: &str, headers: &[(&'static str, &str)]) -> Value {
    let mut ask = Ask::new(reqwest::Method::from_bytes(method.as_bytes()).unwrap(), path);
    for (name, value) in headers {
        ask = ask.header(name, value);
    }
    let answer = Client::new(&proxy.base).send(&ask).await;
    assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
    answer.body
}

const NAMES: [(Module, &str); 4] = [
    (Module::Auth, "auth"),
    (Module::Users, "users"),
    (Module::Permissions, "permissions"),
    (Module::Notifications, "notifications"),
];

fn stand_ins() -> Vec<(Module, String, String)> {
    let one = |(module, name)| {
        let address = stand_in(name).to_string();
        (module, address.clone(), address)
    };
    NAMES.into_iter().map(one).collect()
}

/// Every path that the sources mount, with its module as the folder tells it: also those that no document knows.
fn mounted() -> Vec<(String, String)> {
    let mounts = Regex::new(r#"#\[(get|post|put|patch|delete)\("(/[^"]+)"\)\]"#).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for (_, module) in NAMES {
        let mut folders = vec![root.join("modules").join(module).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let all = mounts.captures_iter(&text);
                    found.extend(all.map(|one| (module.to_owned(), one[2].to_owned())));
                }
            }
        }
    }
    assert!(found.len() > 60, "the sources are read otherwise than they are written");
    found
}

fn filled(path: &str) -> String {
    Regex::new(r"\{[^}]+\}").unwrap().replace_all(path, "01900000-0000-7000-8000-000000000000").into_owned()
}

async fn every_path_goes_where_it_belongs(program: &str) {
    let Some(proxy) = Proxy::start(program, &stand_ins()) else { return };
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let tag = operation["tags"][0].as_str().unwrap();
            if tag == "platform" || path == "/api/v1/inbox/stream" {
                continue;
            }
            let told = asked(&proxy, &method.to_uppercase(), &format!("{}?a=b", filled(path)), &[]).await;
            assert_eq!(told["name"], tag, "{program}: {method} {path}");
        }
    }
    for (module, path) in mounted() {
        if path != "/api/v1/inbox/stream" {
            let told = asked(&proxy, "GET", &filled(&path), &[]).await;
            assert_eq!(told["name"], module, "{program}: {path}");
        }
    }
    for path in ["/api/v1/audit-events", "/openapi.json", "/docs/index.html", "/nowhere"] {
        assert!(asked(&proxy, "GET", path, &[]).await["name"].is_string(), "{program}: {path}");
    }
}

async fn what_clients_say_of_themselves_does_not_get_through(program: &str) {
    let Some(proxy) = Proxy::start(program, &stand_ins()) else { return };
    let lies = [
        ("x-forwarded-for", "203.0.113.9"),
        ("forwarded", "for=203.0.113.9"),
        ("x-forwarded-host", "evil.example"),
        ("x-real-ip", "203.0.113.9"),
        ("doorward-caller", "{\"actor\":{\"type\":\"module\",\"name\":\"auth\"}}"),
    ];
    let told = asked(&proxy, "GET", "/api/v1/users/me", &lies).await;
    let head = told["head"].as_str().unwrap().to_lowercase();
    assert!(!head.contains("203.0.113.9") && !head.contains("evil.example"), "{head}");
    assert!(!head.contains("doorward-caller"), "{head}");
    assert!(head.contains("x-forwarded-for: 127.0.0.1"), "{head}");
}

async fn a_stream_is_not_held_back(program: &str) {
    let Some(proxy) = Proxy::start(program, &stand_ins()) else { return };
    let began = Instant::now();
    let mut answer = reqwest::get(format!("{}/api/v1/inbox/stream", proxy.base)).await.unwrap();
    let piece = tokio::time::timeout(Duration::from_secs(5), answer.chunk()).await;
    let piece = piece.expect("the first piece comes at once").unwrap().unwrap();
    assert_eq!(&piece[..], b"data: 1\n\n");
    assert!(began.elapsed() < Duration::from_secs(5));
}

async fn a_replica_that_is_gone_is_not_noticed(program: &str) {
    let mut servers = stand_ins();
    let closed = format!("127.0.0.1:{}", testkit::ports::free(1));
    servers.push((Module::Users, closed.clone(), closed));
    let Some(proxy) = Proxy::start(program, &servers) else { return };
    for _ in 0..20 {
        assert_eq!(asked(&proxy, "GET", "/api/v1/users/me", &[]).await["name"], "users");
    }
}

async fn a_change_that_was_sent_is_sent_to_nobody_else(program: &str) {
    if !installed(program) {
        return;
    }
    let count = Arc::new(AtomicU32::new(0));
    let mut servers = stand_ins();
    servers.retain(|(module, ..)| *module != Module::Users);
    let well = servers[0].2.clone();
    for _ in 0..2 {
        servers.push((Module::Users, dying(&count).to_string(), well.clone()));
    }
    // nginx repeats what only reads, HAProxy nothing.
    let repeated = if program == "nginx" { 2 } else { 1 };
    for (method, times) in [("PUT", 1), ("DELETE", 1), ("POST", 1), ("PATCH", 1), ("GET", repeated)] {
        // A new one each time, which thinks that both are well.
        let proxy = Proxy::start(program, &servers).unwrap();
        count.store(0, Ordering::SeqCst);
        let ask = Ask::new(reqwest::Method::from_bytes(method.as_bytes()).unwrap(), "/api/v1/users/me");
        let ask = if method == "GET" { ask } else { ask.body(&json!({ "a": 1 })) };
        assert_eq!(Client::new(&proxy.base).send(&ask).await.status, 502, "{program}: {method}");
        assert_eq!(count.load(Ordering::SeqCst), times, "{program}: {method}");
    }
}

macro_rules! both_proxies {
    ($($test:ident)+) => {$(
        mod $test {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn haproxy() {
                super::$test("haproxy").await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn nginx() {
                super::$test("nginx").await;
            }
        }
    )+};
}

both_proxies! {
    every_path_goes_where_it_belongs
    what_clients_say_of_themselves_does_not_get_through
    a_stream_is_not_held_back
    a_replica_that_is_gone_is_not_noticed
    a_change_that_was_sent_is_sent_to_nobody_else
    four_services_have_one_address
}

async fn four_services_have_one_address(program: &str) {
    if !installed(program) {
        return;
    }
    let Some(fleet) = Fleet::open().await else { return };
    let Some(proxy) = Proxy::start(program, &fleet.plan.servers()) else { return };
    let root = fleet.administrator().await;
    let root = crate::client::Person::log_in(&proxy.base, &root.email, &root.password).await;
    for path in [
        "/api/v1/auth/sessions",
        "/api/v1/users",
        "/api/v1/roles",
        "/api/v1/users/me/permissions",
        "/api/v1/inbox",
        "/api/v1/notifications",
        "/api/v1/audit-events",
        "/.well-known/jwks.json",
        "/verify",
        "/dev/mailbox",
        "/docs/",
    ] {
        assert_eq!(root.client.get(path).await.status, 200, "{path}");
    }
    assert_eq!(root.client.post("/internal/users/find_profile", &json!({})).await.status, 404);
    fleet.close().await;
}

#[test]
fn a_fleet_with_a_gap_gets_no_configuration() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    let done =
        command.args(["proxy", "haproxy", "--server", "auth=10.0.0.1:8080,10.0.0.1:9090"]).output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && told.contains("No process has users"), "{told}");
}
