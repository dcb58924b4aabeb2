//! RabbitMQ for tests: the shared broker that `DOORWARD_TEST_RABBITMQ_URL` names (`./dev services up rabbitmq` starts
//! one), where each test has names of its own; and a broker of one's own, for those who kill it.
//!
//! Without a shared one those tests say that they are skipped, or fail when `DOORWARD_TEST_REQUIRE_RABBITMQ` is `1`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use platform::bus::rabbit::Settings;
use tempfile::TempDir;

const URL: &str = "DOORWARD_TEST_RABBITMQ_URL";
const REQUIRE: &str = "DOORWARD_TEST_REQUIRE_RABBITMQ";

/// A place at a broker for one test: names that nobody else uses, and the view of somebody who looks at it from outside.
pub struct TestBroker {
    url: String,
    prefix: String,
    channel: Channel,
    connection: Connection,
}

impl TestBroker {
    /// A place at the shared broker; `None` when there is none and none is required.
    pub async fn shared() -> Option<Self> {
        let url = env::var(URL).ok().filter(|url| !url.is_empty());
        if url.is_none() {
            assert!(env::var(REQUIRE).as_deref() != Ok("1"), "{REQUIRE}=1, but {URL} names no broker");
            eprintln!("skipped: {URL} names no broker; `./dev services up rabbitmq` starts one");
        }
        Some(Self::at(&url?).await)
    }

    /// A place at this broker, which answers by now.
    pub async fn at(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("a broker");
        let channel = connection.create_channel().await.expect("a channel");
        let prefix = format!("test-{}", contracts::EventId::new().uuid().simple());
        Self { url: url.to_owned(), prefix, channel, connection }
    }

    /// Where the broker is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What all names of this test begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How to use this place.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings { url: self.url.clone().into(), prefix: self.prefix.clone(), ..Settings::default() }
    }

    /// Publishes anything, as somebody would who is not Doorward.
    pub async fn publish(&self, key: &str, body: &[u8]) {
        let (exchange, options) = (format!("{}.events", self.prefix), BasicPublishOptions::default());
        let properties = BasicProperties::default();
        let sent = self.channel.basic_publish(exchange.into(), key.into(), options, body, properties).await;
        sent.expect("published").await.expect("sent");
    }

    /// A queue of somebody else that gets every event.
    pub async fn eavesdrop(&self) {
        let queue = format!("{}.others", self.prefix);
        let (options, none) = (QueueDeclareOptions::default(), FieldTable::default);
        self.channel.queue_declare(queue.as_str().into(), options, none()).await.expect("a queue");
        let exchange = format!("{}.events", self.prefix);
        let bind = QueueBindOptions::default();
        let bound = self.channel.queue_bind(queue.into(), exchange.into(), "#".into(), bind, none()).await;
        bound.expect("bound");
    }

    /// The next message of a queue, with its properties; it is gone then.
    pub async fn next(&self, queue: &str) -> Option<(Vec<u8>, BasicProperties)> {
        let queue = format!("{}.{queue}", self.prefix);
        let got =
            self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.expect("a queue");
        got.map(|message| (message.delivery.data, message.delivery.properties))
    }

    /// How many messages of a queue are given to nobody yet; `None` when there is no such queue.
    pub async fn waiting(&self, queue: &str) -> Option<u32> {
        let channel = self.connection.create_channel().await.expect("a channel");
        let queue = format!("{}.{queue}", self.prefix);
        let passive = QueueDeclareOptions::durable().passive();
        let found = channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
        found.ok().map(|queue| queue.message_count())
    }

    /// Deletes a queue with everything in it.
    pub async fn delete(&self, queue: &str) {
        let queue = format!("{}.{queue}", self.prefix);
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.expect("deleted");
    }

    /// Removes what a bus with these subscribers has made here.
    pub async fn remove(self, subscribers: &[&str]) {
        for queue in subscribers.iter().chain(&["dead", "others"]) {
            self.delete(queue).await;
        }
        for exchange in ["events", "dead"] {
            let name = format!("{}.{exchange}", self.prefix);
            self.channel
                .exchange_delete(name.into(), ExchangeDeleteOptions::default())
                .await
                .expect("deleted");
        }
    }
}

/// A broker that belongs to one test, with a data folder of its own.
pub struct OwnBroker {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl OwnBroker {
    /// Starts one and waits until it answers; `None` where tests that need a broker are skipped anyway.
    pub async fn start() -> Option<Self> {
        if env::var(URL).unwrap_or_default().is_empty() && env::var(REQUIRE).as_deref() != Ok("1") {
            eprintln!("skipped: {URL} names no broker, so there may be none to start either");
            return None;
        }
        let folder = TempDir::with_prefix("doorward-rabbitmq-").expect("a folder");
        let port = crate::ports::free(3);
        let settings = format!(
            "default_user = doorward\ndefault_pass = doorward\nloopback_users = none\n\
             listeners.tcp.default = 127.0.0.1:{port}\nvm_memory_high_watermark.absolute = 512MB\n\
             disk_free_limit.absolute = 50MB\n"
        );
        fs::write(folder.path().join("rabbitmq.conf"), settings).expect("settings");
        fs::write(folder.path().join("enabled_plugins"), "[].").expect("plugins");
        let process = Command::new("true").spawn().expect("a process");
        let mut broker = Self { folder, port, process };
        broker.begin().await;
        Some(broker)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://doorward:doorward@127.0.0.1:{}/%2f", self.port)
    }

    /// Starts it on the data that is there, and waits until it answers.
    pub async fn begin(&mut self) {
        let _ = self.process.wait();
        let log = fs::File::create(self.folder.path().join("log")).expect("a log");
        let mut command = self.command("rabbitmq-server");
        // The script becomes the broker then, so that the process is the broker's own.
        command.env("RUNNING_UNDER_SYSTEMD", "true").stdin(Stdio::null()).stderr(Stdio::null()).stdout(log);
        self.process = command.spawn().expect("rabbitmq-server");
        for _ in 0..600 {
            if Connection::connect(&self.url(), ConnectionProperties::default()).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("RabbitMQ does not answer; see {}", self.folder.path().display());
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
    }

    /// Asks its own tool for something.
    pub fn control(&self, arguments: &[&str]) {
        let done = self.command("rabbitmqctl").args(arguments).output().expect("rabbitmqctl");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn command(&self, program: &str) -> Command {
        let folder = self.folder.path();
        let inside = |name: &str| folder.join(name);
        let (name, far) = (format!("doorward{}@localhost", self.port), self.port + 1);
        let mut command = Command::new(program_of(program));
        command
            .env("HOME", folder)
            .env("LANG", "C.UTF-8")
            .env("ERL_EPMD_PORT", (self.port + 2).to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", name)
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", far.to_string())
            .env("RABBITMQ_BASE", folder)
            .env("RABBITMQ_MNESIA_BASE", inside("mnesia"))
            .env("RABBITMQ_LOG_BASE", inside("logs"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", inside("rabbitmq"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", inside("advanced"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", inside("enabled_plugins"))
            .env("RABBITMQ_PID_FILE", inside("pid"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
            );
        command
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let port = (self.port + 2).to_string();
        let _ = Command::new("epmd").arg("-kill").env("ERL_EPMD_PORT", port).output();
    }
}

/// Debian's wrapper in the path insists on a user of its own; what it wraps does not.
fn program_of(name: &str) -> PathBuf {
    let unwrapped = Path::new("/usr/lib/rabbitmq/bin").join(name);
    if unwrapped.is_file() { unwrapped } else { PathBuf::from(name) }
}
