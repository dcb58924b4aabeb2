//! The data folder: where the embedded database lives, and the secrets that Doorward makes for itself in development.
//!
//! Outside of development no secret is made: an operator who runs several replicas must give all of them the same.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use platform::clock::Clock;
use platform::settings::MasterKey;

use crate::StartError;

/// Makes the folder (0700) when it is missing.
pub(crate) fn make(folder: &Path) -> Result<(), StartError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| {
        StartError::because(
            &format!("The folder {} can't be made; set `data_dir` to one that can", folder.display()),
            error,
        )
    })
}

/// Makes sure that nobody else serves from this embedded database: what one process keeps in memory, another would not
/// know. The lock ends with the process, however it ends; keep what is returned until then.
pub(crate) fn lock(database: &Path) -> Result<File, StartError> {
    let path = database.with_extension("lock");
    let unusable = |error: &dyn std::fmt::Display| {
        StartError::because(&format!("The lock {} can't be made", path.display()), error)
    };
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let lock = open.map_err(|error| unusable(&error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StartError(format!(
            "Another Doorward runs on {}. One process at a time can serve from SQLite; for several, set `database.url` \
             to a PostgreSQL.",
            database.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unusable(&error)),
    }
}

/// The master key of development: read, or made and kept (0600) when it is not there yet.
pub(crate) fn master_key(folder: &Path) -> Result<MasterKey, StartError> {
    let secrets = folder.join("secrets");
    make(&secrets)?;
    let file = secrets.join("master.key");
    let unusable = |error: &dyn std::fmt::Display| {
        StartError::because(&format!("The secret in {} can't be used", file.display()), error)
    };
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = MasterKey::generate().map_err(|error| unusable(&error))?;
            write_once(&file, &key.to_base64()).map_err(|error| unusable(&error))?
        }
        Err(error) => return Err(unusable(&error)),
    };
    MasterKey::parse(text.trim()).map_err(|error| unusable(&error))
}

/// What the name of a draft ends in: another one for each process and each time, also where every process has the same
/// number, as in containers. One that is left over by a crash stands in nobody's way.
pub(crate) fn draft_ending() -> String {
    format!("draft-{}-{}", std::process::id(), Clock::system().now().micros())
}

/// Writes a file that must not be there yet, completely or not at all: into a file beside it first.
fn write_once(file: &PathBuf, text: &str) -> std::io::Result<String> {
    let draft = file.with_extension(draft_ending());
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    let kept = match fs::hard_link(&draft, file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => fs::read_to_string(file),
        linked => linked.map(|()| text.to_owned()),
    };
    fs::remove_file(&draft)?;
    kept
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_process_at_a_time_serves_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("doorward.db");
        let first = lock(&database).unwrap();
        assert!(lock(&database).unwrap_err().to_string().contains("Another Doorward runs"));
        drop(first);
        lock(&database).unwrap();
    }

    #[test]
    fn the_key_is_made_once_and_is_the_owners_only() {
        let folder = tempfile::tempdir().unwrap();
        let first = master_key(folder.path()).unwrap();
        let second = master_key(folder.path()).unwrap();
        assert_eq!(first.derive("test"), second.derive("test"));
        let file = folder.path().join("secrets/master.key");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, "changeme").unwrap();
        assert!(master_key(folder.path()).is_err());
    }
}
