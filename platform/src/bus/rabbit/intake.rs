//! The hearing side: takes messages into the desks of this process, and acknowledges what is stored there.
//!
//! While the database is away, messages are kept and tried again: they don't go back to the broker, where each return
//! counts towards the delivery limit. What no database will ever store is a dead letter.

use std::sync::Arc;
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
use tokio_util::sync::CancellationToken;

use super::topology::Topology;
use super::wire::{Dialer, Wire, short};
use super::{BACKOFF, Settings, message};
use crate::bus::Desks;
use crate::bus::desks::Whose;
use crate::db;

/// The consuming connection.
pub(super) struct Intake {
    dialer: Arc<Dialer>,
    topology: Arc<Topology>,
    desks: Arc<Desks>,
    prefetch: u16,
}

/// One subscriber's queue.
struct Line {
    subscriber: &'static str,
    channel: Channel,
    consumer: Consumer,
}

impl Intake {
    pub(super) fn new(
        dialer: Arc<Dialer>,
        topology: Arc<Topology>,
        desks: Arc<Desks>,
        settings: &Settings,
    ) -> Self {
        Self { dialer, topology, desks, prefetch: settings.prefetch }
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
            begun = beginning => begun?,
        };
        gauge!("doorward_rabbitmq_connected", "link" => "consume").set(1.0);
        *failures = 0;
        let mut events = wire.events();
        let broken = async {
            while let Some(event) = events.next().await {
                if let lapin::Event::Error(error) = event {
                    return error;
                }
            }
            std::io::Error::other("the connection ended").into()
        };
        tokio::select! {
            error = broken => Err(error),
            heard = try_join_all(lines.iter_mut().map(|line| self.listen(line, stop))) => {
                heard?;
                wire.close().await;
                Ok(())
            }
        }
    }

    async fn lines(&self, wire: &Wire) -> lapin::Result<Vec<Line>> {
        let mut lines = Vec::new();
        for one in self.desks.subscriptions() {
            let channel = wire.channel().await?;
            channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
            let (queue, tag) = (short(self.topology.queue(one.name))?, short("")?);
            let consumer =
                channel.basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default()).await?;
            lines.push(Line { subscriber: one.name, channel, consumer });
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
            let first = next.unwrap_or_else(|| Err(std::io::Error::other("a queue is gone").into()))?;
            let mut batch = vec![first];
            while batch.len() < usize::from(self.prefetch)
                && let Some(Some(next)) = line.consumer.next().now_or_never()
            {
                batch.push(next?);
            }
            self.take(line.subscriber, batch, stop).await?;
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
            match message::read(&delivery) {
                Ok(event) => {
                    events.push(event);
                    readable.push(delivery);
                }
                Err(reason) => bury(subscriber, &delivery, "unreadable", reason).await?,
            }
        }
        match self.store(subscriber, &events, stop).await {
            Stored::All => {
                heard(subscriber, "accepted", events.len());
                // Everything up to the last one is settled by now.
                match readable.last() {
                    Some(last) => acknowledge(last, true).await,
                    None => Ok(()),
                }
            }
            Stored::Stopped => Ok(()),
            // One of them will never be stored: each by itself, so that it holds up no other.
            Stored::Refused(_) => {
                for (event, delivery) in events.iter().zip(&readable) {
                    match self.store(subscriber, std::slice::from_ref(event), stop).await {
                        Stored::All => {
                            heard(subscriber, "accepted", 1);
                            acknowledge(delivery, false).await?;
                        }
                        Stored::Refused(error) => {
                            bury(subscriber, delivery, "refused", &error.to_string()).await?;
                        }
                        Stored::Stopped => return Ok(()),
                    }
                }
                Ok(())
            }
        }
    }

    /// Tries until the database has an opinion, or a stop is asked for.
    async fn store(&self, subscriber: &str, events: &[Event], stop: &CancellationToken) -> Stored {
        let mut failures = 0;
        loop {
            let error = match self.desks.accept(events, Whose::Ones(subscriber)).await {
                Ok(()) => return Stored::All,
                Err(error @ (db::Error::Unavailable(_) | db::Error::Timeout(_))) => error,
                Err(error) => return Stored::Refused(error),
            };
            failures += 1;
            tracing::warn!(subscriber, %error, failures, "What was heard can't be stored; it is kept and tried again.");
            let pause = BACKOFF.after(failures).max(Duration::from_millis(50));
            if tokio::time::timeout(pause, stop.cancelled()).await.is_ok() {
                return Stored::Stopped;
            }
        }
    }
}

/// What became of storing some events.
enum Stored {
    All,
    /// The database will never take it.
    Refused(db::Error),
    /// Not yet, and there is no more time: they go back to the broker.
    Stopped,
}

async fn acknowledge(delivery: &Delivery, multiple: bool) -> lapin::Result<()> {
    delivery.acker.ack(BasicAckOptions { multiple }).await?;
    Ok(())
}

/// Sends a message to the dead letters.
async fn bury(
    subscriber: &'static str,
    delivery: &Delivery,
    outcome: &'static str,
    reason: &str,
) -> lapin::Result<()> {
    heard(subscriber, outcome, 1);
    tracing::warn!(subscriber, outcome, reason, "A message became a dead letter.");
    delivery.acker.reject(BasicRejectOptions { requeue: false }).await?;
    Ok(())
}

fn heard(subscriber: &'static str, outcome: &'static str, by: usize) {
    counter!("doorward_rabbitmq_heard_total", "subscriber" => subscriber, "outcome" => outcome)
        .increment(by as u64);
}
