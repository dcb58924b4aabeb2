//! Whether the database answers, found out by one worker over a connection of its own.
//!
//! Readiness must not depend on whether requests leave a connection free: a busy second would take every replica out at
//! once. And it is asked by whoever likes, so it must not cost the database a statement each time.

use std::time::{Duration, Instant};

use contracts::Error;
use metrics::{describe_gauge, gauge};
use platform::db::{self, Database, PoolUse};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How often the database is asked when nobody wants to know.
const EVERY: Duration = Duration::from_secs(1);

/// What was found out counts for so long without asking again.
const FRESH: Duration = Duration::from_millis(250);

/// How long somebody who asks waits for the next answer. Load balancers give up after a second.
const PATIENCE: Duration = Duration::from_millis(500);

/// For how long the last answer counts while there is no newer one.
const TRUSTED: Duration = Duration::from_secs(3);

const CONNECTED: &str = "doorward_database_connected";
const CONNECTIONS: &str = "doorward_database_connections";
const WAITING: &str = "doorward_database_waiting";

/// Finds out whether the database answers.
pub(crate) struct Pulse {
    /// With a connection for this alone.
    own: Database,
    /// What requests use.
    shared: Database,
    asked: Notify,
    found: watch::Sender<Option<(Instant, Result<(), Error>)>>,
}

impl Pulse {
    /// Of the database that requests reach by `shared`.
    ///
    /// # Errors
    /// When the settings name no database that can be used.
    pub(crate) async fn new(settings: &db::Settings, shared: Database) -> db::Result<Self> {
        describe_gauge!(CONNECTED, "Whether the database answers: 1 or 0.");
        describe_gauge!(CONNECTIONS, "Connections to the database that requests use, by pool and state.");
        describe_gauge!(WAITING, "Who waits for a connection to the database, by pool.");
        let own = Database::open(&db::Settings { max_connections: 1, ..settings.clone() }).await?;
        Ok(Self { own, shared, asked: Notify::new(), found: watch::Sender::new(None) })
    }

    /// Asks whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        let mut next = self.found.subscribe();
        let is_fresh = next.borrow_and_update().as_ref().is_some_and(|(at, _)| at.elapsed() < FRESH);
        if !is_fresh {
            self.asked.notify_one();
            // When none comes, the last one says it.
            let _ = tokio::time::timeout(PATIENCE, next.changed()).await;
        }
        let last = self.found.borrow().clone();
        match last {
            Some((at, answer)) if at.elapsed() < TRUSTED => answer,
            _ => Err(db::Error::Unavailable("no answer in time".into()).into()),
        }
    }

    /// Asks again and again until it is told to stop.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.ask() => {}
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.asked.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn ask(&self) {
        self.shared.pools().iter().for_each(measure);
        let ping = self.own.ping();
        tokio::pin!(ping);
        // It is not given up: a new connection may take longer than anybody trusts the last answer.
        let answer = match tokio::time::timeout(TRUSTED, &mut ping).await {
            Ok(answer) => answer,
            Err(_) => {
                gauge!(CONNECTED).set(0.0);
                ping.await
            }
        };
        gauge!(CONNECTED).set(f64::from(u8::from(answer.is_ok())));
        self.found.send_replace(Some((Instant::now(), answer.map_err(Error::from))));
    }

    /// Ends the use of the connection.
    pub(crate) fn close(&self) {
        self.own.close();
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge; nobody has 2^53 connections")]
fn measure(pool: &PoolUse) {
    for (state, count) in [("in_use", pool.in_use), ("idle", pool.idle)] {
        gauge!(CONNECTIONS, "pool" => pool.pool, "state" => state).set(count as f64);
    }
    gauge!(WAITING, "pool" => pool.pool).set(pool.waiting as f64);
}
