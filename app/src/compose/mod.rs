//! The wiring: every module is made here, once, and given what it asks for.
//!
//! Each contract is near, when its module lives in this process, or far, when it has a peer's address; nobody who asks
//! knows which. The order is that of need: auth asks permissions; users asks auth; notifications asks auth and users. Nobody asks
//! back: whoever must tell something does so by an event. Only permissions asks auth, in the background and never for an
//! answer, whether administrators of whom it was told nothing can log in.

mod far;
mod files;
mod here;

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use contracts::auth::{Auth, RemoteAuth};
use contracts::notifications::{Notifications, RemoteNotifications};
use contracts::permissions::{Permissions, RemotePermissions};
use contracts::trail::{Trail, trail_routes};
use contracts::users::{RemoteUsers, Users};
use contracts::{Error, Module};
use platform::audit::OwnTrail;
use platform::bus::rabbit::Seals;
use platform::bus::{Bus, Desks, RabbitBus, Subscription};
use platform::cache::{Cache, Caches};
use platform::clock::Clock;
use platform::db::{Database, Db, Migrations};
use platform::forgotten::Forgetter;
use platform::http::{BodyDeadline, Cursors, Fingerprints, Gate, Limits, Proxies, admit_service};
use platform::limits::Global;
use platform::outbox::{self, Relay};
use platform::redis::Redis;
use platform::settings::MasterKey;
use platform::tokens::{KeySource, Verifier};
use tokio_util::sync::CancellationToken;

use crate::audit::WholeTrail;
use crate::export::Exporter;
use crate::pulse::Pulse;
use crate::settings::Settings;
use crate::sweep::Sweeper;
use crate::workers::Workers;
use crate::{StartError, data, openapi, say};
use far::{Far, FarKeys};
pub(crate) use files::look_over;
use here::Here;

/// Everything that requests and workers need. Cloning gives the same one.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) db: Database,
    /// Whether the database answers.
    pub(crate) pulse: Arc<Pulse>,
    /// The link for the first administrator, while there is none.
    pub(crate) setup_link: Option<Arc<auth::SetupLink>>,
    here: Here,
    far: Far,
    /// Watched, when auth lives elsewhere.
    far_keys: Option<Arc<FarKeys>>,
    trail: Arc<WholeTrail>,
    exporter: Arc<Exporter>,
    gate: Gate,
    cursors: Cursors,
    fingerprints: Fingerprints,
    desks: Arc<Desks>,
    broker: Option<Arc<RabbitBus>>,
    relay: Arc<Relay>,
    sweeper: Arc<Sweeper>,
    forgetter: Arc<Forgetter>,
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

/// The tables of the modules that are here: each service has a database of its own.
pub(crate) fn needed(settings: &Settings) -> Vec<Migrations> {
    let here = settings.here();
    let elsewhere = |of: &Migrations| Module::named(of.module).is_some_and(|module| !here.contains(&module));
    MIGRATIONS.into_iter().filter(|of| !elsewhere(of)).collect()
}

async fn prepare(settings: &Settings) -> Result<Vec<String>, StartError> {
    data::make(&settings.data_dir)?;
    Database::migrate_part(&settings.database, &needed(settings), &MIGRATIONS)
        .await
        .map_err(|error| StartError::caused("The database can't be brought up to date", &error))
}

/// Makes everything, on a database that is up to date.
pub(crate) async fn house(settings: &Settings, public: SocketAddr) -> Result<House, StartError> {
    platform::telemetry::init(&settings.log)
        .map_err(|error| StartError::because("Nothing can be logged", error))?;
    platform::metrics::install();
    data::make(&settings.data_dir)?;
    let lock = settings.database.url.sqlite_path().map(|path| data::lock(&path)).transpose()?;
    prepare(settings).await?;
    let unusable = |error: platform::db::Error| StartError::caused("The database can't be used", &error);
    let db = Database::open(&settings.database).await.map_err(unusable)?;
    let house = build(settings, db, public).await;
    let house =
        house.map_err(|error| StartError::caused("Doorward can't be put together", error.as_ref()))?;
    if lock.is_some() {
        house.take_over().await.map_err(unusable)?;
    }
    Ok(House { _lock: lock.map(Arc::new), ..house })
}

/// Auth and what it asks, for a command. Where a server runs on an embedded database, that one has brought the tables up
/// to date and keeps its lock; writing beside it is what SQLite's own locks are for.
///
/// # Errors
/// Also when auth lives elsewhere.
pub(crate) async fn auth_alone(settings: &Settings) -> Result<auth::Service, StartError> {
    let here = settings.here();
    if !here.contains(&Module::Auth) {
        return Err(StartError(
            "These settings are of a service without auth: `modules` does not name it. Run the command with the settings \
             of the service that has it."
                .to_owned(),
        ));
    }
    data::make(&settings.data_dir)?;
    let lock = settings.database.url.sqlite_path().map(|file| data::lock(&file));
    let served = matches!(lock, Some(Err(_)));
    if !served {
        prepare(settings).await?;
    }
    let unusable = |error: platform::db::Error| StartError::caused("The database can't be used", &error);
    let db = Database::open(&settings.database).await.map_err(unusable)?;
    let (clock, master_key) = (Clock::system(), settings.master_key()?);
    // It keeps nothing, and what it changes is made known to those who do.
    let none = platform::cache::Settings { enabled: false, ..settings.cache.clone() };
    let caches = match alone(&db) {
        true => Caches::off(),
        false => Caches::shared(&none, &master_key, db.clone(), clock.clone(), None),
    };
    let unfit = |error: Error| StartError::caused("Doorward can't be put together", &error);
    let permissions: Arc<dyn Permissions> = if here.contains(&Module::Permissions) {
        let settings = settings.permissions.clone();
        Arc::new(permissions::Service::new(db.clone(), clock.clone(), settings, &caches))
    } else {
        let far = Far::new(settings, &master_key, &clock).map_err(unfit)?;
        Arc::new(RemotePermissions(far.to(Module::Permissions).map_err(unfit)?))
    };
    let auth = auth::Service::new(auth::Dependencies {
        db,
        clock,
        settings: settings.auth.clone(),
        public_url: settings.public_url(settings.server.public.address)?,
        master_key,
        permissions,
        caches,
    });
    auth.await.map_err(unfit)
}

async fn build(
    settings: &Settings,
    db: Database,
    public: SocketAddr,
) -> Result<House, Box<dyn std::error::Error>> {
    let (clock, master_key) = (Clock::system(), settings.master_key()?);
    let public_url = settings.public_url(public)?;
    let redis = Redis::open(&settings.redis)?;
    let pulse = Arc::new(Pulse::new(&settings.database, db.clone()).await?);
    let caches = caches(settings, &master_key, &db, &clock, redis.as_ref()).await?;
    let (modules, far) = (settings.here(), Far::new(settings, &master_key, &clock)?);
    let lives_here = |module: Module| modules.contains(&module);

    let own_permissions = lives_here(Module::Permissions).then(|| {
        let settings = settings.permissions.clone();
        Arc::new(permissions::Service::new(db.clone(), clock.clone(), settings, &caches))
    });
    let permissions: Arc<dyn Permissions> = match &own_permissions {
        Some(own) => own.clone(),
        None => Arc::new(RemotePermissions(far.to(Module::Permissions)?)),
    };
    let own_auth = if lives_here(Module::Auth) {
        let dependencies = auth::Dependencies {
            db: db.clone(),
            clock: clock.clone(),
            settings: settings.auth.clone(),
            public_url: public_url.clone(),
            master_key: master_key.clone(),
            permissions: permissions.clone(),
            caches: caches.clone(),
        };
        Some(Arc::new(auth::Service::new(dependencies).await?))
    } else {
        None
    };
    let auth: Arc<dyn Auth> = match &own_auth {
        Some(own) => own.clone(),
        None => Arc::new(RemoteAuth(far.to(Module::Auth)?)),
    };
    let own_users = lives_here(Module::Users).then(|| {
        let parts = users::Parts {
            db: db.clone(),
            clock: clock.clone(),
            auth: auth.clone(),
            permissions: permissions.clone(),
            settings: settings.users.clone(),
            master_key: master_key.clone(),
        };
        Arc::new(users::Service::new(parts, &caches))
    });
    let users: Arc<dyn Users> = match &own_users {
        Some(own) => own.clone(),
        None => Arc::new(RemoteUsers(far.to(Module::Users)?)),
    };
    let own_notifications = if lives_here(Module::Notifications) {
        let parts = notifications::Parts {
            db: db.clone(),
            clock: clock.clone(),
            auth: auth.clone(),
            users: users.clone(),
            settings: settings.notifications.clone(),
            smtp: settings.smtp.clone(),
            master_key: master_key.clone(),
            public_url: public_url.clone(),
            mailbox: settings.profile.is_development(),
            notes: Some(settings.data_dir.join("sent")),
            redis: redis.clone(),
        };
        Some(Arc::new(notifications::Service::new(parts)?))
    } else {
        None
    };
    let notifications: Arc<dyn Notifications> = match &own_notifications {
        Some(own) => own.clone(),
        None => Arc::new(RemoteNotifications(far.to(Module::Notifications)?)),
    };
    let here = Here {
        auth: own_auth,
        users: own_users,
        permissions: own_permissions,
        notifications: own_notifications,
    };

    let desks = Arc::new(Desks::new(db.clone(), here.subscribers(), clock.clone(), settings.bus.clone()));
    let broker = settings.rabbitmq.is_set().then(|| {
        let (own, keys) = settings.peers.seal_keys();
        let seals = Seals::new(&master_key, own, &modules, keys);
        RabbitBus::new(&settings.rabbitmq, &subscriptions(), Arc::clone(&desks), seals).map(Arc::new)
    });
    let broker = broker.transpose().map_err(|error| error as Box<dyn std::error::Error>)?;
    let bus: Arc<dyn Bus> = match &broker {
        Some(broker) => broker.clone(),
        None => desks.clone(),
    };
    let relay = Relay::new(db.clone(), bus, clock.clone(), settings.outbox.clone());
    let relay = Arc::new(match modules.len() == Module::ALL.len() {
        true => relay,
        false => relay.of(&modules.iter().flat_map(|module| facts_of(*module)).copied().collect::<Vec<_>>()),
    });
    let (issuer, audience) = settings.auth.issuer_and_audience(&public_url);
    let far_keys =
        here.auth.is_none().then(|| Arc::new(FarKeys::new(auth.clone(), (issuer.clone(), audience.clone()))));
    let keys: Option<Arc<dyn KeySource>> = match (&here.auth, &far_keys) {
        (Some(own), _) => Some(own.clone()),
        (None, far) => far.clone().map(|far| far as Arc<dyn KeySource>),
    };
    let keys = keys.ok_or_else(|| Error::internal("neither auth nor its keys"))?;
    let verifier = Verifier::new(issuer, audience, keys, clock.clone());
    let verifier = verifier.remembering(Cache::new("verified_tokens", &settings.cache));
    let gate = Gate { verifier: Arc::new(verifier), auth: auth.clone(), permissions: permissions.clone() };
    let setup_link = match &here.auth {
        Some(own) => own.setup_link().await?.map(Arc::new),
        None => None,
    };
    let cursors = Cursors::new(&master_key.derive("cursors"));
    let fingerprints = Fingerprints::new(&master_key.derive("fingerprints"));
    let own_trail: Arc<dyn Trail> = Arc::new(OwnTrail(db.clone()));
    let trail = Arc::new(WholeTrail::new(std::iter::once(own_trail).chain(far.trails()).collect()));
    let exporter = Arc::new(Exporter {
        db: db.clone(),
        clock: clock.clone(),
        trail: trail.clone(),
        auth,
        users,
        permissions,
        notifications,
    });
    let mut limits = settings.limits.limits(clock.clone(), &openapi::document());
    if let Some(redis) = redis.clone() {
        limits = limits.over_all_processes(Global::new(redis, master_key.derive("limits")));
    }
    let limits = Data::new(limits);
    let proxies = Data::new(settings.server.proxies()?);
    let body_deadline = BodyDeadline(Duration::from_millis(settings.server.body_timeout_ms));
    let sweeper = Arc::new(Sweeper::new(db.clone(), clock.clone(), settings.retention.clone()));
    let forgetter = Arc::new(Forgetter::new(db.clone(), clock));
    Ok(House {
        db,
        pulse,
        setup_link,
        here,
        far,
        far_keys,
        trail,
        exporter,
        gate,
        cursors,
        fingerprints,
        desks,
        broker,
        relay,
        sweeper,
        forgetter,
        caches,
        redis,
        limits,
        proxies,
        body_deadline,
        _lock: None,
    })
}

/// What a module tells.
const fn facts_of(module: Module) -> &'static [&'static str] {
    match module {
        Module::Auth => contracts::auth::FACTS,
        Module::Users => contracts::users::FACTS,
        Module::Permissions => contracts::permissions::FACTS,
        Module::Notifications => contracts::notifications::FACTS,
    }
}

/// Who hears what in all of Doorward, wherever it runs.
pub(crate) fn subscriptions() -> Vec<Subscription> {
    [auth::SUBSCRIPTIONS, users::SUBSCRIPTIONS, permissions::SUBSCRIPTIONS, notifications::SUBSCRIPTIONS]
        .concat()
}

/// The caches. Processes that may share a PostgreSQL tell each other of changes; they need a connection of their own for
/// that, because a lease that waits for one is soon over.
async fn caches(
    settings: &Settings,
    master_key: &MasterKey,
    db: &Database,
    clock: &Clock,
    redis: Option<&Redis>,
) -> Result<Caches, platform::db::Error> {
    if alone(db) {
        return Ok(Caches::alone(&settings.cache));
    }
    // A silent host must leave time for the next one, and for a visit, within one lease.
    let connect_timeout_ms = settings.database.connect_timeout_ms.min(settings.cache.lease_ms * 3 / 4).max(1);
    let own = platform::db::Settings { max_connections: 1, connect_timeout_ms, ..settings.database.clone() };
    let own = Database::open(&own).await?;
    let caches = Caches::shared(&settings.cache, master_key, own, clock.clone(), redis.cloned());
    // Where everything starts at once, after a crash of the whole machine, a lease is soon over: that is no reason to give up.
    for _ in 1..JOINS {
        if caches.join().await.is_ok() {
            return Ok(caches);
        }
    }
    caches.join().await?;
    Ok(caches)
}

/// How often a start tries to say that this process is there. Each try ends within a lease.
const JOINS: usize = 10;

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
        let messages = match &self.here.notifications {
            Some(own) => own.take_over().await?,
            None => 0,
        };
        if events + messages > 0 {
            tracing::info!(events, messages, "What a process had taken that was killed is worked on again.");
        }
        Ok(())
    }

    /// Gives an application what its handlers ask for.
    pub(crate) fn furnish(&self, app: &mut ServiceConfig) {
        app.app_data(Data::new(self.gate.clone()))
            .app_data(Data::new(self.cursors.clone()))
            .app_data(Data::new(self.fingerprints.clone()))
            .app_data(Data::new(self.db.clone()))
            .app_data(Data::from(self.pulse.clone()))
            .app_data(self.limits.clone())
            .app_data(self.proxies.clone())
            .app_data(Data::new(self.body_deadline))
            .app_data(Data::from(self.trail.clone()))
            .app_data(Data::from(self.exporter.clone()));
        self.here.furnish(app);
    }

    /// What modules that live elsewhere may ask; nothing where none does.
    pub(crate) fn internal_routes(&self, app: &mut ServiceConfig) {
        if let Some(admission) = self.far.admission.clone() {
            app.app_data(admission);
            self.here.internal_routes(app);
            let trail = trail_routes(Arc::new(OwnTrail(self.db.clone())));
            app.service(trail.wrap(from_fn(admit_service)));
        }
    }

    /// Starts what runs beside requests.
    pub(crate) fn work(&self) -> Workers {
        let mut workers = Workers::new();
        let House { desks, broker, relay, sweeper, forgetter, caches, redis, far_keys, db, pulse, .. } =
            self.clone();
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
        workers.start("bus", move |stop| owned(&desks, |it| async move { it.run(stop).await }));
        if let Some(broker) = broker {
            workers.start("rabbitmq", move |stop| owned(&broker, |it| async move { it.run(stop).await }));
        }
        workers.start("listen", move |stop| {
            let db = db.clone();
            async move { db.hear_others(stop).await }
        });
        workers.start("pulse", move |stop| owned(&pulse, |it| async move { it.run(stop).await }));
        workers.start("metrics", upkeep);
        workers.start("forget", move |stop| owned(&forgetter, |it| async move { it.run(stop).await }));
        workers.start("sweep", move |stop| owned(&sweeper, |it| async move { it.run(stop).await }));
        if let Some(keys) = far_keys {
            workers.start("keys", move |stop| owned(&keys, |it| async move { it.watch(stop).await }));
        }
        self.here.work(&mut workers, &self.gate.auth);
        workers
    }

    /// Ends what would keep the public door open: streams that people read.
    pub(crate) fn end_streams(&self) {
        self.here.notifications.iter().for_each(|it| it.end_streams());
    }

    /// Ends the use of the database.
    pub(crate) fn close(&self) {
        self.db.close();
        self.pulse.close();
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
