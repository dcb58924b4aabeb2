//! A running Doorward: the real binary in a process of its own, with a data folder (and a database) of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use testkit::databases::{Engine, TestDatabase};

use contracts::Module;
use testkit::brokers::TestBroker;
use testkit::redis::RedisServer;

use crate::client::{Client, Person};
use crate::plan::{EVERYBODY, Plan, Proxy, leave, random_key};
use crate::transcript::Transcript;

/// How Doorward runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One process, SQLite, everything within.
    Embedded,
    /// One process on PostgreSQL.
    Postgres,
    /// Two processes on PostgreSQL, Redis and RabbitMQ, behind a proxy.
    Replicas,
    /// Four services, a module each, with a SQLite each, RabbitMQ between them and a proxy before them.
    Services,
}

/// Tells a story in one shape and compares its transcript with what every shape must say.
pub async fn live(shape: Shape, name: &str, story: impl AsyncFnOnce(&mut House)) {
    let Some(mut house) = House::open(shape, &[]).await else { return };
    story(&mut house).await;
    let transcript = house.transcript.text();
    house.close();
    insta::with_settings!({ snapshot_path => "transcripts", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, transcript);
    });
}

/// Declares a test for every shape, without a transcript.
#[allow(unused_macros, reason = "not every binary of tests needs it")]
macro_rules! in_every_shape {
    ($(#[$doc:meta])* async fn $name:ident($shape:ident) $story:block) => {
        mod $name {
            use super::*;

            async fn story($shape: $crate::house::Shape) $story

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                story($crate::house::Shape::Embedded).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                story($crate::house::Shape::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn replicas() {
                story($crate::house::Shape::Replicas).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn services() {
                story($crate::house::Shape::Services).await;
            }
        }
    };
}
#[allow(unused_imports, reason = "not every binary of tests needs it")]
pub(crate) use in_every_shape;

/// The other processes, and what stands between and before them.
struct Fleet {
    others: Vec<House>,
    proxy: Proxy,
    broker: TestBroker,
    /// Where the cache is that they share, and the server when it is this test's own.
    redis: Option<(String, Option<RedisServer>)>,
}

/// A running Doorward, and the notes of what was said to it.
pub struct House {
    process: Child,
    data: TempDir,
    database: TestDatabase,
    extra: Vec<(String, String)>,
    wrapper: Vec<String>,
    shape: Shape,
    /// What else there is, when this is the first of several processes.
    fleet: Option<Fleet>,
    /// `http://127.0.0.1:port` of the public listener.
    pub public: String,
    /// `http://127.0.0.1:port` of the management listener.
    pub management: String,
    /// The link for the first administrator, printed at the start, while there is none.
    pub setup_link: Option<String>,
    /// Everything it printed at its start.
    pub printed: Vec<String>,
    /// What was said so far.
    pub transcript: Transcript,
}

impl House {
    /// Starts Doorward in a shape, with settings beyond the default. None when the shape can't be had here; why is
    /// printed.
    pub async fn open(shape: Shape, extra: &[(&str, &str)]) -> Option<Self> {
        let mut house = match shape {
            Shape::Embedded => Self::alone(Engine::Sqlite, extra).await?,
            Shape::Postgres => Self::alone(Engine::Postgres, extra).await?,
            Shape::Replicas => Self::replicas(extra).await?,
            Shape::Services => Self::services(extra).await?,
        };
        house.shape = shape;
        Some(house)
    }

    /// With `DOORWARD_TEST_MIGRATE_WITH`, the tables are made by that binary, a newer one: `./dev previous` tells the journeys
    /// of the version before so.
    async fn alone(engine: Engine, extra: &[(&str, &str)]) -> Option<Self> {
        let database = TestDatabase::create(engine, &[]).await?;
        let data = TempDir::new().unwrap();
        let extra = extra.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut house = Self {
            process: Command::new("true").spawn().unwrap(),
            data,
            database,
            extra,
            wrapper: Vec::new(),
            shape: Shape::Postgres,
            fleet: None,
            public: String::new(),
            management: String::new(),
            setup_link: None,
            printed: Vec::new(),
            transcript: Transcript::default(),
        };
        if let Some(newer) = std::env::var_os("DOORWARD_TEST_MIGRATE_WITH") {
            let done = house.with_settings(Command::new(newer).arg("migrate")).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        house.start();
        Some(house)
    }

    async fn replicas(extra: &[(&str, &str)]) -> Option<Self> {
        let broker = TestBroker::shared().await?;
        let (redis, own_redis) = testkit::redis::harmless()?;
        let (name, key) = (broker.prefix().to_owned(), random_key());
        let shared = [
            ("DOORWARD__SECRETS__MASTER_KEY", key.as_str()),
            ("DOORWARD__REDIS__URL", redis.as_str()),
            ("DOORWARD__REDIS__KEY_PREFIX", name.as_str()),
            ("DOORWARD__RABBITMQ__URL", broker.url()),
            ("DOORWARD__RABBITMQ__PREFIX", name.as_str()),
        ];
        let ports: Vec<String> = (0..4).map(|_| format!("127.0.0.1:{}", testkit::ports::free(1))).collect();
        let at = |public: usize| {
            [
                ("DOORWARD__SERVER__PUBLIC__ADDRESS", ports[public].as_str()),
                ("DOORWARD__SERVER__MANAGEMENT__ADDRESS", ports[public + 1].as_str()),
            ]
        };
        let first: Vec<_> = shared.into_iter().chain(at(0)).chain(extra.iter().copied()).collect();
        let mut house = Self::alone(Engine::Postgres, &first).await?;
        let other = house.beside_at(&at(2));
        let servers: Vec<_> = Module::ALL
            .into_iter()
            .flat_map(|module| [0, 2].map(|at| (module, ports[at].clone(), ports[at + 1].clone())))
            .collect();
        let proxy = Proxy::start("haproxy", &servers)?;
        let redis = Some((redis, own_redis));
        house.fleet = Some(Fleet { others: vec![other], proxy, broker, redis });
        house.stand_behind_the_proxy();
        Some(house)
    }

    async fn services(extra: &[(&str, &str)]) -> Option<Self> {
        let broker = TestBroker::shared().await?;
        let plan = Plan::new(broker.url(), broker.prefix());
        let mut houses = Vec::new();
        for module in Module::ALL {
            let own = plan.settings(module);
            let own = own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let all: Vec<(&str, &str)> = own.chain(extra.iter().copied()).collect();
            houses.push(Self::alone(Engine::Sqlite, &all).await?);
        }
        let mut house = houses.remove(0);
        let proxy = Proxy::start("haproxy", &plan.servers())?;
        house.fleet = Some(Fleet { others: houses, proxy, broker, redis: None });
        house.stand_behind_the_proxy();
        Some(house)
    }

    fn stand_behind_the_proxy(&mut self) {
        if let Some(fleet) = &self.fleet {
            fleet.proxy.wait_for(&EVERYBODY);
            self.public.clone_from(&fleet.proxy.base);
        }
    }

    /// Whether this is one of four services.
    pub fn is_split(&self) -> bool {
        self.shape == Shape::Services
    }

    /// Whether this is one of several processes.
    pub fn has_neighbours(&self) -> bool {
        self.fleet.is_some()
    }

    /// This process and those beside it.
    pub fn processes(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.fleet.iter().flat_map(|fleet| &fleet.others))
    }

    /// Where the whole interface may be asked: at each replica itself, else at the one public address.
    pub fn doors(&self) -> Vec<String> {
        let own = |process: &Self| {
            let mut lines = process.printed.iter();
            lines.find_map(|line| line.trim().strip_prefix("API")).map(|url| url.trim().to_owned())
        };
        match self.shape {
            Shape::Replicas => self.processes().filter_map(own).collect(),
            _ => vec![self.public.clone()],
        }
    }

    fn others(&mut self) -> impl Iterator<Item = &mut Self> {
        self.fleet.iter_mut().flat_map(|fleet| &mut fleet.others)
    }

    /// Another process beside this one: the same database and the same settings, and a data folder of its own. Both need
    /// the same `secrets.master_key`.
    pub fn beside(&self) -> Self {
        self.beside_at(&[])
    }

    fn beside_at(&self, own: &[(&str, &str)]) -> Self {
        let mut other = Self {
            process: Command::new("true").spawn().unwrap(),
            data: TempDir::new().unwrap(),
            database: self.database.clone(),
            extra: self
                .extra
                .iter()
                .cloned()
                .chain(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
                .collect(),
            wrapper: Vec::new(),
            shape: Shape::Postgres,
            fleet: None,
            public: String::new(),
            management: String::new(),
            setup_link: None,
            printed: Vec::new(),
            transcript: Transcript::default(),
        };
        other.start();
        other
    }

    /// Starts the process on the data that is there and waits until it says that it is ready.
    pub fn start(&mut self) {
        self.others().for_each(Self::start);
        self.start_alone();
        self.stand_behind_the_proxy();
    }

    fn start_alone(&mut self) {
        let _ = self.process.wait();
        let mut command = self.binary();
        command.stdout(Stdio::piped()).stderr(std::fs::File::create(self.data.path().join("log")).unwrap());
        self.process = command.spawn().unwrap();
        self.watch_start();
    }

    /// Runs a command of the binary on the same data, with this on its standard input.
    pub fn run(&self, arguments: &[&str], input: &str) -> std::process::Output {
        let mut command = self.binary();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        process.wait_with_output().unwrap()
    }

    /// The binary with the settings of this house.
    pub fn binary(&self) -> Command {
        let mut line = self.wrapper.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_doorward")]);
        let mut command = Command::new(line.next().unwrap());
        self.with_settings(command.args(line));
        command
    }

    fn with_settings<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DOORWARD__DATA_DIR", self.data.path())
            .env("DOORWARD__DATABASE__URL", self.database.url())
            .env("DOORWARD__DATABASE__ACCEPT_LOSING_ACKNOWLEDGED_WRITES", "true")
            .env("DOORWARD__PUBLIC_URL", "http://doorward.test")
            .env("DOORWARD__SERVER__PUBLIC__ADDRESS", "127.0.0.1:0")
            .env("DOORWARD__SERVER__MANAGEMENT__ADDRESS", "127.0.0.1:0")
            .env("DOORWARD__AUTH__HASH__PRIORITY", "normal")
            .envs(self.extra.iter().map(|(k, v)| (k, v)))
    }

    fn watch_start(&mut self) {
        self.printed.clear();
        self.setup_link = None;
        let lines = BufReader::new(self.process.stdout.take().unwrap()).lines();
        for line in lines {
            let line = line.unwrap();
            let found = |label: &str| line.trim().strip_prefix(label).map(|rest| rest.trim().to_owned());
            if let Some(url) = found("API") {
                self.public = url;
            } else if let Some(url) = found("Management") {
                self.management = url;
            } else if let Some(url) = found("Set-up") {
                self.setup_link = Some(url);
            }
            let ready = line.contains("ready");
            self.printed.push(line);
            if ready {
                return;
            }
        }
        panic!("Doorward did not start: {:?}\n{}", self.printed, self.log());
    }

    /// Runs a command of the binary to its end: whether it succeeded, and all it printed.
    pub fn finish(&self, arguments: &[&str]) -> (bool, String) {
        let done = self.run(arguments, "");
        (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
    }

    /// Changes a setting for what is started next.
    pub fn set(&mut self, name: &str, value: &str) {
        self.others().for_each(|other| other.set(name, value));
        self.extra.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a setting back that was set.
    pub fn unset(&mut self, name: &str) {
        self.extra.retain(|(known, _)| known != name);
    }

    /// Starts the process inside of another one from the next start on.
    pub fn within(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Ends the process at once, as a power cut would.
    pub fn kill(&mut self) {
        self.others().for_each(Self::kill);
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks the process to end and waits for it.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        for other in self.others() {
            assert!(other.stop().success(), "a stop that was asked for is a success\n{}", other.log());
        }
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.process.wait().unwrap()
    }

    /// Ends the process and checks that its log holds no secret, no address and no panic.
    pub fn close(mut self) {
        assert!(self.stop().success(), "a stop that was asked for is a success\n{}", self.log());
        let log = self.log();
        for secret in self.transcript.secrets() {
            assert!(!log.contains(secret), "a secret or address stands in the log: {secret}\n{log}");
        }
        assert!(!log.contains("panicked"), "{log}");
        if let Some(Fleet { broker, .. }) = self.fleet.take() {
            let leaving = leave(broker);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(leaving));
        }
    }

    /// The process that runs.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where its data is.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Its database, for what no interface does.
    pub fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// What it wrote to its log since its start.
    pub fn log(&self) -> String {
        let others = self.fleet.iter().flat_map(|fleet| &fleet.others).map(Self::log);
        let own = std::fs::read_to_string(self.data.path().join("log")).unwrap_or_default();
        others.fold(own, |all, log| all + &log)
    }

    /// Where what processes share in Redis is: its URL, and what all names there begin with.
    pub fn shared(&self) -> Option<(&str, &str)> {
        let fleet = self.fleet.as_ref()?;
        Some((&fleet.redis.as_ref()?.0, fleet.broker.prefix()))
    }

    /// A client that nobody is logged in with.
    pub fn client(&self) -> Client {
        Client::new(&self.public)
    }

    /// Every message in the mailbox to an address, newest first.
    pub async fn mailbox(&self, address: &str) -> Vec<Value> {
        let answer = self.client().get("/dev/mailbox.json").await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let items = answer.body["items"].as_array().unwrap();
        items.iter().filter(|item| item["to"] == address).cloned().collect()
    }

    /// Waits until an address has so many messages and returns them, newest first.
    pub async fn messages(&self, address: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} messages for {address}"), async || {
            let messages = self.mailbox(address).await;
            (messages.len() >= count).then_some(messages)
        })
        .await
    }

    /// The secret in the newest message to an address, once there are so many.
    pub async fn mailed_token(&mut self, address: &str, count: usize) -> String {
        let messages = self.messages(address, count).await;
        let link = messages[0]["links"][0].as_str().expect("a link").to_owned();
        let token = token_in(&link);
        self.transcript.hide(&token);
        token
    }

    /// Registers and verifies a person and logs in, without notes.
    pub async fn person(&mut self, name: &str) -> Person {
        let email = format!("{name}@example.org");
        let password = format!("a long sentence for {name}");
        let client = self.client();
        let body = serde_json::json!({ "email": email, "password": password, "display_name": name });
        assert_eq!(client.post("/api/v1/auth/registrations", &body).await.status, 202);
        let token = self.mailed_token(&email, 1).await;
        let body = serde_json::json!({ "token": token });
        assert_eq!(client.post("/api/v1/auth/verifications", &body).await.status, 204);
        self.transcript.hide(&password);
        self.transcript.hide(&email);
        Person::log_in(&self.public, &email, &password).await
    }

    /// Makes the first administrator with the printed link and logs in, without notes.
    pub async fn administrator(&mut self) -> Person {
        let token = token_in(&self.setup_link.clone().expect("a set-up link"));
        let (email, password) = ("root@example.org", "correct horse battery staple");
        let body = serde_json::json!({ "token": token, "email": email, "password": password });
        let answer = self.client().post("/api/v1/setup", &body).await;
        assert_eq!(answer.status, 201, "{:?}", answer.body);
        for secret in [&token, email, password] {
            self.transcript.hide(secret);
        }
        Person::log_in(&self.public, email, password).await
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The secret that a link carries.
pub fn token_in(link: &str) -> String {
    link.split_once("token=").expect("a token in the link").1.to_owned()
}

/// Asks again and again until there is an answer.
pub async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}
