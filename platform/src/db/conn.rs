//! `DbConn`: the one connection type, over either engine.
//!
//! A query is turned into text and binds first (`collected.rs`); the rest is compiled once and not for each query.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::connection::{CacheSize, Instrumentation};
use diesel::query_builder::{AsQuery, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::{ConnectionError, ConnectionResult, QueryResult};
use diesel_async::pooled_connection::PoolableConnection as _;
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncConnectionCore, AsyncPgConnection, SimpleAsyncConnection,
    TransactionManager as _,
};
use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};

use super::collected::Collected;
use super::dialect::Db;
use super::error::{Error, Result};
use super::group::{Group, Membership};
use super::rows::DbRow;
use super::sqlite::SqliteLink;

/// A connection to the database, to which every query of every store goes.
pub struct DbConn {
    dialect: Db,
    link: Link,
    /// PostgreSQL's own connection keeps this by itself.
    transactions: AnsiTransactionManager,
    instrumentation: Option<Box<dyn Instrumentation>>,
    health: Arc<Health>,
    published: bool,
    /// What each transaction says first.
    deadlines: Option<String>,
}

/// What the answers so far tell. Shared with the rows that are still being read.
#[derive(Default)]
struct Health {
    /// A statement failed in the open transaction.
    failed: AtomicBool,
    /// The server ended the connection; the connection itself may notice only later.
    gone: AtomicBool,
}

impl Health {
    fn watch<T>(&self, result: QueryResult<T>) -> QueryResult<T> {
        if let Err(error) = &result {
            self.failed.store(true, Ordering::Relaxed);
            if Error::ends_connection(error) {
                self.gone.store(true, Ordering::Relaxed);
            }
        }
        result
    }
}

enum Link {
    Postgres(Box<AsyncPgConnection>),
    Sqlite(SqliteLink),
    Closed,
}

type Rows = BoxStream<'static, QueryResult<DbRow>>;

impl DbConn {
    pub(super) fn postgres(connection: AsyncPgConnection, deadlines: Option<String>) -> Self {
        Self { deadlines, ..Self::new(Db::Postgres, Link::Postgres(Box::new(connection))) }
    }

    pub(super) fn sqlite(link: SqliteLink) -> Self {
        Self::new(Db::Sqlite, Link::Sqlite(link))
    }

    fn new(dialect: Db, link: Link) -> Self {
        Self {
            dialect,
            link,
            transactions: AnsiTransactionManager::default(),
            instrumentation: None,
            health: Arc::default(),
            published: false,
            deadlines: None,
        }
    }

    /// Says the deadlines at the begin of a transaction, where the connection could not be told once for all.
    pub(super) async fn set_deadlines(&mut self) -> Result<()> {
        let Some(deadlines) = self.deadlines.clone() else { return Ok(()) };
        let depth = AnsiTransactionManager::transaction_manager_status_mut(self).transaction_depth();
        if depth.is_ok_and(|depth| depth.is_some_and(|depth| depth.get() == 1)) {
            self.batch(&deadlines).await?;
        }
        Ok(())
    }

    /// The engine at the other end.
    #[must_use]
    pub fn dialect(&self) -> Db {
        self.dialect
    }

    /// Runs SQL that takes no binds; several statements are separated by semicolons.
    ///
    /// # Errors
    /// Those of the first statement that fails; the ones before it are done.
    pub async fn batch(&mut self, sql: &str) -> Result<()> {
        Ok(self.batch_execute(sql).await?)
    }

    /// Notes that the open transaction publishes something: the relay is woken once it is committed.
    pub fn mark_published(&mut self) {
        self.published = true;
    }

    /// Whether something was published since this was asked last.
    pub(super) fn take_published(&mut self) -> bool {
        std::mem::take(&mut self.published)
    }

    /// Waits until this connection is notified of something, after a `LISTEN`; false when it ended, and where there is no
    /// such thing.
    pub(super) async fn notified(&mut self) -> Result<bool> {
        match &mut self.link {
            Link::Postgres(connection) => {
                let next = std::pin::pin!(connection.notifications_stream()).next().await;
                Ok(next.transpose()?.is_some())
            }
            Link::Sqlite(_) | Link::Closed => Ok(false),
        }
    }

    /// Sets whether a statement failed, and tells whether one had failed before.
    pub(super) fn set_failed(&mut self, failed: bool) -> bool {
        self.health.failed.swap(failed, Ordering::Relaxed)
    }

    /// Whether nobody may use this connection again: it is gone, or a transaction was left open in it.
    pub(super) fn is_broken(&mut self) -> bool {
        let gone = match &mut self.link {
            Link::Postgres(connection) => connection.is_broken(),
            Link::Sqlite(link) => link.is_lost(),
            Link::Closed => true,
        };
        gone || self.health.gone.load(Ordering::Relaxed)
            || AnsiTransactionManager::is_broken_transaction_manager(self)
    }

    /// Joins the group of transactions that is open on this SQLite connection; begins one when there is none.
    pub(super) async fn join_group(&mut self) -> Result<Membership> {
        let Link::Sqlite(link) = &mut self.link else { return Err(closed().into()) };
        let joined = link.join_group().await;
        Ok(self.health.watch(joined)?)
    }

    /// Whether a group is open, and no more transactions should join it.
    pub(super) fn has_full_group(&self) -> bool {
        matches!(&self.link, Link::Sqlite(link) if link.group().is_some_and(Group::is_full))
    }

    /// Whether a group is open.
    pub(super) fn has_group(&self) -> bool {
        matches!(&self.link, Link::Sqlite(link) if link.group().is_some())
    }

    /// Commits the open group, if there is one; its members hear what became of it.
    pub(super) async fn end_group(&mut self) {
        if let Link::Sqlite(link) = &mut self.link
            && link.end_group().await.is_err()
        {
            self.close();
        }
    }

    /// The same on this thread, for one who can't wait.
    pub(super) fn end_group_here(&mut self) {
        if let Link::Sqlite(link) = &mut self.link
            && link.end_group_here().is_err()
        {
            self.close();
        }
    }

    /// Undoes the innermost transaction without waiting; false where that can't be done.
    pub(super) fn undo_here(&mut self) -> bool {
        let undone = self.has_group().then(|| {
            AnsiTransactionManager::rollback_transaction(self).now_or_never().is_some_and(|it| it.is_ok())
        });
        undone.unwrap_or(false)
    }

    /// Closes the connection at once; what was open is rolled back.
    pub(super) fn close(&mut self) {
        self.link = Link::Closed;
    }

    fn load_collected(&mut self, query: QueryResult<Collected>) -> BoxFuture<'_, QueryResult<Rows>> {
        let query = match query {
            Ok(query) => query,
            Err(error) => return future::ready(Err(error)).boxed(),
        };
        let health = Arc::clone(&self.health);
        match &mut self.link {
            Link::Postgres(connection) => {
                let rows = connection.load(query);
                async move {
                    let rows = health.watch(rows.await)?;
                    Ok(rows.map(move |row| health.watch(row).map(DbRow::Postgres)).boxed())
                }
                .boxed()
            }
            Link::Sqlite(link) => async move {
                let rows = health.watch(link.load(query).await)?;
                Ok(stream::iter(rows).map(|row| row.map(DbRow::Sqlite)).boxed())
            }
            .boxed(),
            Link::Closed => future::ready(Err(closed())).boxed(),
        }
    }

    fn execute_collected(&mut self, query: QueryResult<Collected>) -> BoxFuture<'_, QueryResult<usize>> {
        let query = match query {
            Ok(query) => query,
            Err(error) => return future::ready(Err(error)).boxed(),
        };
        let health = Arc::clone(&self.health);
        match &mut self.link {
            Link::Postgres(connection) => {
                let count = connection.execute_returning_count(query);
                async move { health.watch(count.await) }.boxed()
            }
            Link::Sqlite(link) => async move { health.watch(link.execute(query).await) }.boxed(),
            Link::Closed => future::ready(Err(closed())).boxed(),
        }
    }
}

fn closed() -> DieselError {
    DieselError::DatabaseError(
        DatabaseErrorKind::ClosedConnection,
        Box::new("the connection is closed".to_owned()),
    )
}

impl SimpleAsyncConnection for DbConn {
    async fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        let result = match &mut self.link {
            Link::Postgres(connection) => connection.batch_execute(sql).await,
            Link::Sqlite(link) => link.batch_execute(sql).await,
            Link::Closed => Err(closed()),
        };
        self.health.watch(result)
    }
}

impl AsyncConnectionCore for DbConn {
    type ExecuteFuture<'conn, 'query> = BoxFuture<'conn, QueryResult<usize>>;
    type LoadFuture<'conn, 'query> = BoxFuture<'conn, QueryResult<Rows>>;
    type Stream<'conn, 'query> = Rows;
    type Row<'conn, 'query> = DbRow;
    type Backend = Db;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> Self::LoadFuture<'conn, 'query>
    where
        T: AsQuery + 'query,
        T::Query: QueryFragment<Db> + QueryId + 'query,
    {
        let query = Collected::new(&source.as_query(), self.dialect);
        self.load_collected(query)
    }

    fn execute_returning_count<'conn, 'query, T>(
        &'conn mut self,
        source: T,
    ) -> Self::ExecuteFuture<'conn, 'query>
    where
        T: QueryFragment<Db> + QueryId + 'query,
    {
        let query = Collected::new(&source, self.dialect);
        self.execute_collected(query)
    }
}

impl AsyncConnection for DbConn {
    type TransactionManager = AnsiTransactionManager;

    /// Not a way in: connections come from [`super::Database`], which sets them up.
    async fn establish(_url: &str) -> ConnectionResult<Self> {
        Err(ConnectionError::BadConnection("connections come from Database".to_owned()))
    }

    fn transaction_state(&mut self) -> &mut AnsiTransactionManager {
        match &mut self.link {
            Link::Postgres(connection) => connection.transaction_state(),
            Link::Sqlite(_) | Link::Closed => &mut self.transactions,
        }
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        &mut self.instrumentation
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.instrumentation = Some(Box::new(instrumentation));
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        if let Link::Postgres(connection) = &mut self.link {
            connection.set_prepared_statement_cache_size(size);
        }
    }
}

impl std::fmt::Debug for DbConn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DbConn").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}
