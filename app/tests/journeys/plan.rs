//! Four services instead of one: what each must be told, and the proxy in front of them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use contracts::Module;
use platform::clock::Clock;
use platform::settings::MasterKey;
use platform::tokens::{Identity, ServiceKey};
use tempfile::TempDir;
use testkit::brokers::TestBroker;
use testkit::ports;

/// Names and values of settings.
pub type Extra = Vec<(String, String)>;

/// 32 random bytes in base64.
pub fn random_key() -> String {
    MasterKey::generate().unwrap().to_base64().to_string()
}

/// What the services must know before any of them runs.
#[derive(Clone)]
pub struct Plan {
    pub master_key: String,
    pub keys: BTreeMap<Module, String>,
    /// Of the public listeners.
    pub public: BTreeMap<Module, u16>,
    /// Of the management listeners.
    pub management: BTreeMap<Module, u16>,
    pub scheme: &'static str,
    /// The broker's URL, and what the names there begin with.
    pub broker: (String, String),
}

impl Plan {
    /// Services that hear of each other over this broker.
    pub fn new(url: &str, prefix: &str) -> Self {
        Self {
            master_key: random_key(),
            keys: Module::ALL.map(|module| (module, random_key())).into(),
            public: Module::ALL.map(|module| (module, ports::free(1))).into(),
            management: Module::ALL.map(|module| (module, ports::free(1))).into(),
            scheme: "http",
            broker: (url.to_owned(), prefix.to_owned()),
        }
    }

    /// The settings of the service with this module.
    pub fn settings(&self, module: Module) -> Extra {
        let listener = |port: u16| format!("127.0.0.1:{port}");
        let mut extra: Extra = [
            ("MODULES", module.to_string()),
            ("SECRETS__MASTER_KEY", self.master_key.clone()),
            ("PEERS__KEY", self.keys[&module].clone()),
            ("SERVER__PUBLIC__ADDRESS", listener(self.public[&module])),
            ("SERVER__MANAGEMENT__ADDRESS", listener(self.management[&module])),
            ("RABBITMQ__URL", self.broker.0.clone()),
            ("RABBITMQ__PREFIX", self.broker.1.clone()),
        ]
        .map(|(name, value)| (format!("DOORWARD__{name}"), value))
        .into();
        for other in Module::ALL {
            let name = other.as_str().to_uppercase();
            let public = ServiceKey::parse(&self.keys[&other]).unwrap().public();
            extra.push((format!("DOORWARD__PEERS__KEYS__{name}"), public));
            if other != module {
                let address = format!("{}://127.0.0.1:{}", self.scheme, self.management[&other]);
                extra.push((format!("DOORWARD__PEERS__{name}"), address));
            }
        }
        extra
    }

    /// What the service with this module says of itself.
    pub fn identity(&self, module: Module) -> Identity {
        let master_key = MasterKey::parse(&self.master_key).unwrap();
        Identity::new(module, ServiceKey::parse(&self.keys[&module]).unwrap(), &master_key, Clock::system())
    }

    /// Every service as `doorward proxy` is told of it.
    pub fn servers(&self) -> Vec<(Module, String, String)> {
        let at = |port: u16| format!("127.0.0.1:{port}");
        Module::ALL.map(|it| (it, at(self.public[&it]), at(self.management[&it]))).into()
    }
}

/// Removes what services have made at the broker.
pub async fn leave(broker: TestBroker) {
    let all =
        [auth::SUBSCRIPTIONS, users::SUBSCRIPTIONS, permissions::SUBSCRIPTIONS, notifications::SUBSCRIPTIONS]
            .concat();
    let mut names: Vec<&str> = all.iter().map(|subscription| subscription.name).collect();
    names.sort_unstable();
    names.dedup();
    broker.remove(&names).await;
}

/// Whether a proxy is installed. Where it isn't, that is said, or the test fails when `DOORWARD_TEST_REQUIRE_PROXIES` is
/// `1`.
pub fn installed(program: &str) -> bool {
    let there = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).is_file());
    if !there {
        let required = std::env::var("DOORWARD_TEST_REQUIRE_PROXIES").is_ok_and(|value| value == "1");
        assert!(!required, "{program} is not installed, and DOORWARD_TEST_REQUIRE_PROXIES is 1");
        eprintln!("skipped: {program} is not installed");
    }
    there
}

/// A proxy that runs.
pub struct Proxy {
    process: Child,
    address: String,
    /// `http://127.0.0.1:port`.
    pub base: String,
    _folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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
    /// Prints the configuration, has the program check it, and runs it; none when it isn't installed.
    pub fn start(program: &str, servers: &[(Module, String, String)]) -> Option<Self> {
        if !installed(program) {
            return None;
        }
        let address = format!("127.0.0.1:{}", ports::free(1));
        let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
        doorward.args(["proxy", program, "--listen", &address]);
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
        let proxy = Self { process, base: format!("http://{address}"), address, _folder: folder };
        proxy.wait_for(&["/livez"]);
        Some(proxy)
    }

    /// Waits until there is somebody behind each of these paths.
    pub fn wait_for(&self, paths: &[&str]) {
        let end = Instant::now() + Duration::from_secs(20);
        for path in paths {
            while self.status(path).is_none_or(|status| status >= 500) {
                assert!(Instant::now() < end, "nobody answers {path} behind {}", self.base);
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn status(&self, path: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: doorward\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }
}

/// A path of each service that answers whoever asks.
pub const EVERYBODY: [&str; 4] =
    ["/.well-known/jwks.json", "/api/v1/users/me", "/api/v1/roles", "/api/v1/inbox"];
