//! One subscriber's desk: claims what is due for it, calls it, and notes what became of each delivery.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::{Error, Event, Kind, Time};
use futures_util::FutureExt;
use futures_util::future::join_all;
use metrics::{counter, gauge, histogram};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::Settings;
use super::store::{self, Claimed};
use crate::bus::{Backoff, Gathering, Subscriber, Subscription, last_words};
use crate::clock::Clock;
use crate::db::{self, Database};

pub(super) struct Desk {
    db: Database,
    subscriber: Arc<dyn Subscriber>,
    clock: Clock,
    settings: Arc<Settings>,
    bell: Notify,
}

impl Desk {
    pub(super) fn new(
        db: Database,
        subscriber: Arc<dyn Subscriber>,
        clock: Clock,
        settings: Arc<Settings>,
    ) -> Self {
        Self { db, subscriber, clock, settings, bell: Notify::new() }
    }

    pub(super) fn name(&self) -> &'static str {
        self.subscriber.name()
    }

    pub(super) fn subscription(&self) -> Subscription {
        Subscription { name: self.subscriber.name(), hears: self.subscriber.hears() }
    }

    pub(super) fn hears(&self, event_type: &str) -> bool {
        self.subscriber.hears().contains(&event_type)
    }

    pub(super) fn wake(&self) {
        self.bell.notify_one();
    }

    pub(super) async fn run(&self, stop: &CancellationToken) {
        let interval = Duration::from_millis(self.settings.poll_interval_ms);
        let mut measured = Time::MIN;
        let mut gathering = Gathering::default();
        while !stop.is_cancelled() {
            if self.clock.now().since(measured) >= interval {
                measured = self.clock.now();
                self.measure().await;
            }
            match self.run_once().await {
                Ok(0) => gathering.end(),
                Ok(count) => {
                    if count < self.settings.concurrency as usize {
                        gathering.wait(stop).await;
                    }
                    continue;
                }
                Err(error) => {
                    tracing::warn!(subscriber = self.name(), %error, "deliveries can't be worked on; trying again");
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.bell.notified() => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    pub(super) async fn run_once(&self) -> db::Result<usize> {
        let now = self.clock.now();
        if !store::any_due(&mut *self.db.read().await?, self.name(), now).await? {
            return Ok(0);
        }
        let lease_until = now.plus(Duration::from_millis(self.settings.lease_ms));
        let limit = i64::from(self.settings.concurrency);
        let name = self.name();
        let claimed =
            self.db.transaction(async |tx| store::claim(tx, name, now, lease_until, limit).await).await?;
        let results = join_all(claimed.iter().map(|row| self.attempt(row))).await;
        self.settle(&claimed, results, lease_until).await?;
        Ok(claimed.len())
    }

    async fn attempt(&self, row: &Claimed) -> Result<(), Error> {
        // Attempts are counted when they begin: a delivery that ends the process each time is given up as well.
        if row.attempts > i64::from(self.settings.max_attempts) {
            return Err(never_ended());
        }
        let event = row.event()?;
        let span = tracing::info_span!(
            "deliver", subscriber = self.name(), event.id = %event.id, event.r#type = event.event_type,
            request.id = event.requestid, traceparent = event.traceparent
        );
        let begun = Instant::now();
        let result = self.call(&event).instrument(span).await;
        histogram!("doorward_delivery_seconds", "subscriber" => self.name()).record(begun.elapsed());
        result
    }

    async fn call(&self, event: &Event) -> Result<(), Error> {
        let deadline = Duration::from_millis(self.settings.deadline_ms);
        let heard = AssertUnwindSafe(self.subscriber.hear(event)).catch_unwind();
        match tokio::time::timeout(deadline, heard).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(panicked()),
            Err(_elapsed) => Err(too_late()),
        }
    }

    async fn settle(
        &self,
        claimed: &[Claimed],
        results: Vec<Result<(), Error>>,
        lease_until: Time,
    ) -> db::Result<()> {
        let mut done = Vec::with_capacity(claimed.len());
        let mut failed = Vec::new();
        for (row, result) in claimed.iter().zip(results) {
            match result {
                Ok(()) => done.push(row.id),
                Err(error) => failed.push((row, error)),
            }
        }
        self.count("done", done.len() as u64);
        for (row, error) in &failed {
            self.report(row, error);
        }
        let now = self.clock.now();
        self.db
            .transaction(async |tx| {
                if !done.is_empty() {
                    store::done(tx, done).await?;
                }
                for (row, error) in failed {
                    let words = last_words(&error);
                    if self.gives_up(row) {
                        store::park(tx, row.id, lease_until, &words).await?;
                    } else {
                        let next = now.plus(self.backoff().after(row.attempts));
                        store::failed(tx, row.id, lease_until, next, &words).await?;
                    }
                }
                Ok(())
            })
            .await
    }

    fn gives_up(&self, row: &Claimed) -> bool {
        row.attempts >= i64::from(self.settings.max_attempts)
    }

    fn report(&self, row: &Claimed, error: &Error) {
        let outcome = if self.gives_up(row) { "parked" } else { "retried" };
        self.count(outcome, 1);
        tracing::warn!(
            subscriber = self.name(), event.id = %row.event_id, event.r#type = row.event_type, outcome,
            attempts = row.attempts, code = %error.code, message = %error.message,
            source = error.source.as_ref().map(tracing::field::display),
            "a subscriber could not take an event"
        );
    }

    fn count(&self, outcome: &'static str, by: u64) {
        let name = self.name();
        counter!("doorward_deliveries_total", "subscriber" => name, "outcome" => outcome).increment(by);
    }

    fn backoff(&self) -> Backoff {
        Backoff {
            base: Duration::from_millis(self.settings.backoff_base_ms),
            max: Duration::from_millis(self.settings.backoff_max_ms),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge; nobody has 2^53 deliveries")]
    async fn measure(&self) {
        let Ok(mut c) = self.db.read().await else { return };
        if let Ok(pending) = store::count_pending(&mut c, self.name()).await {
            gauge!("doorward_deliveries_pending", "subscriber" => self.name()).set(pending as f64);
        }
        if let Ok(parked) = store::count_parked(&mut c, self.name()).await {
            gauge!("doorward_deliveries_parked", "subscriber" => self.name()).set(parked as f64);
        }
    }
}

fn never_ended() -> Error {
    Error::new(Kind::Internal, "platform.subscriber_never_ended", "The process ended each time it was tried.")
}

/// Without the panic's words: they may hold anything. The panic hook has written them to the log.
fn panicked() -> Error {
    Error::new(Kind::Internal, "platform.subscriber_panicked", "The subscriber panicked.")
}

fn too_late() -> Error {
    Error::new(Kind::Unavailable, "platform.subscriber_deadline", "The subscriber did not end in time.")
}
