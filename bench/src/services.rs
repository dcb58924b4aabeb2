//! A PostgreSQL of this run alone, made by `deploy/services.sh`, which loses nothing in a crash.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::folder::Folder;

pub(crate) struct Postgres {
    script: PathBuf,
    folder: Folder,
    pub(crate) url: String,
}

impl Postgres {
    /// # Errors
    /// What the script said when there is no PostgreSQL to be had.
    pub(crate) fn start() -> Result<Self, String> {
        let folder = Folder::new("postgres");
        // PostgreSQL may be another user, who must get to its own folder.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/services.sh");
        let mut postgres = Self { script, folder, url: String::new() };
        let out = postgres.script("up");
        if !out.status.success() {
            return Err(String::from_utf8_lossy(&out.stderr).into_owned());
        }
        let text = String::from_utf8(out.stdout).unwrap();
        text.split('\'').nth(1).expect("a URL").clone_into(&mut postgres.url);
        Ok(postgres)
    }

    fn script(&self, command: &str) -> Output {
        Command::new(&self.script)
            .args([command, "postgres"])
            .env("DOORWARD_SERVICES", self.folder.path())
            .env("DOORWARD_SERVICES_DURABLE", "yes")
            .output()
            .unwrap()
    }

    fn main_process(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.folder.path().join("postgres/postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// Kills the server and everything it started, at once.
    pub(crate) fn kill(&self) {
        let main = self.main_process().expect("a running server");
        let all: Vec<u32> = std::iter::once(main).chain(children(main)).collect();
        signal(&all);
        let end = Instant::now() + Duration::from_secs(10);
        while all.iter().any(|pid| runs(*pid)) {
            assert!(Instant::now() < end, "PostgreSQL outlives kill -9");
            std::thread::sleep(Duration::from_millis(2));
        }
        // Where nobody buries dead processes, PostgreSQL would take its own dead body for a running server.
        let _ = std::fs::remove_file(self.folder.path().join("postgres/postmaster.pid"));
    }

    /// Starts what was killed; returns when it takes connections.
    pub(crate) fn start_again(&self) {
        let out = self.script("up");
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert!(
            text.contains(&self.url),
            "PostgreSQL came back somewhere else: another server took its port"
        );
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.script("down");
    }
}

fn signal(pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    Command::new("kill").arg("-KILL").args(pids).output().unwrap();
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

fn children(of: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| state_and_parent(*pid).is_some_and(|(_, parent)| parent == of)).collect()
}
