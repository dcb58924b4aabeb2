//! Transactions: all of it or nothing, also when the caller goes away in the middle.
//!
//! The closure's future must be `Send`, so that transactions work in the methods of `async_trait`s. Rust has no
//! stable way to say that of an `async` closure; [`Work`] says it in a way that still infers the closure's types.

use diesel::result::Error as DieselError;
use diesel_async::{AnsiTransactionManager, TransactionManager as _};

use super::conn::DbConn;
use super::error::{Error, Result};

/// An `async` closure whose future has a name, so that a bound can be put on it. Every `async` closure is one.
pub trait Work<T, R>: AsyncFnOnce(T) -> R + FnOnce(T) -> <Self as Work<T, R>>::Future {
    /// What calling the closure gives.
    type Future: Future<Output = R>;
}

impl<F, T, R, Fut> Work<T, R> for F
where
    F: AsyncFnOnce(T) -> R + FnOnce(T) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}

impl DbConn {
    /// Runs the work in a transaction; inside of another one, behind a savepoint. Commits when it succeeds, rolls
    /// back when it fails.
    ///
    /// When the returned future is dropped midway, nothing is committed, and the connection is closed unless what was
    /// done can be undone at once.
    ///
    /// # Errors
    /// The work's own; those of beginning and committing; and [`Error::Other`] when a statement failed and the work
    /// overlooked it: PostgreSQL would silently roll back there, and so both engines refuse. To go on after a
    /// failure, put the statement behind a savepoint, that is, a transaction inside. When the connection breaks
    /// during the commit, nobody knows whether it happened; the error is then [`Error::Unavailable`].
    #[expect(clippy::manual_async_fn, reason = "`Send` is proven here, once, and not by every caller")]
    pub fn transaction<'a, 'conn, F, R, E>(
        &'conn mut self,
        work: F,
    ) -> impl Future<Output = Result<R, E>> + Send + 'conn
    where
        for<'r> F: AsyncFnOnce(&'r mut DbConn) -> Result<R, E>
            + Work<&'r mut DbConn, Result<R, E>, Future: Send>
            + Send
            + 'a,
        E: From<Error> + Send + 'a,
        R: Send + 'a,
        'a: 'conn,
    {
        async move {
            let work = work;
            let failed_before = self.set_failed(false);
            let mut open = Open { connection: self, ended: false };
            let begun = AnsiTransactionManager::begin_transaction(open.connection).await;
            begun.map_err(|error| open.not_begun(error))?;
            open.connection.set_deadlines().await?;
            let result = match work(&mut *open.connection).await {
                Ok(value) => open.commit().await.map(|()| value).map_err(E::from),
                Err(error) => {
                    open.roll_back().await;
                    Err(error)
                }
            };
            open.connection.set_failed(failed_before);
            result
        }
    }
}

fn overlooked() -> Error {
    let sentence = "a statement failed in this transaction, and the work went on as if it had not";
    Error::Other(DieselError::QueryBuilderError(sentence.into()))
}

/// A transaction that is under way. Dropped before its end, it is rolled back, by closing the connection if need be.
struct Open<'conn> {
    connection: &'conn mut DbConn,
    ended: bool,
}

impl Open<'_> {
    fn not_begun(&mut self, error: DieselError) -> Error {
        self.ended = true;
        error.into()
    }

    async fn commit(&mut self) -> Result<()> {
        if self.connection.set_failed(false) {
            self.roll_back().await;
            return Err(overlooked());
        }
        // After a failed commit the engines differ in whether the transaction is still open: not `ended`.
        AnsiTransactionManager::commit_transaction(self.connection).await?;
        self.ended = true;
        Ok(())
    }

    /// When rolling back fails, closing does it.
    async fn roll_back(&mut self) {
        self.ended = AnsiTransactionManager::rollback_transaction(self.connection).await.is_ok();
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.ended && !self.connection.undo_here() {
            self.connection.close();
        }
    }
}
