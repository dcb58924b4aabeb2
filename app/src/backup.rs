//! `doorward backup` and `doorward restore`: the embedded database as one file, made while a server runs, and put back
//! in place when none does.
//!
//! A backup is a SQLite database with a last line that tells what it is and what its bytes sum up to (SHA-256). The
//! master key is not in it. Left out: PostgreSQL, which has its own tools; moving backups elsewhere; and encrypting
//! them, because whoever keeps them has a tool for that.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use contracts::{Caller, Module, Time};
use platform::clock::Clock;
use platform::db::{Database, DatabaseUrl, Settings as DatabaseSettings};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::compose::MIGRATIONS;
use crate::settings::Settings;
use crate::{StartError, data, say};

/// What the last line begins with.
const MARK: &str = "\ndoorward-backup ";

/// The last line is no longer than this, in bytes.
const LONGEST_MARK: u64 = 1024;

/// What a backup says about itself.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    /// Of this line.
    format: u32,
    /// The program that made it.
    version: String,
    made_at: Time,
    /// The latest change of the tables that is in it.
    migration: String,
    /// How long the database is that stands before this line.
    bytes: u64,
    sha256: String,
}

/// Writes a new file; never over another one.
pub(crate) async fn back_up(settings: &Settings, file: &Path) -> Result<(), StartError> {
    embedded(settings, "pg_dump")?;
    if file.exists() {
        return Err(StartError(format!("{} is there already, and is not overwritten.", file.display())));
    }
    let draft = Draft::beside(file)?;
    let unmade = |error| StartError::because("The backup can't be made", error);
    Database::copy(&settings.database, &draft.0).await.map_err(unmade)?;
    let migration = Database::inspect(&at(&draft.0, settings), &MIGRATIONS).await.map_err(unmade)?;
    let manifest = seal(&draft.0, migration).map_err(|error| unwritten(file, &error))?;
    draft.become_new(file).map_err(|error| unwritten(file, &error))?;
    let Manifest { bytes, sha256, .. } = manifest;
    say(&format!(
        "Wrote {} ({bytes} bytes, SHA-256 {sha256}).\nIt holds personal data, open to whoever can read it: keep it as you \
         keep the database. The master key is not in it, and without secrets.master_key, in development {}, its signing \
         keys can't be used: keep that elsewhere.",
        file.display(),
        settings.data_dir.join("secrets/master.key").display(),
    ))
}

/// Checks a backup and puts it in the place of the database, which is kept beside it. Sessions and one-time links end,
/// unless they are to be kept.
pub(crate) async fn restore(settings: &Settings, file: &Path, keep_sessions: bool) -> Result<(), StartError> {
    let database = embedded(settings, "pg_restore")?;
    let unread =
        |error: std::io::Error| StartError::because(&format!("{} can't be read", file.display()), error);
    let mut backup = File::open(file).map_err(unread)?;
    let manifest = manifest(&mut backup).map_err(unread)?.ok_or_else(|| {
        StartError(format!("{} is not a backup of Doorward, or not all of it.", file.display()))
    })?;
    if let Some(folder) = database.parent() {
        data::make(folder)?;
    }
    let _lock = data::lock(&database)?;
    let draft = Draft::beside(&database)?;
    let sum = copy(&mut backup, &draft.0, manifest.bytes).map_err(|error| unwritten(&draft.0, &error))?;
    if sum != manifest.sha256 {
        return Err(StartError(format!(
            "{} is damaged: its bytes are not those that were written.",
            file.display()
        )));
    }
    Database::inspect(&at(&draft.0, settings), &MIGRATIONS)
        .await
        .map_err(|error| StartError::because("The backup can't be used", error))?;
    let has_sessions = settings.here().contains(&Module::Auth);
    let ended = if keep_sessions || !has_sessions { None } else { Some(close(settings, &draft.0).await?) };
    empty_journal(settings, &database).await;
    let replaced = draft.take_the_place_of(&database)?;
    let kept = replaced.map(|path| format!("\nWhat was there before is kept in {}.", path.display()));
    let ended = match ended {
        Some(auth::Closed { sessions, requests }) => format!(
            "Sessions were ended: {sessions}; one-time links closed: {requests}. Everybody has to log in again."
        ),
        None if !has_sessions => "There are no sessions in it: auth lives elsewhere.".to_owned(),
        None => "Sessions and one-time links are kept; those that ended after that backup are alive again."
            .to_owned(),
    };
    say(&format!(
        "Restored the backup of {}, made by Doorward {}.{}\n{ended}\nWhat else changed after that backup is as it was \
         then: passwords, assignments, people who were purged; and messages that were on their way are sent once more.",
        manifest.made_at,
        manifest.version,
        kept.unwrap_or_default()
    ))
}

/// Ends what must not come back, before anybody can serve from it.
async fn close(settings: &Settings, draft: &Path) -> Result<auth::Closed, StartError> {
    let unended = |error| StartError::because("The sessions in the backup can't be ended", error);
    let db = Database::open(&at(draft, settings)).await.map_err(unended)?;
    let caller = Caller::module("doorward-cli");
    let closed = auth::close_restored(&db, &caller, Clock::system().now()).await.map_err(unended)?;
    // Only the file itself takes the name of the database, so nothing may be left beside it.
    db.truncate_log().await.map_err(unended)?;
    db.close();
    let left = fs::metadata(format!("{}-wal", draft.display())).map_or(0, |journal| journal.len());
    if left > 0 {
        return Err(StartError(
            "The sessions in the backup can't be ended: its journal is in use.".to_owned(),
        ));
    }
    Ok(closed)
}

fn embedded(settings: &Settings, tool: &str) -> Result<PathBuf, StartError> {
    settings.database.url.sqlite_path().ok_or_else(|| {
        StartError(format!(
            "The database is a PostgreSQL: use its own tools, such as {tool}. Nothing was done."
        ))
    })
}

fn at(path: &Path, settings: &Settings) -> DatabaseSettings {
    let url = DatabaseUrl::from(format!("sqlite:{}", path.display()));
    DatabaseSettings { url, ..settings.database.clone() }
}

fn unwritten(file: &Path, error: &dyn std::fmt::Display) -> StartError {
    StartError::because(&format!("{} can't be written", file.display()), error)
}

/// Puts the last line below a database, and everything on the disk.
fn seal(file: &Path, migration: String) -> std::io::Result<Manifest> {
    let mut out = OpenOptions::new().read(true).write(true).open(file)?;
    let (bytes, sha256) = sum(&mut out, None)?;
    let manifest = Manifest {
        format: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: Clock::system().now(),
        migration,
        bytes,
        sha256,
    };
    out.seek(SeekFrom::End(0))?;
    writeln!(out, "{MARK}{}", serde_json::to_string(&manifest)?)?;
    out.sync_all()?;
    Ok(manifest)
}

/// What the last line says; none when it is not there, of another kind, or does not fit what stands before it.
fn manifest(backup: &mut File) -> std::io::Result<Option<Manifest>> {
    let length = backup.metadata()?.len();
    backup.seek(SeekFrom::Start(length.saturating_sub(LONGEST_MARK)))?;
    let mut end = Vec::new();
    backup.take(LONGEST_MARK).read_to_end(&mut end)?;
    let places = end.windows(MARK.len()).rposition(|window| window == MARK.as_bytes());
    let Some((place, line)) = places.and_then(|place| Some((place, end.get(place + MARK.len()..)?))) else {
        return Ok(None);
    };
    let manifest: Option<Manifest> = serde_json::from_slice(line).ok();
    let before = length - u64::try_from(end.len() - place).unwrap_or(length);
    Ok(manifest.filter(|it| it.format == 1 && it.bytes == before))
}

/// Copies so many bytes from the start, and tells what they sum up to.
fn copy(backup: &mut File, to: &Path, bytes: u64) -> std::io::Result<String> {
    let mut out = OpenOptions::new().write(true).truncate(true).open(to)?;
    backup.seek(SeekFrom::Start(0))?;
    let mut hasher = Hashing { hasher: Sha256::new(), out: Some(&mut out) };
    std::io::copy(&mut backup.take(bytes), &mut hasher)?;
    let sum = hex(hasher.hasher);
    out.sync_all()?;
    Ok(sum)
}

fn sum(file: &mut File, out: Option<&mut File>) -> std::io::Result<(u64, String)> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Hashing { hasher: Sha256::new(), out };
    let bytes = std::io::copy(file, &mut hasher)?;
    Ok((bytes, hex(hasher.hasher)))
}

/// Sums up what is written through it.
struct Hashing<'a> {
    hasher: Sha256,
    out: Option<&'a mut File>,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(out) = &mut self.out {
            out.write_all(bytes)?;
        }
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is still in the journal of the database goes into it; one that is damaged is kept as it is.
async fn empty_journal(settings: &Settings, database: &Path) {
    if !database.exists() {
        return;
    }
    if let Ok(db) = Database::open(&settings.database).await {
        // A file that can't be opened or written is no reason against one that can.
        let _ = db.truncate_log().await;
        db.close();
    }
}

/// A file (0600) on its way to its name; gone when it does not get there.
struct Draft(PathBuf);

impl Draft {
    fn beside(file: &Path) -> Result<Self, StartError> {
        let path = beside(file, &format!(".{}", data::draft_ending()));
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.map(|_| Self(path)).map_err(|error| unwritten(file, &error))
    }

    /// Takes a name that is free: not even somebody who is as fast loses a file.
    fn become_new(self, file: &Path) -> std::io::Result<()> {
        fs::hard_link(&self.0, file)?;
        sync_folder(file)
    }

    /// Takes the name of a database, which keeps another one, and tells which; none when there was none.
    ///
    /// At every moment a database has that name, the one before or this: one that is missing would be taken for a new
    /// installation at the next start. A journal must not be left beside a database that it does not belong to.
    fn take_the_place_of(self, database: &Path) -> Result<Option<PathBuf>, StartError> {
        let aside = beside(database, &format!(".replaced-{}", Clock::system().now().seconds()));
        let there = database.exists();
        let (mut set_aside, mut moved) = (false, Vec::new());
        let placed = (|| {
            if there {
                // What is there under that name is another one's, and stays.
                fs::hard_link(database, &aside)?;
                set_aside = true;
            }
            for journal in ["-wal", "-shm"] {
                match fs::rename(beside(database, journal), beside(&aside, journal)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                    renamed => moved.extend(renamed.ok().map(|()| journal)),
                }
            }
            fs::rename(&self.0, database)
        })();
        if let Err(error) = placed {
            let back =
                moved.iter().map(|journal| fs::rename(beside(&aside, journal), beside(database, journal)));
            let is_back = back.filter(Result::is_err).count() == 0;
            if is_back {
                if set_aside {
                    let _ = fs::remove_file(&aside);
                }
                return Err(StartError::because(
                    &format!("{} can't be replaced, and is as it was", database.display()),
                    error,
                ));
            }
            let what = format!(
                "{} can't be replaced, and a part of it is still in {}-wal: move that back before anything starts",
                database.display(),
                aside.display()
            );
            return Err(StartError::because(&what, error));
        }
        sync_folder(database).map_err(|error| unwritten(database, &error))?;
        Ok(there.then_some(aside))
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

/// Sees to it that a name is on the disk.
fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

impl Drop for Draft {
    fn drop(&mut self) {
        for ending in ["", "-journal", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{ending}", self.0.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_database_that_can_not_be_replaced_stays_with_all_that_belongs_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("doorward.db");
        fs::write(&database, "old").unwrap();
        fs::write(beside(&database, "-wal"), "old journal").unwrap();
        let draft = Draft::beside(&database).unwrap();
        fs::remove_file(&draft.0).unwrap();
        let told = draft.take_the_place_of(&database).unwrap_err().to_string();
        assert!(told.contains("doorward.db can't be replaced, and is as it was"), "{told}");
        assert_eq!(names(folder.path()), ["doorward.db", "doorward.db-wal"]);
        assert_eq!(fs::read_to_string(&database).unwrap(), "old");
    }

    #[test]
    fn what_was_set_aside_before_is_never_lost() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("doorward.db");
        fs::write(&database, "now").unwrap();
        let now = Clock::system().now().seconds();
        for second in now..now + 60 {
            fs::write(beside(&database, &format!(".replaced-{second}")), "the only copy").unwrap();
        }
        let before = names(folder.path());
        let draft = Draft::beside(&database).unwrap();
        let told = draft.take_the_place_of(&database).unwrap_err().to_string();
        assert!(told.contains("is as it was"), "{told}");
        assert_eq!(names(folder.path()), before);
    }

    #[test]
    fn what_is_replaced_keeps_its_journal_and_the_new_one_gets_none() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("doorward.db");
        for (ending, text) in [("", "old"), ("-wal", "old journal")] {
            fs::write(beside(&database, ending), text).unwrap();
        }
        let draft = Draft::beside(&database).unwrap();
        fs::write(&draft.0, "new").unwrap();
        let aside = draft.take_the_place_of(&database).unwrap().unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let kept = [read(&database), read(&aside), read(&beside(&aside, "-wal"))];
        assert_eq!(kept, ["new", "old", "old journal"]);
        assert_eq!(names(folder.path()).len(), 3);

        fs::remove_file(&database).unwrap();
        let draft = Draft::beside(&database).unwrap();
        assert_eq!(draft.take_the_place_of(&database).unwrap(), None, "there was none");
    }
}
