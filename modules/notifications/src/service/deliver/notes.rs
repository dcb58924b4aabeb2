//! What has left and is not yet written down: a small file each, kept from a provider's answer to the commit.
//!
//! A commit waits its turn, a file does not: so a process that is killed leaves word of nearly everything that it handed
//! over, and the next one settles that instead of sending it again. A note is only ever made after the answer, and counts
//! only while the database knows no end of its try; whoever finds none sends. So nothing is lost by a note that is
//! missing, torn, or left over. They are not forced to the disk: after a power cut copies may come.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use platform::db;
use serde::{Deserialize, Serialize};

use super::attempt::Done;
use super::claim::Claimed;
use super::{NAMES, Service};
use crate::model::{Delivery, DeliveryId, Taken};
use crate::store::{deliveries, messages};

/// The folder of notes.
pub(in crate::service) struct Notes {
    folder: Option<Arc<PathBuf>>,
}

/// What a note says beside its name, which is the delivery and the number of the try.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Said {
    provider: Option<String>,
    reference: Option<String>,
    segments: Option<u32>,
}

struct Note {
    delivery: DeliveryId,
    number: i64,
    said: Said,
}

impl Notes {
    /// Notes in this folder, made when it is missing. Where that fails, there are none.
    pub(in crate::service) fn new(folder: Option<PathBuf>) -> Self {
        let made = folder.filter(|folder| {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            if let Err(error) = &made {
                tracing::warn!(%error, "What has left can't be noted, so a crash may send more messages twice.");
            }
            made.is_ok()
        });
        Self { folder: made.map(Arc::new) }
    }

    /// Notes that this try was taken. Failing is no failure: it was sent all the same.
    pub(super) async fn keep(&self, delivery: &Delivery, done: &Done) {
        let said = Said {
            provider: done.taken.provider.map(str::to_owned),
            reference: done.taken.reference.clone(),
            segments: done.segments,
        };
        let (name, text) = (name(delivery.id, delivery.attempts), serde_json::to_vec(&said));
        let kept = self.with(move |folder| {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(folder.join(name))?;
            file.write_all(&text.unwrap_or_default())
        });
        if let Some(Err(error)) = kept.await {
            tracing::debug!(%error, "What has left could not be noted.");
        }
    }

    /// The database knows it: the notes of this delivery, of this try and those before, are not needed any more.
    pub(super) async fn forget(&self, delivery: &Delivery) {
        let id = delivery.id;
        self.with(move |folder| {
            for note in read(folder).into_iter().filter(|note| note.delivery == id) {
                let _ = fs::remove_file(folder.join(name(note.delivery, note.number)));
            }
        })
        .await;
    }

    async fn all(&self) -> Vec<Note> {
        self.with(read).await.unwrap_or_default()
    }

    /// A few small files, at most as many at a time as messages are sent.
    #[expect(clippy::disallowed_methods, reason = "bounded by notifications.concurrency")]
    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&Path) -> T + Send + 'static) -> Option<T> {
        let folder = Arc::clone(self.folder.as_ref()?);
        tokio::task::spawn_blocking(move || work(&folder)).await.ok()
    }
}

fn name(delivery: DeliveryId, number: i64) -> String {
    format!("{delivery}.{number}")
}

fn id(text: &str) -> Option<DeliveryId> {
    serde_json::from_value(text.into()).ok()
}

/// Every note that can be read. One without words still says that its try was taken.
fn read(folder: &Path) -> Vec<Note> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let notes = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let (delivery, number) = name.split_once('.')?;
        let (delivery, number) = (id(delivery)?, number.parse().ok()?);
        let said = fs::read(entry.path()).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Some(Note { delivery, number, said: said.unwrap_or_default() })
    });
    notes.collect()
}

impl Service {
    /// Writes down what a process before this one handed over and could not write down itself.
    pub(super) async fn settle_noted(&self) {
        for note in self.notes.all().await {
            if let Err(error) = self.settle_note(note).await {
                tracing::warn!(%error, "A note of what has left could not be looked up.");
            }
        }
    }

    async fn settle_note(&self, note: Note) -> db::Result<()> {
        if let Some(claimed) = self.claimed_by(&note).await?
            && let Some(done) = self.left_before(&claimed).await?
        {
            self.settle(&claimed, Ok(done)).await;
            return Ok(());
        }
        let file = name(note.delivery, note.number);
        self.notes.with(move |folder| fs::remove_file(folder.join(file))).await;
        Ok(())
    }

    /// The try that a note is about, unless the database knows how it ended.
    async fn claimed_by(&self, note: &Note) -> db::Result<Option<Claimed>> {
        let mut c = self.db.read().await?;
        let Some(delivery) = deliveries::find(&mut c, note.delivery).await? else { return Ok(None) };
        let open = delivery.due_at.is_some() && deliveries::is_open(&mut c, delivery.id, note.number).await?;
        let found = messages::find_many(&mut c, vec![delivery.message]).await?;
        let claimed = found.into_iter().next().map(|message| Claimed { delivery, message, lost: true });
        Ok(claimed.filter(|_| open))
    }

    /// A letter that an earlier try handed over without getting to write it down; none when it has to be sent.
    pub(super) async fn left_before(&self, claimed: &Claimed) -> db::Result<Option<Done>> {
        if !claimed.lost {
            return Ok(None);
        }
        let notes = self.notes.all().await;
        for note in notes.into_iter().filter(|note| note.delivery == claimed.delivery.id) {
            let open = deliveries::is_open(&mut *self.db.read().await?, note.delivery, note.number).await?;
            if open {
                // What left is not to be had any more; the mailbox of development gets one with a link of its own.
                let letter = if self.mailbox { self.write(claimed).await.ok() } else { None };
                let provider = NAMES.into_iter().find(|name| note.said.provider.as_deref() == Some(*name));
                let taken = Taken { provider, reference: note.said.reference };
                return Ok(Some(Done { letter, taken, segments: note.said.segments }));
            }
        }
        Ok(None)
    }
}
