//! `Database`: hands out connections, runs transactions, and tells the relay when one has published something.
//!
//! SQLite gets one writer and several readers that refuse to write; waiting for the writer happens here, fairly and
//! without a busy loop, and those who wait share a commit (`group.rs`). PostgreSQL gets one pool, used for both.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, Timeouts};
use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::conn::DbConn;
use super::dialect::Db;
use super::error::{Error, Result};
use super::listen::{Listener, tell_others};
use super::postgres::Connector;
use super::settings::{Settings, Target};
use super::sqlite::{Purpose, SqliteLink, create_file};
use super::transaction::Work;

/// A database. Cloning gives the same one.
#[derive(Clone)]
pub struct Database {
    dialect: Db,
    writers: Pool<Source>,
    readers: Pool<Source>,
    published: Arc<Notify>,
    /// Whether somebody in this process waits for what is published, so that others need not be told.
    waited_for: Arc<AtomicBool>,
    listener: Option<Listener>,
}

impl Database {
    /// Gets ready to use a database; connections are made when they are first needed. The runtime that calls this
    /// drives the network connections, so it must be the one that lives longest.
    ///
    /// A missing SQLite file and its folder are made. Nothing is migrated: see [`Database::migrate`].
    ///
    /// # Errors
    /// [`Error::Setup`] when the settings name no database that can be used.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let mut listener = None;
        let (dialect, writers, readers) = match settings.url.target()? {
            Target::Postgres(url) => {
                let connector = Connector::new(&url, settings)?;
                if !settings.transaction_pooling {
                    listener = Some((Box::new(connector.clone()), Handle::current()));
                }
                let source = Source::Postgres {
                    connector: Box::new(connector),
                    runtime: Handle::current(),
                    idle: Duration::from_secs(settings.idle_timeout_seconds),
                    lifetime: Duration::from_secs(settings.max_lifetime_seconds),
                };
                let pool = pool(source, settings.max_connections, settings)?;
                (Db::Postgres, pool.clone(), pool)
            }
            Target::Sqlite(path) => {
                create_file(&path)?;
                let source = |purpose| Source::sqlite(&path, settings, purpose);
                let writers = pool(source(Purpose::Write), 1, settings)?;
                (Db::Sqlite, writers, pool(source(Purpose::Read), settings.max_connections, settings)?)
            }
        };
        let (published, waited_for) = (Arc::default(), Arc::default());
        Ok(Self { dialect, writers, readers, published, waited_for, listener })
    }

    /// The engine.
    #[must_use]
    pub fn dialect(&self) -> Db {
        self.dialect
    }

    /// A connection for reading. On SQLite it refuses to write.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when none is free or can be made in time.
    pub async fn read(&self) -> Result<Conn> {
        take(&self.readers).await
    }

    /// A connection for a statement that is its own transaction. Mostly, [`Database::transaction`] is wanted.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when none is free or can be made in time.
    pub async fn write(&self) -> Result<Conn> {
        let turn = Turn::wait(self);
        let mut connection = take(&self.writers).await?;
        connection.end_group().await;
        turn.over();
        Ok(connection)
    }

    /// Asks whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<()> {
        self.read().await?.batch("SELECT 1").await
    }

    /// Runs the work in a transaction; after the commit, wakes the relay when something was published in it.
    ///
    /// # Errors
    /// Those of [`DbConn::transaction`] and of [`Database::write`].
    #[expect(clippy::manual_async_fn, reason = "`Send` is proven here, once, and not by every caller")]
    pub fn transaction<'a, 'db, F, R, E>(
        &'db self,
        work: F,
    ) -> impl Future<Output = Result<R, E>> + Send + 'db
    where
        for<'r> F: AsyncFnOnce(&'r mut DbConn) -> Result<R, E>
            + Work<&'r mut DbConn, Result<R, E>, Future: Send>
            + Send
            + 'a,
        E: From<Error> + Send + 'a,
        R: Send + 'a,
        'a: 'db,
    {
        async move {
            let turn = Turn::wait(self);
            let mut connection = take(&self.writers).await?;
            let group = match self.dialect {
                Db::Sqlite => Some(connection.join_group().await?),
                Db::Postgres => None,
            };
            connection.take_published();
            let result = connection.transaction(work).await;
            let published = connection.take_published();
            if let Some(group) = group {
                self.hand_over(connection).await;
                turn.over();
                // Also a refusal waits: it may be because of something that is not committed yet.
                let ended = group.ended().await;
                if result.is_ok() {
                    ended?;
                }
            } else if published && result.is_ok() && !self.waited_for.load(Ordering::Relaxed) {
                tell_others(&mut connection).await;
            }
            if published && result.is_ok() {
                self.wake_relay();
            }
            result
        }
    }

    /// How the pools of connections are used at this moment.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolUse> {
        match self.dialect {
            Db::Postgres => vec![PoolUse::of("all", &self.writers)],
            Db::Sqlite => vec![PoolUse::of("write", &self.writers), PoolUse::of("read", &self.readers)],
        }
    }

    /// How many wait for a connection to write with.
    #[must_use]
    pub fn waiting_writers(&self) -> usize {
        self.writers.status().waiting
    }

    /// Leaves the commit to the next one who waits for the writer, or commits when nobody does.
    async fn hand_over(&self, mut connection: Conn) {
        while connection.has_group() {
            if connection.has_full_group() || self.waiting_writers() == 0 {
                return connection.end_group().await;
            }
            drop(connection);
            // Who waited may have given up meanwhile.
            match self.take_if_free() {
                Some(again) => connection = again,
                None => return,
            }
        }
    }

    /// The writer, when nobody has it and nobody waits for it.
    fn take_if_free(&self) -> Option<Conn> {
        let at_once = Timeouts { wait: Some(Duration::ZERO), ..Timeouts::default() };
        self.writers.timeout_get(&at_once).now_or_never()?.ok().map(Conn)
    }

    /// Empties the log of what was written, after personal data was removed for good: SQLite keeps old pages in it until
    /// it is written over. As much of it as no reader still needs; the rest is for the next time. PostgreSQL does it by
    /// itself, in its own time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn truncate_log(&self) -> Result<()> {
        match self.dialect {
            Db::Sqlite => self.write().await?.batch("PRAGMA wal_checkpoint(TRUNCATE)").await,
            Db::Postgres => Ok(()),
        }
    }

    /// Waits until a transaction of this process that published something is committed. A commit while nobody waits
    /// is remembered for the next one who does.
    pub async fn wait_published(&self) {
        self.waited_for.store(true, Ordering::Relaxed);
        self.published.notified().await;
    }

    /// Lets the relay look.
    pub(super) fn wake_relay(&self) {
        self.published.notify_one();
    }

    /// What it takes to hear others.
    pub(super) fn listener(&self) -> Option<Listener> {
        self.listener.clone()
    }

    /// Ends the use of this database: connections are closed as they come back, and new ones are refused.
    pub fn close(&self) {
        self.writers.close();
        self.readers.close();
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

/// How a pool of connections is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// What the connections are for: `all` on PostgreSQL, `write` or `read` on SQLite.
    pub pool: &'static str,
    /// Connections on loan.
    pub in_use: usize,
    /// Connections that nobody uses.
    pub idle: usize,
    /// How many wait for one.
    pub waiting: usize,
}

impl PoolUse {
    fn of(name: &'static str, pool: &Pool<Source>) -> Self {
        let status = pool.status();
        let in_use = status.size.saturating_sub(status.available);
        Self { pool: name, in_use, idle: status.available, waiting: status.waiting }
    }
}

/// Somebody's turn with SQLite's writer, from the moment on that others may rely on it to commit what they have done.
/// Given up before its end, it looks whether anybody is left to do that.
struct Turn<'db>(Option<&'db Database>);

impl<'db> Turn<'db> {
    fn wait(db: &'db Database) -> Self {
        Self((db.dialect == Db::Sqlite).then_some(db))
    }

    fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(mut connection) = self.0.and_then(Database::take_if_free) {
            connection.end_group_here();
        }
    }
}

/// A connection on loan; dropping it gives it back.
#[derive(Debug)]
pub struct Conn(Object<Source>);

impl Deref for Conn {
    type Target = DbConn;

    fn deref(&self) -> &DbConn {
        &self.0
    }
}

impl DerefMut for Conn {
    fn deref_mut(&mut self) -> &mut DbConn {
        &mut self.0
    }
}

impl Drop for Conn {
    /// A connection with an open transaction holds locks: it is closed now and not when the pool next looks at it.
    fn drop(&mut self) {
        if self.0.is_broken() {
            self.0.close();
        }
    }
}

/// How a pool makes its connections.
enum Source {
    Postgres { connector: Box<Connector>, runtime: Handle, idle: Duration, lifetime: Duration },
    Sqlite { path: PathBuf, settings: Box<Settings>, purpose: Purpose },
}

impl Source {
    fn sqlite(path: &Path, settings: &Settings, purpose: Purpose) -> Self {
        Self::Sqlite { path: path.to_owned(), settings: Box::new(settings.clone()), purpose }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

impl Manager for Source {
    type Type = DbConn;
    type Error = Error;

    async fn create(&self) -> Result<DbConn> {
        match self {
            Self::Postgres { connector, runtime, .. } => {
                // A connection lives on the runtime that makes it, and those that serve HTTP end before the rest. When
                // nobody waits for it any more, neither does the task.
                let connector = connector.clone();
                let made = AbortOnDropHandle::new(runtime.spawn(async move { connector.connect().await }));
                made.await.unwrap_or_else(|_| Err(Error::Unavailable("it is stopping".into())))
            }
            Self::Sqlite { path, settings, purpose } => {
                Ok(DbConn::sqlite(SqliteLink::open(path, settings, *purpose).await?))
            }
        }
    }

    /// No question to the server: a PostgreSQL connection knows that it is closed, a broken one is never lent again.
    async fn recycle(&self, connection: &mut DbConn, metrics: &Metrics) -> RecycleResult<Error> {
        if connection.is_broken() {
            return Err(RecycleError::message("broken"));
        }
        match self {
            Self::Postgres { idle, lifetime, .. }
                if metrics.last_used() > *idle || metrics.age() > *lifetime =>
            {
                Err(RecycleError::message("old"))
            }
            _ => Ok(()),
        }
    }
}

/// What a pool waits beyond the connection's own deadline, which knows what was asked in vain and so goes first.
const GRACE: Duration = Duration::from_millis(500);

fn pool(source: Source, size: usize, settings: &Settings) -> Result<Pool<Source>> {
    Pool::builder(source)
        .max_size(size.max(1))
        .wait_timeout(Some(settings.acquire_timeout()))
        .create_timeout(Some(settings.connect_timeout() + GRACE))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| Error::Setup(format!("The pool of database connections can't be made: {error}.")))
}

async fn take(pool: &Pool<Source>) -> Result<Conn> {
    pool.get().await.map(Conn).map_err(|error| match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(deadpool::managed::TimeoutType::Wait) => {
            Error::Unavailable("every connection is in use".into())
        }
        PoolError::Timeout(_) => Error::Unavailable("no connection could be made in time".into()),
        PoolError::Closed => Error::Unavailable("it is closed".into()),
        PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
            Error::Unavailable("the pool does not work".into())
        }
    })
}
