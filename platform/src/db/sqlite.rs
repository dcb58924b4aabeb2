//! SQLite: one connection as an async thing, and how a file is opened for a server.
//!
//! What may wait (for the disk, or for another process) or take long runs on a blocking thread, which takes the
//! connection along and brings it back. When the caller goes away meanwhile, the connection does not come back: it is
//! closed over there, which rolls back what was open, and nobody waits for it. (diesel-async's own wrapper waits, and
//! panics on the single-threaded runtimes that serve HTTP.)
//!
//! Inside of a group of transactions the lock is held already and nothing is synced before the commit, so a statement
//! runs where it is asked: it takes a few microseconds, and the way to another thread and back ten times as long.
//! `docs/decisions/0019-group-commit.md` tells what was measured.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::{LoadConnection as _, SimpleConnection as _};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::row::IntoOwnedRow;
use diesel::sqlite::Sqlite;
use diesel::{Connection as _, QueryResult, SqliteConnection};
use tokio::task::coop::consume_budget;
use tokio::task::{JoinHandle, spawn_blocking};

use super::collected::Collected;
use super::error::{Error, Result};
use super::group::{Group, Membership};
use super::rows::{BorrowedSqliteRow, SqliteRow};
use super::settings::Settings;

/// What a connection is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Write,
    Read,
    /// Foreign keys are not enforced while tables are rebuilt; the migrator checks them before it commits.
    Migrate,
    /// A file that is looked through and not changed, not even in how it keeps its journal.
    Inspect,
}

/// A SQLite connection that is at home between statements.
pub(super) struct SqliteLink {
    home: Option<SqliteConnection>,
    /// The transactions that will be committed together; none outside of them.
    group: Option<Group>,
    read_only: bool,
}

impl SqliteLink {
    /// Opens the file and sets it up for the purpose.
    pub(super) async fn open(path: &Path, settings: &Settings, purpose: Purpose) -> Result<Self> {
        let Some(path) = path.to_str().map(str::to_owned) else {
            return Err(Error::Setup("The path of the SQLite database must be UTF-8.".to_owned()));
        };
        let (pragmas, patience) =
            (pragmas(settings, purpose), Duration::from_millis(settings.lock_timeout_ms));
        let opened = on_blocking_thread(move || {
            let mut connection = SqliteConnection::establish(&path).map_err(|_| could_not_open())?;
            set_up(&mut connection, &pragmas, patience)?;
            Ok(connection)
        });
        let connection = opened.await.unwrap_or_else(|_| Err(could_not_open()))?;
        let read_only = matches!(purpose, Purpose::Read | Purpose::Inspect);
        Ok(Self { home: Some(connection), group: None, read_only })
    }

    /// Whether a statement took the connection away and did not bring it back.
    pub(super) fn is_lost(&self) -> bool {
        self.home.is_none()
    }

    /// Joins the open group; begins one when there is none.
    pub(super) async fn join_group(&mut self) -> QueryResult<Membership> {
        if self.group.is_none() {
            self.batch_execute("BEGIN").await?;
        }
        Ok(self.group.get_or_insert_with(Group::new).join())
    }

    pub(super) fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// Commits the open group, if there is one. It happens, and its members hear of it, also when the caller goes away.
    ///
    /// # Errors
    /// When this connection should be closed.
    pub(super) async fn end_group(&mut self) -> QueryResult<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        self.visit(move |connection| commit(connection, group)).await
    }

    /// The same on this thread, for one who can't wait.
    ///
    /// # Errors
    /// When this connection should be closed.
    pub(super) fn end_group_here(&mut self) -> QueryResult<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        commit(self.home.as_mut().ok_or_else(lost)?, group)
    }

    pub(super) async fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        let sql = self.spelled(sql).to_owned();
        self.visit(move |connection| connection.batch_execute(&sql)).await
    }

    /// A transaction of a group is a savepoint. Any other that writes takes the lock when it begins: taking it later,
    /// after others wrote, always fails.
    fn spelled<'s>(&self, sql: &'s str) -> &'s str {
        match (sql, self.group.is_some()) {
            ("BEGIN", true) => "SAVEPOINT member",
            ("COMMIT", true) => "RELEASE member",
            ("ROLLBACK", true) => "ROLLBACK TO member; RELEASE member",
            ("BEGIN", false) if !self.read_only => "BEGIN IMMEDIATE",
            _ => sql,
        }
    }

    pub(super) async fn execute(&mut self, query: Collected) -> QueryResult<usize> {
        self.give_way().await;
        self.visit(move |connection| connection.execute_returning_count(&query)).await
    }

    pub(super) async fn load(&mut self, query: Collected) -> QueryResult<Vec<QueryResult<SqliteRow>>> {
        self.give_way().await;
        self.visit(move |connection| {
            let mut columns = <BorrowedSqliteRow<'_, '_> as IntoOwnedRow<'_, Sqlite>>::Cache::default();
            let mut rows = Vec::new();
            for row in connection.load(query)? {
                rows.push(Ok(row?.into_owned(&mut columns)));
            }
            Ok(rows)
        })
        .await
    }

    /// After each hundred statements or so that run here, whoever else is on this thread gets his turn.
    async fn give_way(&mut self) {
        if self.group.is_some() {
            consume_budget().await;
        }
    }

    async fn visit<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<R> + Send + 'static,
    ) -> QueryResult<R> {
        let mut connection = self.home.take().ok_or_else(lost)?;
        if self.group.is_some() {
            let result = work(&mut connection);
            self.home = Some(connection);
            return result;
        }
        let visit = on_blocking_thread(move || {
            let result = work(&mut connection);
            (connection, result)
        });
        let (connection, result) = visit.await.map_err(|_| lost())?;
        self.home = Some(connection);
        result
    }
}

/// Commits, and tells the members of the group. What remains of a failed commit is rolled back by closing the connection.
fn commit(connection: &mut SqliteConnection, group: Group) -> QueryResult<()> {
    let result = connection.batch_execute("COMMIT");
    let refused = result.as_ref().err().map(|_| lost());
    group.end(result.map_err(Error::from));
    refused.map_or(Ok(()), Err)
}

/// The pool above bounds how many of these there are: one for each connection.
#[expect(clippy::disallowed_methods, reason = "the number of connections bounds it")]
fn on_blocking_thread<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    spawn_blocking(work)
}

fn lost() -> DieselError {
    DieselError::DatabaseError(
        DatabaseErrorKind::ClosedConnection,
        Box::new("the connection was lost in the middle of a statement".to_owned()),
    )
}

fn could_not_open() -> Error {
    Error::Unavailable("the SQLite file can't be opened".into())
}

/// Several that switch a new file to WAL at once are told that it is busy without any wait, whatever the busy timeout
/// says, because waiting for each other could never end. So the waiting is done here.
fn set_up(connection: &mut SqliteConnection, pragmas: &str, patience: Duration) -> Result<()> {
    let started = Instant::now();
    loop {
        match connection.batch_execute(pragmas).map_err(Error::from) {
            Err(Error::Timeout(_)) if started.elapsed() < patience => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
}

/// Between two tries to set up a connection.
const PAUSE: Duration = Duration::from_millis(5);

/// What is deleted is overwritten with zeros, because it may be somebody's personal data.
///
/// The busy timeout comes first, because changing the journal mode takes a lock already.
fn pragmas(settings: &Settings, purpose: Purpose) -> String {
    let Settings { lock_timeout_ms, .. } = settings;
    if purpose == Purpose::Inspect {
        return format!("PRAGMA busy_timeout = {lock_timeout_ms}; PRAGMA query_only = ON;");
    }
    let synchronous = settings.synchronous.pragma();
    let purpose = match purpose {
        Purpose::Write => "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;",
        Purpose::Read | Purpose::Inspect => "PRAGMA foreign_keys = ON; PRAGMA query_only = ON;",
        Purpose::Migrate => {
            "PRAGMA foreign_keys = OFF; PRAGMA secure_delete = ON; PRAGMA busy_timeout = 60000;"
        }
    };
    format!(
        "PRAGMA busy_timeout = {lock_timeout_ms}; PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; \
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000; PRAGMA mmap_size = 268435456; \
         PRAGMA journal_size_limit = 67108864; {purpose}"
    )
}

/// Makes the file and its folder when they are missing, for this user's eyes only.
pub(super) fn create_file(path: &Path) -> Result<()> {
    let refuse = |what: &str, error: std::io::Error| {
        Error::Setup(format!(
            "The {what} of the SQLite database `{}` can't be made: {error}.",
            path.display()
        ))
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|error| refuse("folder", error))?;
    }
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| refuse("file", error))
}
