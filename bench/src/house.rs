//! A running Doorward: the real binary in a process of its own, with a data folder of its own.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::folder::Folder;
use crate::services::signal;

pub(crate) struct House {
    binary: PathBuf,
    process: Option<Child>,
    folder: Folder,
    settings: Vec<(String, String)>,
    pub(crate) public: SocketAddr,
    pub(crate) management: SocketAddr,
    /// The link for the first administrator, while there is none.
    pub(crate) setup_link: Option<String>,
}

impl House {
    /// A house that is not started yet. No URL is the embedded database.
    pub(crate) fn new(binary: &Path, database: Option<&str>, settings: &[(&str, &str)]) -> Self {
        let (public, management) = (free_address(), free_address());
        let folder = Folder::new("bench");
        let mut all = vec![
            ("DOORWARD__DATA_DIR".to_owned(), folder.path().display().to_string()),
            ("DOORWARD__SERVER__PUBLIC__ADDRESS".to_owned(), public.to_string()),
            ("DOORWARD__SERVER__MANAGEMENT__ADDRESS".to_owned(), management.to_string()),
        ];
        all.extend(database.map(|url| ("DOORWARD__DATABASE__URL".to_owned(), url.to_owned())));
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        all.retain(|(name, _)| is_setting(name));
        Self {
            binary: binary.to_owned(),
            process: None,
            folder,
            settings: all,
            public,
            management,
            setup_link: None,
        }
    }

    /// Another one with the same settings, and a data folder and addresses of its own.
    pub(crate) fn beside(&self) -> Self {
        let (public, management) = (free_address(), free_address());
        let folder = Folder::new("bench");
        let (binary, settings) = (self.binary.clone(), self.settings.clone());
        let mut other =
            Self { binary, process: None, folder, settings, public, management, setup_link: None };
        let folder = other.folder.path().display().to_string();
        other.set("DATA_DIR", &folder);
        other.set("SERVER__PUBLIC__ADDRESS", &public.to_string());
        other.set("SERVER__MANAGEMENT__ADDRESS", &management.to_string());
        other
    }

    /// Changes a setting for the next start, such as `PEERS__AUTH`.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let name = format!("DOORWARD__{name}");
        self.settings.retain(|(known, _)| *known != name);
        if is_setting(&name) {
            self.settings.push((name, value.to_owned()));
        }
    }

    /// Takes a setting back.
    pub(crate) fn unset(&mut self, name: &str) {
        self.settings.retain(|(known, _)| *known != format!("DOORWARD__{name}"));
    }

    /// What a command of the binary prints with these settings.
    pub(crate) fn told_by(&self, arguments: &[&str]) -> String {
        let done = self.command().args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", self.log());
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// The file of the embedded database.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("doorward.db")
    }

    fn command(&self) -> Command {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(&self.binary);
        command.env_clear().envs(self.settings.iter().map(|(name, value)| (name, value))).stderr(log);
        command
    }

    /// Makes the tables and nothing else.
    pub(crate) fn migrate(&self) {
        let status = self.command().arg("migrate").stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "{}", self.log());
    }

    /// Starts the process and waits until it says that it is ready; tells how long that took.
    pub(crate) fn start(&mut self) -> Duration {
        let begun = Instant::now();
        let mut process = self
            .command()
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()));
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        self.process = Some(process);
        for line in lines.map_while(Result::ok) {
            if let Some(link) = line.trim().strip_prefix("Set-up") {
                self.setup_link = Some(link.trim().to_owned());
            }
            if line.contains("ready") {
                return begun.elapsed();
            }
        }
        panic!("Doorward did not start:\n{}", self.log());
    }

    /// Ends the process at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Asks the process to end and waits for it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal("-TERM", &[process.id()]);
            process.wait().unwrap();
        }
    }

    /// Whether the process still runs.
    pub(crate) fn lives(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// The last lines of what it logged.
    pub(crate) fn log(&self) -> String {
        let text = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// How many lines of the log hold a text.
    pub(crate) fn logged(&self, what: &str) -> usize {
        let text = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().filter(|line| line.contains(what)).count()
    }

    /// Forgets what was logged, so that a long run does not fill the disk.
    pub(crate) fn empty_log(&self) {
        let _ = OpenOptions::new().write(true).truncate(true).open(self.folder.path().join("log"));
    }

    /// Megabytes of memory in use.
    pub(crate) fn memory(&self) -> f64 {
        let pid = self.process.as_ref().map_or(0, Child::id);
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("VmRSS: 0 kB");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0 / 1e6
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether there is such a setting. One that is not there any more is told, and left out: it would stop the start.
fn is_setting(variable: &str) -> bool {
    const DEFAULTS: &str = include_str!("../../config/default.toml");
    let path = variable.trim_start_matches("DOORWARD__").to_lowercase().replace("__", ".");
    let (section, key) = path.rsplit_once('.').unwrap_or(("", &path));
    let mut current = "";
    let found = DEFAULTS.lines().any(|line| {
        if let Some(name) = line.strip_prefix('[') {
            current = name.trim_end_matches(']');
        }
        current == section && line.split_once(" = ").is_some_and(|(name, _)| name == key)
    });
    if !found {
        eprintln!("bench: there is no setting {path}");
    }
    found
}

/// An address that nobody uses now, and that nobody is given by the system soon.
pub(crate) fn free_address() -> SocketAddr {
    loop {
        let port = rand::random_range(20_000..32_000);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
}

/// The binary beside this one.
pub(crate) fn beside() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name("doorward")
}
