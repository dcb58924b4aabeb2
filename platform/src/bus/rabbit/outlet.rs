//! The publishing side: hands events to the broker, and believes only what it confirms.

use std::sync::Arc;
use std::time::Duration;

use contracts::{Error, Event};
use futures_util::StreamExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use metrics::{counter, gauge};
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::seal::Seals;
use super::topology::{Queues, Topology};
use super::wire::{Dialer, Wire, short};
use super::{BACKOFF, BEGINNING, ROUND, Settings, message, too_slow};

/// How long a hand-over may take to end once a stop was asked for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The publishing connection, whether it is there or not.
pub(super) struct Outlet {
    dialer: Arc<Dialer>,
    topology: Arc<Topology>,
    seals: Arc<Seals>,
    confirm_timeout: Duration,
    /// One hand-over at a time: the client gives a returned message to whichever confirmation comes next, and that must be
    /// one of the same hand-over, which then fails as a whole.
    turn: Mutex<()>,
    state: watch::Sender<State>,
    /// Something was published to nobody who should have heard it.
    unrouted: Notify,
    /// Rung for those who consume, when that was mended.
    mended: Arc<Notify>,
    busy: TaskTracker,
}

#[derive(Clone)]
enum State {
    /// There is no connection.
    Away,
    /// The broker takes nothing at the moment.
    Blocked,
    Open(Door),
}

/// A channel that confirms, and how to say that it is of no use any more.
#[derive(Clone)]
struct Door {
    channel: Channel,
    useless: CancellationToken,
}

impl Outlet {
    pub(super) fn new(
        dialer: Arc<Dialer>,
        topology: Arc<Topology>,
        seals: Arc<Seals>,
        settings: &Settings,
        mended: Arc<Notify>,
    ) -> Self {
        Self {
            dialer,
            topology,
            seals,
            confirm_timeout: Duration::from_millis(settings.confirm_timeout_ms),
            turn: Mutex::new(()),
            state: watch::Sender::new(State::Away),
            unrouted: Notify::new(),
            mended,
            busy: TaskTracker::new(),
        }
    }

    /// Waits for a connection that takes messages.
    pub(super) async fn ready(&self) {
        // The sender lives as long as this does.
        let _ = self.state.subscribe().wait_for(|state| matches!(state, State::Open(_))).await;
    }

    /// Publishes all of them, and waits until the broker has confirmed each.
    pub(super) async fn publish(&self, events: &[Event]) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let state = self.state.borrow().clone();
        let door = match state {
            State::Open(door) => door,
            State::Away => return Err(away()),
            State::Blocked => return Err(blocked()),
        };
        let _busy = self.busy.token();
        // Whatever is not brought to its end, also because nobody waits for it any more, leaves a channel of no use.
        let unfinished = door.useless.clone().drop_guard();
        match tokio::time::timeout(self.confirm_timeout, self.hand_over(&door.channel, events)).await {
            Ok(Ok(left)) => {
                unfinished.disarm();
                if left == 0 { Ok(()) } else { Err(not_taken()) }
            }
            Ok(Err(error)) => {
                count("unconfirmed", events.len());
                Err(away().caused_by(error))
            }
            Err(_) => {
                count("unconfirmed", events.len());
                if matches!(*self.state.borrow(), State::Blocked) {
                    // There will be another connection once it takes messages again.
                    unfinished.disarm();
                    return Err(blocked());
                }
                Err(Error::unavailable("platform.bus_unconfirmed", "The broker did not confirm in time."))
            }
        }
    }

    /// Tells how many the broker did not take, for all others are safe.
    async fn hand_over(&self, channel: &Channel, events: &[Event]) -> lapin::Result<usize> {
        let exchange = short(self.topology.exchange())?;
        let mut confirms = Vec::with_capacity(events.len());
        for event in events {
            let (body, properties) = message::write(event, &self.seals)?;
            // What somebody hears must find a queue. What nobody hears is for listeners of other houses, if at all.
            let mandatory = self.topology.is_heard(&event.event_type);
            let options = BasicPublishOptions { mandatory, immediate: false };
            let key = short(event.event_type.clone())?;
            let confirm = channel.basic_publish(exchange.clone(), key, options, &body, properties).await?;
            confirms.push(confirm);
        }
        let (mut returned, mut refused) = (0, 0);
        for confirm in confirms {
            match confirm.await? {
                Confirmation::Ack(None) => {}
                // Nobody's queue took it: the broker acknowledges that it has told so.
                Confirmation::Ack(Some(_)) => returned += 1,
                Confirmation::Nack(_) | Confirmation::NotRequested => refused += 1,
            }
        }
        count("confirmed", events.len().saturating_sub(returned + refused));
        count("returned", returned);
        count("refused", refused);
        if returned > 0 {
            tracing::warn!(
                returned,
                "The broker knows no queue for an event that somebody hears; declaring all again."
            );
            self.unrouted.notify_one();
        }
        Ok(returned + refused)
    }

    /// Keeps a connection until it is told to stop.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let served = self.serve(stop, &mut failures).await;
            self.state.send_replace(State::Away);
            gauge!("doorward_rabbitmq_connected", "link" => "publish").set(0.0);
            let Err(error) = served else { continue };
            failures += 1;
            counter!("doorward_rabbitmq_failures_total", "link" => "publish").increment(1);
            tracing::warn!(%error, failures, "No connection to RabbitMQ for publishing; events wait in the outbox.");
            let _ = tokio::time::timeout(BACKOFF.after(failures), stop.cancelled()).await;
        }
    }

    /// One connection, from its beginning to its end. An end that is no failure is followed by the next one at once.
    async fn serve(&self, stop: &CancellationToken, failures: &mut i64) -> lapin::Result<()> {
        let beginning = async {
            let wire = self.dialer.connect("publish").await?;
            measure(&self.topology.declare(&wire).await?);
            let channel = wire.channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok::<_, lapin::Error>((wire, channel))
        };
        let (wire, channel) = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            begun = tokio::time::timeout(BEGINNING, beginning) => begun.map_err(too_slow)??,
        };
        let useless = CancellationToken::new();
        let mut events = wire.events();
        self.state.send_replace(State::Open(Door { channel, useless: useless.clone() }));
        gauge!("doorward_rabbitmq_connected", "link" => "publish").set(1.0);
        // The broker says so only when it takes nothing: a new connection knows of no such thing yet.
        gauge!("doorward_rabbitmq_blocked").set(0.0);
        tracing::info!("RabbitMQ takes events.");
        *failures = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    self.end(wire).await;
                    return Ok(());
                }
                () = useless.cancelled() => return Err(std::io::Error::other("a hand-over failed").into()),
                event = events.next() => match event {
                    Some(lapin::Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(reason, "RabbitMQ takes no events for now; they wait in the outbox.");
                        self.state.send_replace(State::Blocked);
                        gauge!("doorward_rabbitmq_blocked").set(1.0);
                    }
                    // A new connection, because what is left in this one was given up meanwhile.
                    Some(lapin::Event::ConnectionUnblocked) => {
                        gauge!("doorward_rabbitmq_blocked").set(0.0);
                        return Ok(());
                    }
                    Some(lapin::Event::Error(error)) => return Err(error),
                    Some(_) => {}
                    None => return Err(std::io::Error::other("the connection ended").into()),
                },
                () = self.unrouted.notified() => {
                    self.declare_again(&wire).await?;
                    self.mended.notify_one();
                }
                () = tokio::time::sleep(ROUND) => self.declare_again(&wire).await?,
            }
        }
    }

    /// With a deadline, since the broker answers nothing on a connection that it has blocked.
    async fn declare_again(&self, wire: &Wire) -> lapin::Result<()> {
        if matches!(*self.state.borrow(), State::Blocked) {
            return Ok(());
        }
        let declared = tokio::time::timeout(self.confirm_timeout, self.topology.declare(wire)).await;
        measure(
            &declared.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))?,
        );
        Ok(())
    }

    /// What is being handed over is brought to its end; nothing new begins.
    async fn end(&self, wire: Wire) {
        self.state.send_replace(State::Away);
        self.busy.close();
        let _ = tokio::time::timeout(PATIENCE, self.busy.wait()).await;
        self.busy.reopen();
        wire.close().await;
    }
}

fn measure(queues: &Queues) {
    for (subscriber, waiting) in &queues.subscribers {
        gauge!("doorward_rabbitmq_waiting", "subscriber" => *subscriber).set(f64::from(*waiting));
    }
    gauge!("doorward_rabbitmq_dead_letters").set(f64::from(queues.dead_letters));
}

fn count(outcome: &'static str, by: usize) {
    counter!("doorward_rabbitmq_published_total", "outcome" => outcome).increment(by as u64);
}

fn away() -> Error {
    Error::unavailable("platform.bus_away", "There is no connection to the broker.")
}

fn blocked() -> Error {
    Error::unavailable("platform.bus_blocked", "The broker takes nothing at the moment.")
}

fn not_taken() -> Error {
    Error::unavailable("platform.bus_not_taken", "The broker has no place for it.")
}
