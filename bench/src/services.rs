//! Servers of this run alone, made by `deploy/services.sh`: PostgreSQL, which loses nothing in a crash, Redis, RabbitMQ.
//! They are there to be killed and to come back where they were.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::folder::Folder;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Postgres,
    Redis,
    Rabbitmq,
}

impl Service {
    /// As the script calls it.
    const fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Rabbitmq => "rabbitmq",
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
            Self::Rabbitmq => "RabbitMQ",
        }
    }
}

pub(crate) struct Services {
    script: PathBuf,
    folder: Folder,
    urls: BTreeMap<Service, String>,
}

impl Services {
    /// # Errors
    /// What the script said when one of them is not to be had.
    pub(crate) fn start(all: &[Service]) -> Result<Self, String> {
        let folder = Folder::new("services");
        // PostgreSQL may be another user, who must get to its own folder.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/services.sh");
        let mut services = Self { script, folder, urls: all.iter().map(|it| (*it, String::new())).collect() };
        for service in all {
            let out = services.script("up", *service);
            if !out.status.success() {
                return Err(String::from_utf8_lossy(&out.stderr).into_owned());
            }
            let text = String::from_utf8(out.stdout).unwrap();
            services.urls.insert(*service, text.split('\'').nth(1).expect("a URL").to_owned());
        }
        Ok(services)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Service> {
        self.urls.keys().copied()
    }

    pub(crate) fn url(&self, service: Service) -> &str {
        &self.urls[&service]
    }

    /// The URL of another database at the same PostgreSQL.
    pub(crate) fn database(&self, name: &str) -> String {
        let (server, _) = self.url(Service::Postgres).rsplit_once('/').unwrap();
        format!("{server}/{name}")
    }

    fn script(&self, command: &str, service: Service) -> Output {
        Command::new(&self.script)
            .args([command, service.word()])
            .env("DOORWARD_SERVICES", self.folder.path())
            .env("DOORWARD_SERVICES_DURABLE", "yes")
            .output()
            .unwrap()
    }

    /// Kills a server and everything it started, at once.
    pub(crate) fn kill(&self, service: Service) {
        let pid_file = match service {
            Service::Postgres => "postgres/postmaster.pid",
            Service::Redis => "redis/pid",
            Service::Rabbitmq => "rabbitmq/pid",
        };
        let text = std::fs::read_to_string(self.folder.path().join(pid_file)).expect("a running server");
        let main: u32 = text.lines().next().and_then(|line| line.trim().parse().ok()).expect("its number");
        let all: Vec<u32> = std::iter::once(main).chain(children(main)).collect();
        signal("-KILL", &all);
        let end = Instant::now() + Duration::from_secs(10);
        while all.iter().any(|pid| runs(*pid)) {
            assert!(Instant::now() < end, "{} outlives kill -9", service.name());
            std::thread::sleep(Duration::from_millis(2));
        }
        // Where nobody buries dead processes, PostgreSQL would take its own dead body for a running server.
        let _ = std::fs::remove_file(self.folder.path().join(pid_file));
    }

    /// Starts what was killed; returns when it takes connections.
    pub(crate) fn start_again(&self, service: Service) {
        let out = self.script("up", service);
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let name = service.name();
        assert!(
            text.contains(self.url(service)),
            "{name} came back somewhere else: another server took its port"
        );
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for service in self.all().collect::<Vec<_>>() {
            self.script("down", service);
        }
    }
}

/// Sends processes a signal.
pub(crate) fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    Command::new("kill").arg(name).args(pids).output().unwrap();
}

/// A process that is there and no zombie.
fn runs(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

fn state_and_parent(pid: u32) -> Option<(String, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut rest = text.rsplit_once(')')?.1.split_whitespace();
    Some((rest.next()?.to_owned(), rest.next()?.parse().ok()?))
}

/// What a process has started and what still runs of it.
pub(crate) fn children(of: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| state_and_parent(*pid).is_some_and(|(state, parent)| parent == of && state != "Z"))
        .collect()
}
