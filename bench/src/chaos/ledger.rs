//! What was acknowledged, kept outside of what is killed: one line an entry, synced to disk, never changed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

/// One acknowledged write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Entry {
    Registered { email: String },
    Profile { user: String, number: u64 },
    Preference { user: String, namespace: String, number: u64 },
    Assigned { key: String, id: String, number: u64 },
    Unassigned { id: String },
    Notified { key: String, id: String, number: u64 },
    LoggedIn { session: String, user: String },
    Revoked { session: String, access_token: String, refresh_token: String },
    Refreshed { session: String, used: String, next: String },
}

impl Entry {
    fn kind(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "registrations",
            Self::Profile { .. } => "changes of profiles",
            Self::Preference { .. } => "preferences",
            Self::Assigned { .. } => "role assignments",
            Self::Unassigned { .. } => "role assignments taken back",
            Self::Notified { .. } => "notifications",
            Self::LoggedIn { .. } => "logins",
            Self::Revoked { .. } => "sessions ended",
            Self::Refreshed { .. } => "refresh tokens exchanged",
        }
    }
}

/// How many entries there are of each kind.
pub(crate) fn kinds(entries: &[Entry]) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for entry in entries {
        *kinds.entry(entry.kind()).or_default() += 1;
    }
    kinds
}

pub(crate) struct Ledger {
    path: PathBuf,
    sender: Mutex<Option<Sender<Entry>>>,
    count: AtomicUsize,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Ledger {
    pub(crate) fn open(path: &Path) -> Self {
        let mut file = File::create_new(path).unwrap();
        let (sender, entries) = channel::<Entry>();
        // One sync for whatever came in meanwhile.
        let writer = std::thread::spawn(move || {
            while let Ok(first) = entries.recv() {
                let mut lines = String::new();
                for entry in std::iter::once(first).chain(entries.try_iter()) {
                    lines.push_str(&serde_json::to_string(&entry).unwrap());
                    lines.push('\n');
                }
                file.write_all(lines.as_bytes()).unwrap();
                file.sync_data().unwrap();
            }
        });
        Self {
            path: path.to_owned(),
            sender: Mutex::new(Some(sender)),
            count: AtomicUsize::new(0),
            writer: Mutex::new(Some(writer)),
        }
    }

    pub(crate) fn note(&self, entry: Entry) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(sender) = &*self.sender.lock().unwrap_or_else(PoisonError::into_inner) {
            sender.send(entry).unwrap();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Ends the writing and reads everything back.
    pub(crate) fn close(&self) -> Vec<Entry> {
        drop(self.sender.lock().unwrap().take());
        if let Some(writer) = self.writer.lock().unwrap().take() {
            writer.join().unwrap();
        }
        let text = std::fs::read_to_string(&self.path).unwrap();
        let entries: Vec<Entry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(entries.len(), self.len(), "the ledger itself lost something");
        entries
    }
}
