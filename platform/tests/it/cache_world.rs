//! Several replicas in one process, each with caches, a connection to Redis over a cable of its own, and a lease: what
//! the tests of the shared caches are made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use contracts::UserId;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::cache::{Cache, Caches, Settings};
use platform::clock::Clock;
use platform::db::{self, Database};
use platform::redis::{self, Redis};
use platform::settings::MasterKey;
use testkit::cable::Cable;
use testkit::databases::TestDatabase;
use testkit::redis::RedisServer;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::db_support::{people, person};

/// Where replicas are: one database, and one Redis or none.
pub struct World {
    pub settings: Settings,
    master_key: MasterKey,
    pub server: Option<RedisServer>,
    /// Where Redis is, when it is no server of its own.
    pub redis: redis::Settings,
    database: TestDatabase,
    db: Database,
    loads: Arc<AtomicU64>,
}

/// A replica.
pub struct Replica {
    pub caches: Caches,
    pub cache: Cache<UserId, i64>,
    pub cable: Option<Cable>,
    pub redis: Option<Redis>,
    db: Database,
    loads: Arc<AtomicU64>,
    stop: CancellationToken,
    pub tasks: JoinSet<()>,
}

/// What is different about a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Usual,
    /// It keeps nothing.
    Off,
    /// It tells nobody of changes.
    Dumb,
    /// It knows of no Redis.
    Poor,
}

impl World {
    pub async fn new(database: &TestDatabase, server: Option<RedisServer>, lease_ms: u64) -> Self {
        let db = Database::open(&db::Settings { max_connections: 8, ..database.settings().clone() })
            .await
            .unwrap();
        let settings = Settings { lease_ms, ..Settings::default() };
        let redis =
            redis::Settings { deadline_ms: 100, connect_timeout_ms: 300, ..redis::Settings::default() };
        let master_key = MasterKey::generate().unwrap();
        Self { settings, master_key, server, redis, database: database.clone(), db, loads: Arc::default() }
    }

    /// A replica that works.
    pub async fn replica(&self, kind: Kind) -> Replica {
        let own = db::Settings { max_connections: 1, ..self.database.settings().clone() };
        let own = Database::open(&own).await.unwrap();
        let cable = match &self.server {
            Some(server) => Some(Cable::to(&server.address().to_string()).await),
            None => None,
        };
        let mut redis = self.redis.clone();
        if let Some(cable) = &cable {
            redis.url = format!("redis://{}", cable.address()).as_str().into();
        }
        let redis = Redis::open(&redis).unwrap().filter(|_| kind != Kind::Poor);
        let settings = Settings { enabled: kind != Kind::Off, ..self.settings.clone() };
        let make = if kind == Kind::Dumb { Caches::deaf_and_dumb } else { Caches::shared };
        let caches = make(&settings, &self.master_key, own, Clock::system(), redis.clone());
        let cache = caches.shared_cache("numbers");
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        if let Some(redis) = redis.clone() {
            let stop = stop.clone();
            tasks.spawn(async move { redis.run(stop).await });
        }
        caches.join().await.unwrap();
        let (run, until) = (caches.clone(), stop.clone());
        tasks.spawn(async move { run.run(until).await });
        Replica { caches, cache, cable, redis, db: self.db.clone(), loads: self.loads.clone(), stop, tasks }
    }

    /// What a command has: caches without a worker.
    pub async fn command(&self) -> Replica {
        let caches = Caches::shared(&self.settings, &self.master_key, self.db.clone(), Clock::system(), None);
        let cache = caches.shared_cache("numbers");
        let (stop, tasks, db, loads) =
            (CancellationToken::new(), JoinSet::new(), self.db.clone(), self.loads.clone());
        Replica { caches, cache, cable: None, redis: None, db, loads, stop, tasks }
    }

    /// A replica that answers from what it has kept.
    pub async fn ready(&self, kind: Kind) -> Replica {
        let replica = self.replica(kind).await;
        replica.until(|replica| replica.in_use()).await;
        replica
    }

    /// How often the database was asked.
    pub fn loads(&self) -> u64 {
        AtomicU64::load(&self.loads, Ordering::SeqCst)
    }

    /// So many people, whose logins are counted.
    pub async fn people(&self, count: i64) -> Vec<UserId> {
        let everybody: Vec<_> = (0..count)
            .map(|number| {
                let mut it = person(number);
                it.logins = 0;
                it
            })
            .collect();
        let mut c = self.db.write().await.unwrap();
        diesel::insert_into(people::table).values(&everybody).execute(&mut *c).await.unwrap();
        everybody.iter().map(|person| person.id).collect()
    }

    /// Runs statements on the database.
    pub async fn sql(&self, statements: &str) {
        self.db.write().await.unwrap().batch(statements).await.unwrap();
    }

    pub fn server(&mut self) -> &mut RedisServer {
        self.server.as_mut().unwrap()
    }
}

impl Replica {
    /// Whether it may answer from what it has kept, and Redis with it if there is one.
    pub fn in_use(&self) -> bool {
        let connected = || self.redis.as_ref().is_none_or(|redis| format!("{redis:?}").contains("connected"));
        self.caches.epoch().is_some() && connected()
    }

    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < Duration::from_secs(20), "it never became so");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Counts a login and makes the change known; the count.
    pub async fn write(&self, user: UserId) -> i64 {
        let count = self.commit(user).await;
        self.cache.invalidate(&user).await;
        count
    }

    /// Counts a login, and no more.
    pub async fn commit(&self, user: UserId) -> i64 {
        let mut c = self.db.write().await.unwrap();
        diesel::update(people::table.find(user))
            .set(people::logins.eq(people::logins + 1))
            .returning(people::logins)
            .get_result(&mut *c)
            .await
            .unwrap()
    }

    /// How many logins there were.
    pub async fn read(&self, user: UserId) -> i64 {
        let load = async || {
            self.loads.fetch_add(1, Ordering::SeqCst);
            let mut c = self.db.read().await?;
            Ok::<_, db::Error>(people::table.find(user).select(people::logins).first::<i64>(&mut *c).await?)
        };
        self.cache.get_or_load(&user, load).await.unwrap()
    }

    /// Reads until it is kept in memory.
    pub async fn warm(&self, user: UserId) -> i64 {
        self.read(user).await;
        self.read(user).await;
        self.read(user).await
    }

    /// Starts its worker once more, as it is started after a panic.
    pub fn work_again(&mut self) {
        let (run, until) = (self.caches.clone(), self.stop.clone());
        self.tasks.spawn(async move { run.run(until).await });
    }

    /// Ends as a process ends that is asked to.
    pub async fn leave(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    /// Ends as a process ends that is killed.
    pub async fn crash(mut self) {
        self.tasks.shutdown().await;
    }
}
