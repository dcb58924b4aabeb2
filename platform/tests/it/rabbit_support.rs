//! A process on a real broker, as tests of the bus between processes need it: a database, listeners at their desks, a
//! relay, and the bus, all running.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use platform::bus::rabbit::{self, Seals};
use platform::bus::{self, Desks, RabbitBus, Subscriber, Subscription};
use platform::clock::Clock;
use platform::db::Database;
use platform::outbox::{self, Relay, Waiting};
use platform::settings::MasterKey;
use testkit::brokers::TestBroker;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::stage::Listener;

/// What all processes of a test share.
static MASTER_KEY: LazyLock<MasterKey> = LazyLock::new(|| MasterKey::generate().unwrap());

/// The seals of every process that says nothing else.
pub fn seals() -> Seals {
    Seals::new(&MASTER_KEY, None, &contracts::Module::ALL, Vec::new())
}

/// A process that works.
pub struct Process {
    pub bus: Arc<RabbitBus>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Process {
    /// One with these listeners, at a broker and with settings of these tests.
    pub fn start(db: &Database, broker: &TestBroker, listeners: &[&Arc<Listener>]) -> Self {
        Self::start_with(db, broker.settings(), bus_settings(), &[], listeners)
    }

    /// One that knows of subscribers which run elsewhere.
    #[expect(clippy::needless_pass_by_value, reason = "whoever calls it makes them for it")]
    pub fn start_with(
        db: &Database,
        settings: rabbit::Settings,
        desks: bus::Settings,
        elsewhere: &[Subscription],
        listeners: &[&Arc<Listener>],
    ) -> Self {
        let clock = Clock::system();
        let subscribers = listeners.iter().map(|one| Arc::clone(one) as Arc<dyn Subscriber>).collect();
        let desks = Arc::new(Desks::new(db.clone(), subscribers, clock.clone(), desks));
        let bus = Arc::new(RabbitBus::new(&settings, elsewhere, Arc::clone(&desks), seals()).unwrap());
        let relay =
            outbox::Settings { poll_interval_ms: 100, backoff_base_ms: 100, ..outbox::Settings::default() };
        let relay = Relay::new(db.clone(), Arc::clone(&bus) as _, clock, relay);
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (one, two, three) = (stop.clone(), stop.clone(), stop.clone());
        let running = Arc::clone(&bus);
        tasks.spawn(async move { desks.run(one).await });
        tasks.spawn(async move { running.run(two).await });
        tasks.spawn(async move { relay.run(three).await });
        Self { bus, stop, tasks }
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(15), self.tasks.join_all()).await.expect("it stops");
    }
}

/// Retries follow at once, so that tests don't wait.
pub fn bus_settings() -> bus::Settings {
    bus::Settings {
        poll_interval_ms: 100,
        backoff_base_ms: 10,
        backoff_max_ms: 50,
        max_attempts: 3,
        ..bus::Settings::default()
    }
}

/// Waits until it is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never came to be: {what}");
}

/// Waits until nothing waits in this database: the broker has taken every event, and the listeners what came back from it
/// so far. Whether all came back only the listeners can tell.
pub async fn until_done(db: &Database) {
    until("everything is done", async || waiting(db).await.is_empty()).await;
}

/// What is on its way in this database.
pub async fn waiting(db: &Database) -> Vec<Waiting> {
    outbox::waiting(&mut db.read().await.unwrap(), 100_000).await.unwrap()
}
