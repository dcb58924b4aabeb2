//! The hearing side: takes messages into the desks of this process, and acknowledges what is stored there.
//!
//! While the database is away, messages are kept and tried again: they don't go back to the broker, where each return
//! counts towards the delivery limit. Only what can't be read, or was not sealed by its teller, is a dead letter.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use contracts::Event;
use futures_util::future::try_join_all;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use metrics::{counter, gauge};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::seal::Seals;
use super::topology::Topology;
use super::wire::{Dialer, Wire, short};
use super::{BACKOFF, BEGINNING, ROUND, Settings, message, too_slow};
use crate::bus::Desks;
use crate::bus::desks::Whose;

/// How long after a first suspicion the second look follows.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// The consuming connection.
pub(super) struct Intake {
    dialer: Arc<Dialer>,
    topology: Arc<Topology>,
    desks: Arc<Desks>,
    seals: Arc<Seals>,
    prefetch: u16,
    timeout: Duration,
    /// Somebody's queue was missing and is there again.
    mended: Arc<Notify>,
}

/// One subscriber's queue.
struct Line {
    subscriber: &'static str,
    channel: Channel,
    consumer: Consumer,
    pulse: Arc<Pulse>,
}

/// Signs of life of whoever listens to a queue.
#[derive(Default)]
struct Pulse {
    /// Whether a batch is in hand.
    busy: AtomicBool,
    /// How many batches there were.
    batches: AtomicU64,
}

impl Intake {
    pub(super) fn new(
        dialer: Arc<Dialer>,
        topology: Arc<Topology>,
        desks: Arc<Desks>,
        seals: Arc<Seals>,
        settings: &Settings,
        mended: Arc<Notify>,
    ) -> Self {
        let timeout = Duration::from_millis(settings.confirm_timeout_ms);
        Self { dialer, topology, desks, seals, prefetch: settings.prefetch, timeout, mended }
    }

    /// Keeps a connection until it is told to stop; none where nobody has a desk.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        if self.desks.subscriptions().next().is_none() {
            return stop.cancelled().await;
        }
        let mut failures = 0;
        while !stop.is_cancelled() {
            let served = self.serve(stop, &mut failures).await;
            gauge!("doorward_rabbitmq_connected", "link" => "consume").set(0.0);
            let Err(error) = served else { continue };
            failures += 1;
            counter!("doorward_rabbitmq_failures_total", "link" => "consume").increment(1);
            tracing::warn!(%error, failures, "No connection to RabbitMQ for hearing; events wait there.");
            let _ = tokio::time::timeout(BACKOFF.after(failures), stop.cancelled()).await;
        }
    }

    async fn serve(&self, stop: &CancellationToken, failures: &mut i64) -> lapin::Result<()> {
        let beginning = async {
            let wire = self.dialer.connect("consume").await?;
            self.topology.declare(&wire).await?;
            let lines = self.lines(&wire).await?;
            Ok::<_, lapin::Error>((wire, lines))
        };
        let (wire, mut lines) = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            begun = tokio::time::timeout(BEGINNING, beginning) => begun.map_err(too_slow)??,
        };
        gauge!("doorward_rabbitmq_connected", "link" => "consume").set(1.0);
        *failures = 0;
        let pulses: Vec<_> = lines.iter().map(|line| (line.subscriber, Arc::clone(&line.pulse))).collect();
        let mut events = wire.events();
        let broken = async {
            while let Some(event) = events.next().await {
                if let lapin::Event::Error(error) = event {
                    return error;
                }
            }
            io::Error::other("the connection ended").into()
        };
        tokio::select! {
            error = broken => Err(error),
            error = self.forgotten(&wire, &pulses) => Err(error),
            // The queue may be another one by now, which does not know its consumers.
            () = self.mended.notified() => {
                wire.close().await;
                Ok(())
            }
            heard = try_join_all(lines.iter_mut().map(|line| self.listen(line, stop))) => {
                heard?;
                wire.close().await;
                Ok(())
            }
        }
    }

    /// Ends when messages wait in a queue although whoever listens to it here has nothing in hand. A quorum queue that is
    /// deleted and made anew keeps its consumers in name only (seen with RabbitMQ 3.10): they would wait for ever.
    async fn forgotten(&self, wire: &Wire, pulses: &[(&'static str, Arc<Pulse>)]) -> lapin::Error {
        let mut suspects = BTreeMap::new();
        loop {
            tokio::time::sleep(if suspects.is_empty() { ROUND } else { SECOND_LOOK }).await;
            let declared = tokio::time::timeout(self.timeout, self.topology.declare(wire)).await;
            let queues =
                match declared.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) {
                    Ok(queues) => queues,
                    Err(error) => return error,
                };
            let mut idle = BTreeMap::new();
            for (name, pulse) in pulses {
                let waits = queues.subscribers.iter().any(|(other, waiting)| other == name && *waiting > 0);
                if waits && !pulse.busy.load(Ordering::Relaxed) {
                    idle.insert(*name, pulse.batches.load(Ordering::Relaxed));
                }
            }
            if idle.iter().any(|(name, batches)| suspects.get(name) == Some(batches)) {
                return io::Error::other("messages wait and are not handed out").into();
            }
            suspects = idle;
        }
    }

    async fn lines(&self, wire: &Wire) -> lapin::Result<Vec<Line>> {
        let mut lines = Vec::new();
        for one in self.desks.subscriptions() {
            let channel = wire.channel().await?;
            channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
            let (queue, tag) = (short(self.topology.queue(one.name))?, short("")?);
            let consumer = channel
                .basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default())
                .await?;
            lines.push(Line { subscriber: one.name, channel, consumer, pulse: Arc::default() });
        }
        Ok(lines)
    }

    async fn listen(&self, line: &mut Line, stop: &CancellationToken) -> lapin::Result<()> {
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => {
                    return line.channel.basic_cancel(line.consumer.tag(), BasicCancelOptions::default()).await;
                }
                next = line.consumer.next() => next,
            };
            // A queue that is deleted ends its consumer.
            let first = next.unwrap_or_else(|| Err(io::Error::other("a queue is gone").into()))?;
            line.pulse.busy.store(true, Ordering::Relaxed);
            line.pulse.batches.fetch_add(1, Ordering::Relaxed);
            let mut batch = vec![first];
            while batch.len() < usize::from(self.prefetch)
                && let Some(Some(next)) = line.consumer.next().now_or_never()
            {
                batch.push(next?);
            }
            self.take(line.subscriber, batch, stop).await?;
            line.pulse.busy.store(false, Ordering::Relaxed);
        }
    }

    async fn take(
        &self,
        subscriber: &'static str,
        batch: Vec<Delivery>,
        stop: &CancellationToken,
    ) -> lapin::Result<()> {
        let (mut events, mut readable) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for delivery in batch {
            match message::read(&delivery.data, &delivery.properties, &self.seals) {
                Ok(event) => {
                    events.push(event);
                    readable.push(delivery);
                }
                Err(reason) => bury(subscriber, &delivery, reason).await?,
            }
        }
        if !self.store(subscriber, &events, stop).await {
            return Ok(());
        }
        counter!("doorward_rabbitmq_heard_total", "subscriber" => subscriber, "outcome" => "accepted")
            .increment(events.len() as u64);
        // Everything up to the last one is settled by now.
        if let Some(last) = readable.last() {
            last.acker.ack(BasicAckOptions { multiple: true }).await?;
        }
        Ok(())
    }

    /// Tries until they are stored; false when a stop is asked for before. Then they go back to the broker.
    async fn store(&self, subscriber: &str, events: &[Event], stop: &CancellationToken) -> bool {
        let mut failures = 0;
        loop {
            let Err(error) = self.desks.accept(events, Whose::Ones(subscriber)).await else { return true };
            failures += 1;
            tracing::warn!(subscriber, %error, failures, "What was heard can't be stored; it is kept and tried again.");
            let pause = BACKOFF.after(failures).max(Duration::from_millis(50));
            if tokio::time::timeout(pause, stop.cancelled()).await.is_ok() {
                return false;
            }
        }
    }
}

/// Sends a message to the dead letters.
async fn bury(subscriber: &'static str, delivery: &Delivery, reason: &str) -> lapin::Result<()> {
    counter!("doorward_rabbitmq_heard_total", "subscriber" => subscriber, "outcome" => "unreadable")
        .increment(1);
    tracing::warn!(subscriber, reason, "A message can't be taken and became a dead letter.");
    delivery.acker.reject(BasicRejectOptions { requeue: false }).await?;
    Ok(())
}
