//! Doorward as several processes, with the servers that they need and the proxy in front of them; or as one.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::books::Books;
use crate::house::House;
use crate::http::Api;
use crate::proxy::{Proxy, Server};
use crate::services::{Service, Services};
use crate::sql::Sql;
use crate::{Engine, Shape};

pub(crate) const MODULES: [&str; 4] = ["auth", "users", "permissions", "notifications"];

/// What every process must know alike, beside the settings of a run.
const BEHIND_A_PROXY: [(&str, &str); 1] = [("DOORWARD__SERVER__TRUSTED_PROXIES", "127.0.0.1")];

/// A process, with its name and its modules.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) modules: Vec<&'static str>,
    pub(crate) house: House,
}

/// Something that can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Process(usize),
    Server(Service),
}

pub(crate) struct Fleet {
    /// The first one can make the first administrator.
    pub(crate) members: Vec<Member>,
    /// Dropped after those who use it.
    pub(crate) proxy: Option<Proxy>,
    pub(crate) services: Option<Services>,
    shape: Shape,
    engine: Engine,
    /// Where clients go.
    pub(crate) address: SocketAddr,
    runtime: Runtime,
}

/// 32 random bytes in base64.
pub(crate) fn random_key() -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: [u8; 32] = rand::random();
    let digit = |bits: u32| char::from(DIGITS[(bits & 63) as usize]);
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        text.extend([digit(bits >> 18), digit(bits >> 12), digit(bits >> 6), digit(bits)]);
    }
    // The last piece has two bytes.
    text.pop();
    text + "="
}

impl Fleet {
    /// Starts everything and waits until it is healthy; `replicas` is how many there are where there are any.
    ///
    /// # Errors
    /// When a server that is needed is not to be had.
    pub(crate) fn start(
        binary: &Path,
        shape: Shape,
        engine: Engine,
        replicas: usize,
        settings: &[(&str, &str)],
    ) -> Result<Self, String> {
        let services = match (shape, engine) {
            (Shape::One, Engine::Sqlite) => None,
            (Shape::One, Engine::Postgres) => Some(Services::start(&[Service::Postgres])?),
            (Shape::Replicas, _) => {
                Some(Services::start(&[Service::Postgres, Service::Redis, Service::Rabbitmq])?)
            }
            (Shape::Services, Engine::Sqlite) => Some(Services::start(&[Service::Rabbitmq])?),
            (Shape::Services, Engine::Postgres) => {
                Some(Services::start(&[Service::Postgres, Service::Rabbitmq])?)
            }
        };
        let mut proxy = (shape != Shape::One).then(|| Proxy::new(binary));
        let count = if shape == Shape::Replicas { replicas } else { 1 };
        let members = members(binary, shape, engine, count, settings, services.as_ref(), proxy.as_ref());
        let address = proxy.as_ref().map_or(members[0].house.public, |proxy| proxy.address);
        if let Some(proxy) = &mut proxy {
            proxy.start(&servers(&members))?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut fleet = Self { members, proxy, services, shape, engine, address, runtime };
        for member in &mut fleet.members {
            member.house.start();
        }
        fleet.wait_healthy()?;
        Ok(fleet)
    }

    /// The process that printed the link for the first administrator.
    pub(crate) fn setup_link(&self) -> String {
        self.members.iter().find_map(|it| it.house.setup_link.clone()).expect("a set-up link")
    }

    /// What the proxy must know.
    pub(crate) fn servers(&self) -> Vec<Server> {
        servers(&self.members)
    }

    /// Everything that can be killed: where a database is a server of its own and Doorward one process, only the server,
    /// because Doorward must live on.
    pub(crate) fn victims(&self) -> Vec<Victim> {
        let servers = self.services.iter().flat_map(Services::all).map(Victim::Server);
        match (self.shape, self.engine) {
            (Shape::One, Engine::Postgres) => servers.collect(),
            _ => (0..self.members.len()).map(Victim::Process).chain(servers).collect(),
        }
    }

    pub(crate) fn name(&self, victim: Victim) -> &str {
        match victim {
            Victim::Process(at) => &self.members[at].name,
            Victim::Server(service) => service.name(),
        }
    }

    pub(crate) fn kill(&mut self, victim: Victim) {
        match (victim, &self.services) {
            (Victim::Process(at), _) => self.members[at].house.kill(),
            (Victim::Server(service), Some(services)) => services.kill(service),
            (Victim::Server(_), None) => {}
        }
    }

    pub(crate) fn start_again(&mut self, victim: Victim) {
        match (victim, &self.services) {
            (Victim::Process(at), _) => {
                self.members[at].house.empty_log();
                self.members[at].house.start();
            }
            (Victim::Server(service), Some(services)) => services.start_again(service),
            (Victim::Server(_), None) => {}
        }
    }

    /// Waits until every process says that it is ready and has its connections, and the proxy leads to each module.
    ///
    /// # Errors
    /// When a process ended, or is not healthy after a minute.
    pub(crate) fn wait_healthy(&mut self) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(60);
        for at in 0..self.members.len() {
            loop {
                if !self.members[at].house.lives() {
                    let member = &self.members[at];
                    return Err(format!("{} ended by itself:\n{}", member.name, member.house.log()));
                }
                if self.is_healthy(at) {
                    break;
                }
                if Instant::now() > end {
                    let member = &self.members[at];
                    let log = member.house.log();
                    return Err(format!("{} was not healthy within a minute:\n{log}", member.name));
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        if self.proxy.is_some() {
            for path in ["/.well-known/jwks.json", "/api/v1/users/me", "/api/v1/roles", "/api/v1/inbox"] {
                while !self.leads_to(path) {
                    if Instant::now() > end {
                        return Err(format!("nobody answers {path} behind the proxy"));
                    }
                    thread::sleep(Duration::from_millis(5));
                }
            }
        }
        Ok(())
    }

    fn is_healthy(&self, at: usize) -> bool {
        let house = &self.members[at].house;
        let mut api = Api::new(house.public, None);
        if !self.runtime.block_on(api.get("/readyz")).is_ok_and(|answer| answer.status == 200) {
            return false;
        }
        let connected = |what: &str| self.metric(at, what).is_some_and(|value| value >= 1.0);
        let uses = |service: Service| self.services.iter().any(|all| all.all().any(|it| it == service));
        let broker =
            ["publish", "consume"].map(|link| format!("doorward_rabbitmq_connected{{link=\"{link}\"}}"));
        (!uses(Service::Redis) || connected("doorward_redis_connected"))
            && (!uses(Service::Rabbitmq) || broker.iter().all(|metric| connected(metric)))
    }

    /// A number that a process tells of itself.
    pub(crate) fn metric(&self, at: usize, name: &str) -> Option<f64> {
        let text = self.runtime.block_on(Api::text(self.members[at].house.management, "/metrics")).ok()?;
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Whether another service has answered something that this process has asked, and is not left alone now.
    pub(crate) fn is_answered(&self, at: usize, peer: &str) -> bool {
        let address = self.members[at].house.management;
        let text = self.runtime.block_on(Api::text(address, "/metrics")).unwrap_or_default();
        let named = format!("peer=\"{peer}\"");
        let asks = text.lines().any(|line| {
            line.starts_with("doorward_peer_asks_total{")
                && line.contains(&named)
                && line.contains("outcome=\"answered\"")
        });
        asks && self.metric(at, &format!("doorward_peer_circuit{{{named}}}")) == Some(0.0)
    }

    /// How often one service asked another, all in all.
    pub(crate) fn asks(&self) -> f64 {
        let told = |at: usize| {
            let address = self.members[at].house.management;
            self.runtime.block_on(Api::text(address, "/metrics")).unwrap_or_default()
        };
        let asked = |text: String| {
            let lines = text.lines().filter(|line| line.starts_with("doorward_peer_asks_total{"));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
        };
        (0..self.members.len()).map(told).map(asked).sum()
    }

    /// How many requests a process has answered on its API.
    pub(crate) fn requests(&self, at: usize) -> f64 {
        let address = self.members[at].house.management;
        let text = self.runtime.block_on(Api::text(address, "/metrics")).unwrap_or_default();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("doorward_http_requests_total{") && line.contains("\"/api/"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    fn leads_to(&self, path: &str) -> bool {
        let answer = self.runtime.block_on(Api::new(self.address, None).get(path));
        answer.is_ok_and(|answer| answer.status < 500)
    }

    /// The tables.
    pub(crate) fn books(&self) -> Books {
        let own = |member: &Member| match (&self.services, self.engine) {
            (Some(services), Engine::Postgres) => {
                Sql::postgres(&services.database(&format!("doorward_{}", member.name)))
            }
            _ => Sql::sqlite(&member.house.file()),
        };
        match (self.shape, &self.services) {
            (Shape::Services, _) => {
                Books::several(self.members.iter().map(|it| (it.name.clone(), own(it))).collect())
            }
            (Shape::Replicas, Some(services)) | (Shape::One, Some(services)) => {
                Books::one(Sql::postgres(services.url(Service::Postgres)))
            }
            (_, None) => Books::one(own(&self.members[0])),
        }
    }

    /// How often a text stands in the logs.
    pub(crate) fn logged(&self, what: &str) -> usize {
        self.members.iter().map(|it| it.house.logged(what)).sum()
    }
}

fn servers(members: &[Member]) -> Vec<Server> {
    let of = |member: &Member| {
        let (public, management) = (member.house.public, member.house.management);
        member.modules.iter().map(move |module| (*module, public, management)).collect::<Vec<_>>()
    };
    members.iter().flat_map(of).collect()
}

fn members(
    binary: &Path,
    shape: Shape,
    engine: Engine,
    count: usize,
    settings: &[(&str, &str)],
    services: Option<&Services>,
    proxy: Option<&Proxy>,
) -> Vec<Member> {
    let key = random_key();
    let url = proxy.map(|proxy| format!("http://{}", proxy.address)).unwrap_or_default();
    let mut all = settings.to_vec();
    if shape != Shape::One {
        all.extend(BEHIND_A_PROXY);
        all.extend([("DOORWARD__SECRETS__MASTER_KEY", key.as_str()), ("DOORWARD__PUBLIC_URL", url.as_str())]);
    }
    if let Some(services) = services {
        for service in services.all() {
            match service {
                Service::Postgres => {}
                Service::Redis => all.push(("DOORWARD__REDIS__URL", services.url(service))),
                Service::Rabbitmq => all.push(("DOORWARD__RABBITMQ__URL", services.url(service))),
            }
        }
    }
    let shared = services.filter(|it| it.all().any(|it| it == Service::Postgres));
    let shared = shared.map(|services| services.url(Service::Postgres));
    let whole = |name: &str| Member {
        name: name.to_owned(),
        modules: MODULES.to_vec(),
        house: House::new(binary, shared, &all),
    };
    match shape {
        Shape::One => vec![whole("Doorward")],
        Shape::Replicas => (1..=count).map(|number| whole(&format!("replica {number}"))).collect(),
        Shape::Services => {
            let of = |module: &'static str| {
                let database = services.filter(|_| engine == Engine::Postgres).map(|services| {
                    let name = format!("doorward_{module}");
                    Sql::postgres(services.url(Service::Postgres)).run(&format!("CREATE DATABASE {name}"));
                    services.database(&name)
                });
                let house = House::new(binary, database.as_deref(), &all);
                Member { name: module.to_owned(), modules: vec![module], house }
            };
            let mut members: Vec<Member> = MODULES.into_iter().map(of).collect();
            introduce(&mut members);
            members
        }
    }
}

/// Gives each service a key, and tells each of all others.
fn introduce(members: &mut [Member]) {
    for member in &mut *members {
        member.house.set("PEERS__KEY", &random_key());
    }
    let known: Vec<(String, String, SocketAddr)> = members
        .iter()
        .map(|it| (it.name.to_uppercase(), it.house.told_by(&["keys", "service"]), it.house.management))
        .collect();
    for member in members {
        member.house.set("MODULES", &member.name);
        for (module, public, management) in &known {
            member.house.set(&format!("PEERS__KEYS__{module}"), public);
            if *module != member.name.to_uppercase() {
                member.house.set(&format!("PEERS__{module}"), &format!("http://{management}"));
            }
        }
    }
}
