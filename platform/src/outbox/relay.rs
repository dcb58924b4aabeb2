//! The relay: carries committed events from the outbox to the bus.
//!
//! It claims by status and lease, never by "id greater than the last one": a transaction that began earlier may commit
//! later, and its event would be skipped for ever. It marks an event done only after the bus has taken it, so a crash
//! in between hands it over twice, which subscribers are ready for.

use std::sync::Arc;
use std::time::Duration;

use contracts::{Error, Event, Kind, Time};
use futures_util::future::join_all;
use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;

use super::Settings;
use super::store::{self, Claimed};
use crate::bus::{Backoff, Bus, Gathering};
use crate::clock::Clock;
use crate::db::{self, Database, DbConn};

/// Carries committed events to the bus. Any number of relays may work on one database.
pub struct Relay {
    db: Database,
    bus: Arc<dyn Bus>,
    clock: Clock,
    settings: Settings,
    /// What is handed over here; everything without.
    types: Option<Vec<String>>,
}

/// An event and what became of handing it over.
type Settled<'a> = (&'a Claimed, Result<(), Error>);

impl Relay {
    /// A relay between this database and this bus.
    #[must_use]
    pub fn new(db: Database, bus: Arc<dyn Bus>, clock: Clock, settings: Settings) -> Self {
        Self { db, bus, clock, settings, types: None }
    }

    /// One for events of these types only: a service tells what its own modules tell, and seals that with its key, also
    /// while it shares a database with others.
    #[must_use]
    pub fn of(self, types: &[&str]) -> Self {
        Self { types: Some(types.iter().map(|it| (*it).to_owned()).collect()), ..self }
    }

    /// Works until it is told to stop, and then ends what it has begun.
    pub async fn run(&self, stop: CancellationToken) {
        let interval = Duration::from_millis(self.settings.poll_interval_ms);
        let mut measured = Time::MIN;
        let mut gathering = Gathering::default();
        while !stop.is_cancelled() {
            if self.clock.now().since(measured) >= interval {
                measured = self.clock.now();
                self.measure().await;
            }
            // What no bus takes at the moment stays unclaimed, and is due the moment one does.
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.bus.ready() => {}
                () = tokio::time::sleep(interval) => continue,
            }
            match self.run_once().await {
                Ok(0) => gathering.end(),
                Ok(count) => {
                    if count < self.settings.batch as usize {
                        gathering.wait(&stop).await;
                    }
                    continue;
                }
                Err(error) => tracing::warn!(%error, "the outbox can't be worked on; trying again"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.db.wait_published() => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    /// Hands one batch of due events over; tells how many were claimed.
    ///
    /// # Errors
    /// When the database does not answer. What the bus refuses is no error here: it is tried again later.
    pub async fn run_once(&self) -> db::Result<usize> {
        let now = self.clock.now();
        let types = self.types.as_deref();
        if !store::any_due(&mut *self.db.read().await?, types, now).await? {
            return Ok(0);
        }
        let lease_until = now.plus(Duration::from_millis(self.settings.lease_ms));
        let batch = i64::from(self.settings.batch);
        let claim = async |tx: &mut DbConn| store::claim(tx, types, now, lease_until, batch).await;
        let claimed = self.db.transaction(claim).await?;
        self.hand_over(&claimed, lease_until).await?;
        Ok(claimed.len())
    }

    async fn hand_over(&self, claimed: &[Claimed], lease_until: Time) -> db::Result<()> {
        let mut settled = Vec::with_capacity(claimed.len());
        let (mut events, mut readable) = (Vec::new(), Vec::new());
        for row in claimed {
            match row.event() {
                Ok(event) => {
                    events.push(event);
                    readable.push(row);
                }
                Err(error) => settled.push((row, Err(error))),
            }
        }
        settled.extend(readable.into_iter().zip(self.publish(&events).await));
        self.settle(&settled, lease_until).await
    }

    /// All together first; when that fails, each alone, so that one event the bus will never take holds up no other.
    async fn publish(&self, events: &[Event]) -> Vec<Result<(), Error>> {
        match self.publish_within_deadline(events).await {
            Ok(()) => vec![Ok(()); events.len()],
            Err(error) if events.len() == 1 => vec![Err(error)],
            Err(_) => join_all(events.chunks(1).map(|one| self.publish_within_deadline(one))).await,
        }
    }

    async fn publish_within_deadline(&self, events: &[Event]) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        let deadline = Duration::from_millis(self.settings.deadline_ms);
        tokio::time::timeout(deadline, self.bus.publish(events)).await.unwrap_or_else(|_| Err(too_late()))
    }

    async fn settle(&self, settled: &[Settled<'_>], lease_until: Time) -> db::Result<()> {
        let done: Vec<_> =
            settled.iter().filter(|(_, result)| result.is_ok()).map(|(row, _)| row.id).collect();
        counter!("doorward_outbox_published_total").increment(done.len() as u64);
        let failed: Vec<_> =
            settled.iter().filter_map(|(row, result)| Some((row, result.as_ref().err()?))).collect();
        for (row, error) in &failed {
            tracing::warn!(
                event.id = %row.id, event.r#type = row.event_type, attempts = row.attempts, code = %error.code,
                source = error.source.as_ref().map(tracing::field::display),
                "the bus did not take an event; trying again"
            );
        }
        let now = self.clock.now();
        self.db
            .transaction(async |tx| {
                if !done.is_empty() {
                    store::done(tx, done).await?;
                }
                for (row, error) in failed {
                    let next = now.plus(self.backoff().after(row.attempts));
                    store::failed(tx, row.id, lease_until, next, &crate::bus::last_words(error)).await?;
                }
                Ok(())
            })
            .await
    }

    fn backoff(&self) -> Backoff {
        Backoff {
            base: Duration::from_millis(self.settings.backoff_base_ms),
            max: Duration::from_millis(self.settings.backoff_max_ms),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge; nobody counts to 2^53 events")]
    async fn measure(&self) {
        let Ok(mut c) = self.db.read().await else { return };
        if let Ok(pending) = store::pending(&mut c, self.types.as_deref()).await {
            gauge!("doorward_outbox_pending").set(pending as f64);
        }
    }
}

fn too_late() -> Error {
    Error::new(Kind::Unavailable, "platform.bus_deadline", "The bus did not answer in time.")
}
