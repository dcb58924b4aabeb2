//! Where the database is and how it is used. Each engine takes what concerns it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::error::{Error, Result};

/// Settings of the database.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`. A relative path starts at the working directory.
    pub url: DatabaseUrl,
    /// Connections of one pool at most, at least 1; on SQLite of the readers, beside one writer.
    pub max_connections: usize,
    /// When SQLite tells the disk to keep a commit.
    pub synchronous: Synchronous,
    /// How long a caller waits for a free connection, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// How long making a connection may take, in milliseconds, until it can be used. Several hosts of a PostgreSQL url, and
    /// several addresses of one, share it.
    pub connect_timeout_ms: u64,
    /// How long PostgreSQL works on one statement, in milliseconds; 0 is without end.
    pub statement_timeout_ms: u64,
    /// How long a statement waits for a lock, in milliseconds. On SQLite: for the writer of another process.
    pub lock_timeout_ms: u64,
    /// How long PostgreSQL keeps a transaction open in which nothing happens, in milliseconds; 0 is without end.
    pub idle_transaction_timeout_ms: u64,
    /// How long a PostgreSQL connection that nobody uses is trusted to be there, in seconds.
    pub idle_timeout_seconds: u64,
    /// How long a PostgreSQL connection is used at all, in seconds.
    pub max_lifetime_seconds: u64,
    /// Whether the url leads to a pooler that lends a connection for one transaction only.
    pub transaction_pooling: bool,
    /// Whether to run on a PostgreSQL that loses in a crash what it has acknowledged.
    pub accept_losing_acknowledged_writes: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: DatabaseUrl::from("sqlite:doorward-data/doorward.db"),
            max_connections: 10,
            synchronous: Synchronous::Full,
            acquire_timeout_ms: 5_000,
            connect_timeout_ms: 3_000,
            statement_timeout_ms: 10_000,
            lock_timeout_ms: 5_000,
            idle_transaction_timeout_ms: 30_000,
            idle_timeout_seconds: 600,
            max_lifetime_seconds: 1_800,
            transaction_pooling: false,
            accept_losing_acknowledged_writes: false,
        }
    }
}

impl Settings {
    /// Everything that is wrong, a sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.url.expose().is_empty() {
            problems.push(
                "database.url is not set: set it to `postgres://USER:PASSWORD@HOST/NAME`, or to `sqlite:PATH` when one \
                 process is enough."
                    .to_owned(),
            );
        } else if let Err(error) = self.url.target() {
            problems.push(error.to_string());
        }
        let from_one = [
            ("max_connections", self.max_connections as u64),
            ("acquire_timeout_ms", self.acquire_timeout_ms),
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("lock_timeout_ms", self.lock_timeout_ms),
            ("idle_timeout_seconds", self.idle_timeout_seconds),
            ("max_lifetime_seconds", self.max_lifetime_seconds),
        ];
        let zero = from_one.iter().filter(|(_, value)| *value == 0);
        problems.extend(zero.map(|(name, _)| format!("database.{name} must be at least 1.")));
        problems
    }

    pub(super) fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.acquire_timeout_ms)
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}

/// When SQLite tells the disk to keep a commit (`PRAGMA synchronous`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Synchronous {
    /// At every commit: a commit survives a power cut.
    #[default]
    Full,
    /// At checkpoints: a power cut may take the last commits, never the database.
    Normal,
    /// Never: a power cut may take the database. For tests.
    Off,
}

impl Synchronous {
    pub(super) const fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
            Self::Off => "OFF",
        }
    }
}

/// Where the database is. It may hold a password, so it prints only its scheme.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The whole text, password included.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Where the SQLite database is; none when it names something else.
    #[must_use]
    pub fn sqlite_path(&self) -> Option<PathBuf> {
        match self.target() {
            Ok(Target::Sqlite(path)) => Some(path),
            _ => None,
        }
    }

    /// Which engine it names, and where.
    pub(super) fn target(&self) -> Result<Target> {
        let setup = |sentence: &str| Err(Error::Setup(sentence.to_owned()));
        if self.0.starts_with("postgres://") || self.0.starts_with("postgresql://") {
            return Ok(Target::Postgres(self.0.clone()));
        }
        match self.0.strip_prefix("sqlite:") {
            Some("" | ":memory:") => setup(
                "The database url must name a file, as in `sqlite:doorward-data/doorward.db`: \
                 a database in memory would be another one for each connection.",
            ),
            Some(path) => match path.strip_prefix("//") {
                Some(path) => Ok(Target::Sqlite(PathBuf::from(path))),
                None => Ok(Target::Sqlite(PathBuf::from(path))),
            },
            None => setup(
                "The database url must be `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`; \
                 it starts with neither `sqlite:` nor `postgres://`.",
            ),
        }
    }
}

impl From<&str> for DatabaseUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl From<String> for DatabaseUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once(':') {
            Some(("sqlite", path)) => write!(f, "sqlite:{path}"),
            Some((scheme, _)) => write!(f, "{scheme}:***"),
            None => f.write_str("***"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The engine that a url names.
pub(super) enum Target {
    Postgres(String),
    Sqlite(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(url: &str) -> String {
        match DatabaseUrl::from(url).target() {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        }
    }

    #[test]
    fn a_url_of_another_kind_is_refused_with_a_sentence() {
        for url in ["", "mysql://h/d", "doorward.db", "/var/lib/x.db", "SQLITE:x"] {
            assert!(sentence(url).contains("must be `sqlite:PATH` or `postgres://"), "{url}");
        }
        for url in ["sqlite:", "sqlite::memory:"] {
            assert!(sentence(url).contains("must name a file"), "{url}");
        }
    }

    #[test]
    fn a_url_that_is_missing_is_told_by_the_name_of_its_setting() {
        let problems = |url: &str| Settings { url: url.into(), ..Settings::default() }.problems();
        assert_eq!(problems("sqlite:x.db"), Vec::<String>::new());
        assert!(problems("").join("").starts_with("database.url is not set"), "{:?}", problems(""));
    }

    #[test]
    fn a_password_is_never_printed() {
        let settings = Settings { url: "postgres://u:hunter2@db.internal/d".into(), ..Settings::default() };
        let text = format!("{settings:?} {}", settings.url);
        assert!(!text.contains("hunter2") && !text.contains("db.internal"), "{text}");
    }
}
