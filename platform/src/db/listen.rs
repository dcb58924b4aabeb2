//! Hearing at once that another process has published something into a shared PostgreSQL.
//!
//! A process that commits an event wakes its own relay, so only one without a relay, such as a command, has to tell the
//! others. It does so after its commit and in a statement of its own: PostgreSQL lets transactions that notify commit
//! only one after the other, in the whole server, each with its own wait for the disk. Whoever misses a notification, because
//! the connection was gone or a pooler is in between, finds the event by looking regularly.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::conn::DbConn;
use super::database::Database;
use super::error::{Error, Result};
use super::postgres::Connector;

/// What is notified and listened to.
const CHANNEL: &str = "doorward_outbox";

/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(5);

/// How long a connection may be silent before it is asked whether it is still there, and how long it may take to answer.
const SILENCE: Duration = Duration::from_secs(30);

impl Database {
    /// Wakes the relay of this process when another process says that it has published something; until it is told to
    /// stop. Where that can't be heard there is nothing to do: SQLite, and PostgreSQL behind a pooler of transactions.
    pub async fn hear_others(&self, stop: CancellationToken) {
        let Some((connector, runtime)) = self.listener() else { return stop.cancelled().await };
        let mut failed = false;
        while !stop.is_cancelled() {
            // A connection lives on the runtime that makes it, which must be the one that lives longest.
            let connector = connector.clone();
            let made = AbortOnDropHandle::new(runtime.spawn(async move { connector.connect().await }));
            let heard = async {
                let connection = made.await.map_err(|_| Error::Unavailable("it is stopping".into()))??;
                self.hear(connection, &mut failed).await
            };
            let error = tokio::select! {
                () = stop.cancelled() => return,
                heard = heard => heard.err(),
            };
            if !failed {
                failed = true;
                tracing::warn!(
                    error = error.as_ref().map(tracing::field::display),
                    "What other processes publish can't be heard at once; it is found by looking."
                );
            }
            let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
        }
    }

    async fn hear(&self, mut connection: DbConn, failed: &mut bool) -> Result<()> {
        connection.batch(&format!("LISTEN {CHANNEL}")).await?;
        *failed = false;
        // Whatever was published while nobody listened.
        self.wake_relay();
        loop {
            match tokio::time::timeout(SILENCE, connection.notified()).await {
                Ok(Ok(true)) => self.wake_relay(),
                Ok(ended) => return ended.map(drop),
                Err(_) => {
                    let asked = tokio::time::timeout(SILENCE, connection.batch("SELECT 1")).await;
                    asked.map_err(|_| Error::Unavailable("the connection is silent".into()))??;
                }
            }
        }
    }
}

/// Tells the processes that listen. Not being heard is no failure: they look by themselves.
pub(super) async fn tell_others(connection: &mut DbConn) {
    if let Err(error) = connection.batch(&format!("NOTIFY {CHANNEL}")).await {
        tracing::debug!(%error, "other processes were not told of an event");
    }
}

/// Whom to ask for a connection that listens, and on which runtime it lives.
pub(super) type Listener = (Box<Connector>, tokio::runtime::Handle);
