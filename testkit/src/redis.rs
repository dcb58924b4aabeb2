//! Real Redis servers of a test's own, to be killed, paused, emptied and cut off.
//!
//! They are started from the `redis-server` that is installed. Without it those tests say that they are skipped, or
//! fail when `DOORWARD_TEST_REQUIRE_REDIS` is `1`. A test that does no harm can use the server that
//! `DOORWARD_TEST_REDIS_URL` names, with keys of its own.

use std::env;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const REQUIRE: &str = "DOORWARD_TEST_REQUIRE_REDIS";
const URL: &str = "DOORWARD_TEST_REDIS_URL";

/// A server.
#[derive(Debug)]
pub struct RedisServer {
    child: Option<Child>,
    port: u16,
    folder: TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts one; none when there is no `redis-server` and none is required.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts one with more arguments, such as `["--requirepass", "word"]`. `{dir}` in them is its folder.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(env::var(REQUIRE).as_deref() != Ok("1"), "{REQUIRE}=1, but there is no redis-server");
            eprintln!("skipped: there is no redis-server; `apt-get install redis-server` brings one");
            return None;
        }
        let folder = TempDir::with_prefix("doorward-redis-").expect("a folder for the server");
        let place = folder.path().display().to_string();
        let arguments = arguments.iter().map(|text| text.replace("{dir}", &place)).collect();
        let mut server = Self { child: None, port: free_port(), folder, arguments };
        server.start_again();
        Some(server)
    }

    /// Starts one that copies this one.
    #[must_use]
    pub fn replica(&self) -> Self {
        let port = self.port.to_string();
        Self::start_with(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"])
            .expect("as before")
    }

    /// Starts a sentinel that watches over this one as `main` and puts a replica in its place within a second or two.
    #[must_use]
    pub fn sentinel(&self) -> Self {
        let folder = TempDir::with_prefix("doorward-sentinel-").expect("a folder for the sentinel");
        let port = self.port;
        let text = format!(
            "sentinel monitor main 127.0.0.1 {port} 1\nsentinel down-after-milliseconds main 400\n\
             sentinel failover-timeout main 2000\n"
        );
        std::fs::write(folder.path().join("server.conf"), text).expect("settings of a sentinel");
        let mut sentinel =
            Self { child: None, port: free_port(), folder, arguments: vec!["--sentinel".to_owned()] };
        sentinel.start_again();
        sentinel
    }

    /// Starts three that are a cluster; none when there is no `redis-server` and none is required.
    #[must_use]
    pub fn cluster() -> Option<Vec<Self>> {
        let arguments = [
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "1000",
            "--cluster-require-full-coverage",
            "yes",
        ];
        let nodes = (0..3).map(|_| Self::start_with(&arguments)).collect::<Option<Vec<_>>>()?;
        let addresses = nodes.iter().map(|node| node.address().to_string());
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(addresses).arg("--cluster-yes").stdout(Stdio::null());
        assert!(create.status().expect("redis-cli runs").success(), "the cluster could not be made");
        let whole = |node: &Self| node.ask("CLUSTER INFO").contains("cluster_state:ok");
        let began = Instant::now();
        while !nodes.iter().all(whole) {
            assert!(began.elapsed() < Duration::from_secs(20), "the cluster does not come together");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(nodes)
    }

    /// Starts one that speaks TLS only and wants a password, and writes `ca.pem` into its folder.
    #[must_use]
    pub fn with_tls(password: &str) -> Option<Self> {
        let folder = TempDir::with_prefix("doorward-redis-").expect("a folder for the server");
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().expect("a key"))
            .expect("a CA");
        let key = rcgen::KeyPair::generate().expect("a key");
        let leaf =
            rcgen::CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("names");
        let leaf = leaf.signed_by(&key, &ca).expect("a certificate");
        for (name, text) in [("ca.pem", ca.pem()), ("leaf.pem", leaf.pem()), ("key.pem", key.serialize_pem())]
        {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let file = |name: &str| folder.path().join(name).display().to_string();
        let (leaf, key, ca) = (file("leaf.pem"), file("key.pem"), file("ca.pem"));
        let mut server = Self::start_with(&[
            "--port",
            "0",
            "--tls-port",
            "{port}",
            "--tls-cert-file",
            &leaf,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
            "--tls-auth-clients",
            "no",
            "--requirepass",
            password,
        ])?;
        server.folder = folder;
        Some(server)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it on the same port after it was killed. What it had written to its disk is there again.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log");
        let place = self.folder.path().display().to_string();
        let mut command = Command::new("redis-server");
        let config = self.folder.path().join("server.conf");
        if config.exists() {
            // A sentinel, which keeps what it knows in there.
            command.arg(config);
        } else {
            command.args(["--appendfsync", "no", "--save", ""]);
        }
        command.args(["--bind", "127.0.0.1", "--dir", &place]);
        if !self.arguments.iter().any(|text| text == "--tls-port") {
            command.args(["--port", &self.port.to_string()]);
        }
        command.args(self.arguments.iter().map(|text| text.replace("{port}", &self.port.to_string())));
        let child = command.stdout(log).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("redis-server starts"));
        let began = Instant::now();
        while TcpStream::connect(self.address()).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    /// Stops it in the middle of whatever it does (SIGSTOP).
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
    }

    /// Asks it something on one line, such as `FLUSHALL`, and returns what it says first.
    #[must_use]
    pub fn ask(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a deadline");
        stream.write_all(format!("{line}\r\n").as_bytes()).expect("sent");
        let mut answer = vec![0; 65_536];
        let length = stream.read(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server for a test that does no harm: the one that is named, or one of its own, which ends with what comes with it.
#[must_use]
pub fn harmless() -> Option<(String, Option<RedisServer>)> {
    if let Some(url) = env::var(URL).ok().filter(|url| !url.is_empty()) {
        return Some((url, None));
    }
    let server = RedisServer::start()?;
    Some((server.url(), Some(server)))
}

/// Every key that begins with a prefix, and all that is kept under it, as bytes to be searched.
///
/// # Panics
/// When the server does not answer, or keeps something of a kind that is not known here.
pub async fn contents(url: &str, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let client = redis::Client::open(url).expect("the URL of a Redis");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a Redis");
    let (mut keys, mut cursor) = (Vec::<Vec<u8>>::new(), 0_u64);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(1000);
        let (next, some): (u64, Vec<Vec<u8>>) = scan.query_async(&mut connection).await.expect("keys");
        keys.extend(some);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    let mut all = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut connection).await.expect("a kind");
        let read: &[&str] = match kind.as_str() {
            "none" => continue,
            "string" => &["GET"],
            "hash" => &["HGETALL"],
            "set" => &["SMEMBERS"],
            "list" => &["LRANGE", "0", "-1"],
            "zset" => &["ZRANGE", "0", "-1"],
            "stream" => &["XRANGE", "-", "+"],
            other => panic!("a {other} is kept, and nobody knows how it is read"),
        };
        let mut command = redis::cmd(read[0]);
        command.arg(&key);
        for argument in &read[1..] {
            command.arg(*argument);
        }
        let value: redis::Value = command.query_async(&mut connection).await.expect("a value");
        let mut bytes = key.clone();
        flatten(&value, &mut bytes);
        all.push((format!("the {kind} {} in Redis", String::from_utf8_lossy(&key)), bytes));
    }
    all
}

fn flatten(value: &redis::Value, bytes: &mut Vec<u8>) {
    bytes.push(b' ');
    match value {
        redis::Value::BulkString(text) => bytes.extend(text),
        redis::Value::Array(values) | redis::Value::Set(values) => {
            values.iter().for_each(|value| flatten(value, bytes));
        }
        redis::Value::Map(pairs) => {
            for (name, value) in pairs {
                flatten(name, bytes);
                flatten(value, bytes);
            }
        }
        other => bytes.extend(format!("{other:?}").into_bytes()),
    }
}

/// A port that nobody listens on, with room above it for the other port of a cluster's node.
#[must_use]
pub fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        if port < 55_000 {
            return port;
        }
    }
}
