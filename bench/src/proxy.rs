//! HAProxy with the configuration that Doorward makes for it, loaded again when there is another one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::folder::Folder;
use crate::house::free_address;
use crate::services::{children, signal};

/// A module, and the public and the management listener of a process that has it.
pub(crate) type Server = (&'static str, SocketAddr, SocketAddr);

pub(crate) struct Proxy {
    doorward: PathBuf,
    process: Option<Child>,
    folder: Folder,
    pub(crate) address: SocketAddr,
    /// What it balances is management listeners, for those who ask peers.
    inside: bool,
}

impl Proxy {
    /// A proxy that is not started yet: its address is known before those it stands in front of.
    pub(crate) fn new(doorward: &Path) -> Self {
        let (doorward, folder) = (doorward.to_owned(), Folder::new("proxy"));
        Self { doorward, process: None, folder, address: free_address(), inside: false }
    }

    /// The same in front of management listeners: where peers find whoever of several replicas is ready.
    pub(crate) fn inside(doorward: &Path) -> Self {
        let mut proxy = Self::new(doorward);
        proxy.inside = true;
        proxy
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("haproxy.cfg")
    }

    fn write(&self, servers: &[Server]) {
        let text = if self.inside { self.of_peers(servers) } else { self.of_doorward(servers) };
        std::fs::write(self.file(), text).unwrap();
    }

    fn of_doorward(&self, servers: &[Server]) -> Vec<u8> {
        let mut command = Command::new(&self.doorward);
        command.args(["proxy", "haproxy", "--listen", &self.address.to_string()]);
        for (module, public, management) in servers {
            command.args(["--server", &format!("{module}={public},{management}")]);
        }
        let printed = command.env_clear().output().unwrap();
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        printed.stdout
    }

    /// As docs/operations.md has it.
    fn of_peers(&self, servers: &[Server]) -> Vec<u8> {
        let mut text = format!(
            "defaults\n    mode http\n    retries 2\n    option redispatch 1\n    retry-on conn-failure\n    \
             option idle-close-on-response\n    timeout connect 2s\n    timeout client 75s\n    timeout server 75s\n\n\
             listen peers\n    bind {}\n    balance leastconn\n    option httpchk GET /readyz\n    \
             http-check expect status 200\n    default-server inter 1s fall 2 rise 1\n",
            self.address
        );
        for (number, (_, _, management)) in servers.iter().enumerate() {
            text.push_str(&format!("    server replica{} {management} check\n", number + 1));
        }
        text.into_bytes()
    }

    /// Starts it in front of these.
    ///
    /// # Errors
    /// When HAProxy is not installed.
    pub(crate) fn start(&mut self, servers: &[Server]) -> Result<(), String> {
        self.write(servers);
        let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("haproxy");
        command.env("PATH", path).args(["-W", "-db", "-f"]).arg(self.file());
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let started = command.stdout(Stdio::null()).stderr(log).spawn();
        self.process = Some(started.map_err(|error| format!("HAProxy can't be started: {error}"))?);
        self.await_workers("starts", |workers| workers.len() == 1);
        Ok(())
    }

    /// Loads the configuration for these instead, without a gap; returns when the former worker has nothing to do any
    /// more and is gone.
    pub(crate) fn lead_to(&self, servers: &[Server]) {
        self.write(servers);
        let before = self.workers();
        signal("-USR2", &[self.process.as_ref().unwrap().id()]);
        self.await_workers("loads its configuration again", |workers| {
            !workers.is_empty() && workers.iter().all(|pid| !before.contains(pid))
        });
    }

    fn workers(&self) -> Vec<u32> {
        children(self.process.as_ref().unwrap().id())
    }

    fn await_workers(&self, what: &str, are: impl Fn(&[u32]) -> bool) {
        let end = Instant::now() + Duration::from_secs(90);
        while !are(&self.workers()) {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "HAProxy never {what}:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal("-TERM", &[process.id()]);
            let _ = process.wait();
        }
    }
}
