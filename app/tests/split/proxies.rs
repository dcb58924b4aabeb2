//! The configurations of reverse proxies: both programs take them, every path goes to the process that owns it, forwarded
//! headers of clients don't get through, a stream is not held back, and a replica that is gone is not noticed.
//!
//! Behind the proxies stand stand-ins that say their name. Where a program isn't installed its tests say so, and fail
//! when `DOORWARD_TEST_REQUIRE_PROXIES` is `1`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use contracts::Module;
use regex::Regex;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Ask, Client};
use crate::fleet::{Fleet, free_port};
use crate::house::eventually;

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

fn answer(name: &str, mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while reader.read_line(&mut head).ok()? > 2 {}
    let length = Regex::new(r"(?i)content-length: (\d+)").unwrap();
    let length: u64 = length.captures(&head).map_or(0, |found| found[1].parse().unwrap());
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
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

/// A proxy that runs, or none when it isn't installed.
struct Proxy {
    process: Child,
    base: String,
    _folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn installed(program: &str) -> bool {
    let there = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).is_file());
    if !there {
        let required = std::env::var("DOORWARD_TEST_REQUIRE_PROXIES").is_ok_and(|value| value == "1");
        assert!(!required, "{program} is not installed, and DOORWARD_TEST_REQUIRE_PROXIES is 1");
        eprintln!("skipped: {program} is not installed");
    }
    there
}

fn command(program: &str, folder: &Path, file: &Path) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"));
    match program {
        "haproxy" => command.arg("-f").arg(file),
        _ => command.arg("-p").arg(folder).arg("-e").arg("stderr").arg("-c").arg(file),
    };
    command
}

impl Proxy {
    /// Prints the configuration, has the program check it, and runs it.
    async fn start(program: &str, servers: &[(Module, String, String)], more: &[&str]) -> Option<Self> {
        if !installed(program) {
            return None;
        }
        let listen = format!("127.0.0.1:{}", free_port());
        let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
        doorward.args(["proxy", program, "--listen", &listen]).args(more);
        for (module, public, management) in servers {
            doorward.args(["--server", &format!("{module}={public},{management}")]);
        }
        let printed = doorward.output().unwrap();
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("proxy.conf");
        std::fs::write(&file, printed.stdout).unwrap();
        let check = if program == "haproxy" { "-c" } else { "-t" };
        let checked = command(program, folder.path(), &file).arg(check).output().unwrap();
        let told = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
        assert!(checked.status.success() && !told.to_lowercase().contains("warn"), "{told}");
        let mut run = command(program, folder.path(), &file);
        match program {
            "haproxy" => run.arg("-db"),
            _ => run.args(["-g", "daemon off;"]),
        };
        let process = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let proxy = Self { process, base: format!("http://{listen}"), _folder: folder };
        eventually("the proxy to answer", async || {
            let answer = Client::new(&proxy.base).try_send(&Ask::new(reqwest::Method::GET, "/livez")).await;
            answer.ok().filter(|answer| answer.status == 200)
        })
        .await;
        Some(proxy)
    }

    async fn asked(&self, method: &str, path: &str, headers: &[(&'static str, &str)]) -> Value {
        let mut ask = Ask::new(reqwest::Method::from_bytes(method.as_bytes()).unwrap(), path);
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        let answer = Client::new(&self.base).send(&ask).await;
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        answer.body
    }
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
    let Some(proxy) = Proxy::start(program, &stand_ins(), &[]).await else { return };
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let tag = operation["tags"][0].as_str().unwrap();
            if tag == "platform" || path == "/api/v1/inbox/stream" {
                continue;
            }
            let told = proxy.asked(&method.to_uppercase(), &format!("{}?a=b", filled(path)), &[]).await;
            assert_eq!(told["name"], tag, "{program}: {method} {path}");
        }
    }
    for (module, path) in mounted() {
        if path != "/api/v1/inbox/stream" {
            let told = proxy.asked("GET", &filled(&path), &[]).await;
            assert_eq!(told["name"], module, "{program}: {path}");
        }
    }
    for path in ["/api/v1/audit-events", "/openapi.json", "/docs/index.html", "/nowhere"] {
        assert!(proxy.asked("GET", path, &[]).await["name"].is_string(), "{program}: {path}");
    }
}

async fn what_clients_say_of_themselves_does_not_get_through(program: &str) {
    let Some(proxy) = Proxy::start(program, &stand_ins(), &[]).await else { return };
    let lies = [
        ("x-forwarded-for", "203.0.113.9"),
        ("forwarded", "for=203.0.113.9"),
        ("x-forwarded-host", "evil.example"),
        ("x-real-ip", "203.0.113.9"),
        ("doorward-caller", "{\"actor\":{\"type\":\"module\",\"name\":\"auth\"}}"),
    ];
    let told = proxy.asked("GET", "/api/v1/users/me", &lies).await;
    let head = told["head"].as_str().unwrap().to_lowercase();
    assert!(!head.contains("203.0.113.9") && !head.contains("evil.example"), "{head}");
    assert!(!head.contains("doorward-caller"), "{head}");
    assert!(head.contains("x-forwarded-for: 127.0.0.1"), "{head}");
}

async fn a_stream_is_not_held_back(program: &str) {
    let Some(proxy) = Proxy::start(program, &stand_ins(), &[]).await else { return };
    let began = Instant::now();
    let mut answer = reqwest::get(format!("{}/api/v1/inbox/stream", proxy.base)).await.unwrap();
    let piece = tokio::time::timeout(Duration::from_secs(5), answer.chunk()).await;
    let piece = piece.expect("the first piece comes at once").unwrap().unwrap();
    assert_eq!(&piece[..], b"data: 1\n\n");
    assert!(began.elapsed() < Duration::from_secs(5));
}

async fn a_replica_that_is_gone_is_not_noticed(program: &str) {
    let mut servers = stand_ins();
    let closed = format!("127.0.0.1:{}", free_port());
    servers.push((Module::Users, closed.clone(), closed));
    let Some(proxy) = Proxy::start(program, &servers, &[]).await else { return };
    for _ in 0..20 {
        assert_eq!(proxy.asked("GET", "/api/v1/users/me", &[]).await["name"], "users");
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
    four_services_have_one_address
}

async fn four_services_have_one_address(program: &str) {
    if !installed(program) {
        return;
    }
    let fleet = Fleet::open().await;
    let plain = |url: &str| url.trim_start_matches("http://").to_owned();
    let servers: Vec<_> = fleet
        .services
        .iter()
        .map(|(module, house)| (*module, plain(&house.public), plain(&house.management)))
        .collect();
    let Some(proxy) = Proxy::start(program, &servers, &[]).await else { return };
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
    fleet.close();
}

#[test]
fn a_fleet_with_a_gap_gets_no_configuration() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    let done =
        command.args(["proxy", "haproxy", "--server", "auth=10.0.0.1:8080,10.0.0.1:9090"]).output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && told.contains("No process has users"), "{told}");
}
