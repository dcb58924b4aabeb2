//! The wiring: every module is made here, once, and given what it asks for.
//!
//! The order is that of need: auth asks permissions; users asks auth; notifications asks auth and users. Nobody asks
//! back: whoever must tell something does so by an event.

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use contracts::auth::Auth;
use platform::bus::LocalBus;
use platform::cache::{Cache, Caches};
use platform::clock::Clock;
use platform::db::{Database, Db, Migrations};
use platform::http::{BodyDeadline, Cursors, Gate, Limits, Proxies};
use platform::limits::Global;
use platform::outbox::{self, Relay};
use platform::redis::Redis;
use platform::tokens::Verifier;
use tokio_util::sync::CancellationToken;

use crate::export::Exporter;
use crate::settings::Settings;
use crate::sweep::Sweeper;
use crate::workers::Workers;
use crate::{StartError, data, openapi, say};

/// Everything that requests and workers need. Cloning gives the same one.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) db: Database,
    /// The link for the first administrator, while there is none.
    pub(crate) setup_link: Option<Arc<auth::SetupLink>>,
    auth: Arc<auth::Service>,
    users: Arc<users::Service>,
    permissions: Arc<permissions::Service>,
    notifications: Arc<notifications::Service>,
    exporter: Arc<Exporter>,
    gate: Gate,
    cursors: Cursors,
    bus: Arc<LocalBus>,
    relay: Arc<Relay>,
    sweeper: Arc<Sweeper>,
    caches: Caches,
    redis: Option<Redis>,
    limits: Data<Limits>,
    proxies: Data<Proxies>,
    body_deadline: BodyDeadline,
    /// Of the embedded database: held as long as the house stands.
    _lock: Option<Arc<File>>,
}

/// The tables of everybody, in the order in which they are made.
pub(crate) const MIGRATIONS: [Migrations; 5] = [
    platform::MIGRATIONS,
    auth::MIGRATIONS,
    users::MIGRATIONS,
    permissions::MIGRATIONS,
    notifications::MIGRATIONS,
];

/// Brings the database up to date, and tells what was done.
pub(crate) async fn migrate(settings: &Settings) -> Result<(), StartError> {
    let applied = prepare(settings).await?;
    match applied.as_slice() {
        [] => say("The database is up to date."),
        names => say(&format!("Applied: {}", names.join(", "))),
    }
}

async fn prepare(settings: &Settings) -> Result<Vec<String>, StartError> {
    data::make(&settings.data_dir)?;
    Database::migrate(&settings.database, &MIGRATIONS)
        .await
        .map_err(|error| StartError::because("The database can't be brought up to date", error))
}

/// Makes everything, on a database that is up to date.
pub(crate) async fn house(settings: &Settings, public: SocketAddr) -> Result<House, StartError> {
    platform::telemetry::init(&settings.log)
        .map_err(|error| StartError::because("Nothing can be logged", error))?;
    platform::metrics::install();
    data::make(&settings.data_dir)?;
    let lock = settings.database.url.sqlite_path().map(|path| data::lock(&path)).transpose()?;
    prepare(settings).await?;
    let unusable = |error: platform::db::Error| StartError::because("The database can't be used", error);
    let db = Database::open(&settings.database).await.map_err(unusable)?;
    let house = build(settings, db, public).await;
    let house = house.map_err(|error| StartError::because("Doorward can't be put together", error))?;
    if lock.is_some() {
        house.take_over().await.map_err(unusable)?;
    }
    Ok(House { _lock: lock.map(Arc::new), ..house })
}

/// Auth and what it asks, for a command. Where a server runs on an embedded database, that one has brought the tables up
/// to date and keeps its lock; writing beside it is what SQLite's own locks are for.
pub(crate) async fn auth_alone(settings: &Settings) -> Result<auth::Service, StartError> {
    data::make(&settings.data_dir)?;
    let lock = settings.database.url.sqlite_path().map(|file| data::lock(&file));
    let served = matches!(lock, Some(Err(_)));
    if !served {
        prepare(settings).await?;
    }
    let unusable = |error: platform::db::Error| StartError::because("The database can't be used", error);
    let db = Database::open(&settings.database).await.map_err(unusable)?;
    let clock = Clock::system();
    // It keeps nothing, and what it changes is made known to those who do.
    let none = platform::cache::Settings { enabled: false, ..settings.cache.clone() };
    let caches = match alone(&db) {
        true => Caches::off(),
        false => Caches::shared(&none, db.clone(), clock.clone(), None),
    };
    let permissions =
        permissions::Service::new(db.clone(), clock.clone(), settings.permissions.clone(), &caches);
    let auth = auth::Service::new(auth::Dependencies {
        db,
        clock,
        settings: settings.auth.clone(),
        public_url: settings.public_url(settings.server.public.address)?,
        master_key: settings.master_key()?,
        permissions: Arc::new(permissions),
        caches,
    });
    auth.await.map_err(|error| StartError::because("Doorward can't be put together", error))
}

async fn build(
    settings: &Settings,
    db: Database,
    public: SocketAddr,
) -> Result<House, Box<dyn std::error::Error>> {
    let (clock, master_key) = (Clock::system(), settings.master_key()?);
    let public_url = settings.public_url(public)?;
    let redis = Redis::open(&settings.redis)?;
    let caches = caches(settings, &db, &clock, redis.as_ref()).await?;

    let permissions =
        Arc::new(permissions::Service::new(db.clone(), clock.clone(), settings.permissions.clone(), &caches));
    let auth = auth::Service::new(auth::Dependencies {
        db: db.clone(),
        clock: clock.clone(),
        settings: settings.auth.clone(),
        public_url: public_url.clone(),
        master_key: master_key.clone(),
        permissions: permissions.clone(),
        caches: caches.clone(),
    });
    let auth = Arc::new(auth.await?);
    let users = users::Service::new(db.clone(), clock.clone(), auth.clone(), settings.users.clone(), &caches);
    let users = Arc::new(users);
    let notifications = Arc::new(notifications::Service::new(notifications::Parts {
        db: db.clone(),
        clock: clock.clone(),
        auth: auth.clone(),
        users: users.clone(),
        settings: settings.notifications.clone(),
        smtp: settings.smtp.clone(),
        master_key: master_key.clone(),
        public_url,
        mailbox: settings.profile.is_development(),
        notes: Some(settings.data_dir.join("sent")),
        redis: redis.clone(),
    })?);

    let subscribers = [
        auth::subscribers(&auth),
        users::subscribers(&users),
        permissions::subscribers(&permissions),
        notifications::subscribers(&notifications),
    ]
    .concat();
    let bus = Arc::new(LocalBus::new(db.clone(), subscribers, clock.clone(), settings.bus.clone()));
    let relay = Arc::new(Relay::new(db.clone(), bus.clone(), clock.clone(), settings.outbox.clone()));
    let verifier = Verifier::new(auth.issuer(), auth.audience(), auth.clone(), clock.clone());
    let verifier = verifier.remembering(Cache::new("verified_tokens", &settings.cache));
    let gate = Gate {
        verifier: Arc::new(verifier),
        auth: Arc::clone(&auth) as Arc<dyn Auth>,
        permissions: permissions.clone(),
    };
    let setup_link = auth.setup_link().await?.map(Arc::new);
    let cursors = Cursors::new(&master_key.derive("cursors"));
    let exporter = Arc::new(Exporter {
        db: db.clone(),
        clock: clock.clone(),
        auth: auth.clone(),
        users: users.clone(),
        permissions: permissions.clone(),
        notifications: notifications.clone(),
    });
    let mut limits = settings.limits.limits(clock.clone(), &openapi::document());
    if let Some(redis) = redis.clone() {
        limits = limits.over_all_processes(Global::new(redis, master_key.derive("limits")));
    }
    let limits = Data::new(limits);
    let proxies = Data::new(settings.server.proxies()?);
    let body_deadline = BodyDeadline(Duration::from_millis(settings.server.body_timeout_ms));
    let sweeper = Arc::new(Sweeper::new(db.clone(), clock, settings.retention.clone()));
    Ok(House {
        db,
        setup_link,
        auth,
        users,
        permissions,
        notifications,
        exporter,
        gate,
        cursors,
        bus,
        relay,
        sweeper,
        caches,
        redis,
        limits,
        proxies,
        body_deadline,
        _lock: None,
    })
}

/// The caches. Processes that may share a PostgreSQL tell each other of changes; they need a connection of their own for
/// that, because a lease that waits for one is soon over.
async fn caches(
    settings: &Settings,
    db: &Database,
    clock: &Clock,
    redis: Option<&Redis>,
) -> Result<Caches, platform::db::Error> {
    if alone(db) {
        return Ok(Caches::alone(&settings.cache));
    }
    let own = platform::db::Settings { max_connections: 1, ..settings.database.clone() };
    let caches = Caches::shared(&settings.cache, Database::open(&own).await?, clock.clone(), redis.cloned());
    caches.join().await?;
    Ok(caches)
}

/// Whether this process is the only one that writes to the database: on SQLite.
fn alone(db: &Database) -> bool {
    db.dialect() == Db::Sqlite
}

impl House {
    /// The database engine, by name.
    pub(crate) fn engine(&self) -> &'static str {
        match self.db.dialect() {
            Db::Sqlite => "sqlite",
            Db::Postgres => "postgres",
        }
    }

    /// Nobody else works on this database: what a process had claimed that was killed is free again.
    async fn take_over(&self) -> platform::db::Result<()> {
        let events = self.db.transaction(async |tx| outbox::release(tx).await).await?;
        let messages = self.notifications.take_over().await?;
        if events + messages > 0 {
            tracing::info!(events, messages, "What a process had taken that was killed is worked on again.");
        }
        Ok(())
    }

    /// Gives an application what its handlers ask for.
    pub(crate) fn furnish(&self, app: &mut ServiceConfig) {
        app.app_data(Data::new(self.gate.clone()))
            .app_data(Data::new(self.cursors.clone()))
            .app_data(Data::new(self.db.clone()))
            .app_data(self.limits.clone())
            .app_data(self.proxies.clone())
            .app_data(Data::new(self.body_deadline))
            .app_data(Data::from(self.auth.clone()))
            .app_data(Data::from(self.users.clone()))
            .app_data(Data::from(self.permissions.clone()))
            .app_data(Data::from(self.notifications.clone()))
            .app_data(Data::from(self.exporter.clone()));
    }

    /// Starts what runs beside requests.
    pub(crate) fn work(&self) -> Workers {
        let mut workers = Workers::new();
        let House { auth, users, permissions, notifications, bus, relay, sweeper, .. } = self.clone();
        let (caches, redis) = (self.caches.clone(), self.redis.clone());
        workers.start("caches", move |stop| {
            let caches = caches.clone();
            async move { caches.run(stop).await }
        });
        if let Some(redis) = redis {
            workers.start("redis", move |stop| {
                let redis = redis.clone();
                async move { redis.run(stop).await }
            });
        }
        workers.start("relay", move |stop| owned(&relay, |it| async move { it.run(stop).await }));
        workers.start("bus", move |stop| owned(&bus, |it| async move { it.run(stop).await }));
        workers.start("metrics", upkeep);
        workers.start("sweep", move |stop| owned(&sweeper, |it| async move { it.run(stop).await }));
        workers.start("auth", move |stop| owned(&auth, |it| it.work(stop)));
        workers.start("users", move |stop| owned(&users, |it| it.work(stop)));
        workers.start("permissions", move |stop| owned(&permissions, |it| it.work(stop)));
        workers.start("notifications", move |stop| owned(&notifications, |it| it.work(stop)));
        workers
    }

    /// Ends what would keep the public door open: streams that people read.
    pub(crate) fn end_streams(&self) {
        self.notifications.end_streams();
    }

    /// Ends the use of the database.
    pub(crate) fn close(&self) {
        self.db.close();
    }
}

/// Lets the metrics forget what is too old to be counted.
async fn upkeep(stop: CancellationToken) {
    while tokio::time::timeout(Duration::from_secs(5), stop.cancelled()).await.is_err() {
        platform::metrics::upkeep();
    }
}

/// The work of something shared, as a future that owns it.
fn owned<T, F>(shared: &Arc<T>, work: impl FnOnce(Arc<T>) -> F) -> F {
    work(Arc::clone(shared))
}
