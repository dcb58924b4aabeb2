//! The bus between processes: RabbitMQ, which only transports.
//!
//! Publishing: an event has left the outbox once the broker has confirmed it, stored in a quorum queue for each
//! subscriber. Hearing: a message is taken into this database's desks and then acknowledged; attempts, waiting and
//! parking are the desks' business, so a failing subscriber never spins in the broker. Two connections, because a broker
//! that is short of memory stops those that publish, and only those that consume can relieve it.
//!
//! Each connection has one supervisor, which connects, declares the topology, works, and begins anew after any error,
//! for ever. lapin's own recovery is switched off: it gives up in the end, and it would bring back what it remembers
//! and not what must be. Left out: order, and streams.

mod address;
mod intake;
mod message;
mod outlet;
mod seal;
mod settings;
mod topology;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contracts::{Error, Event};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use address::Addresses;
pub use seal::Seals;
pub use settings::Settings;

use self::intake::Intake;
use self::outlet::Outlet;
use self::topology::Topology;
use self::wire::Dialer;
use super::{Backoff, Bus, Desks, Subscription};

/// How long a supervisor waits after a failure, with jitter.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(10) };

/// How long it may take until a new connection is of use, with all that is declared on it. A broker that keeps the connection
/// and answers nothing is tried anew after this.
const BEGINNING: Duration = Duration::from_secs(60);

/// How often the topology is declared again, and the queues are measured.
const ROUND: Duration = Duration::from_secs(15);

fn too_slow(_: tokio::time::error::Elapsed) -> lapin::Error {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// Carries events between processes over RabbitMQ, and to the desks of this one.
pub struct RabbitBus {
    outlet: Outlet,
    intake: Intake,
}

impl RabbitBus {
    /// A bus over this broker, for the desks of this process. `subscriptions` are those of all subscribers there are,
    /// wherever they run: each gets its queue, so that nothing is lost while it is away. `seals` prove who tells what.
    ///
    /// # Errors
    /// When the settings can't be used; the error says what to set.
    pub fn new(
        settings: &Settings,
        subscriptions: &[Subscription],
        desks: Arc<Desks>,
        seals: Seals,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let dialer = Arc::new(Dialer::new(settings)?);
        let mut everybody = subscriptions.to_vec();
        everybody.extend(desks.subscriptions().filter(|one| !subscriptions.contains(one)));
        let topology = Arc::new(Topology::new(settings, everybody));
        let (seals, mended) = (Arc::new(seals), Arc::new(Notify::new()));
        let (one, other) = (Arc::clone(&topology), Arc::clone(&seals));
        Ok(Self {
            outlet: Outlet::new(Arc::clone(&dialer), one, other, settings, Arc::clone(&mended)),
            intake: Intake::new(dialer, topology, desks, seals, settings, mended),
        })
    }

    /// Reads the files that the settings name, and connects to nobody.
    ///
    /// # Errors
    /// When the settings can't be used; the error says what to set.
    pub fn look_over(settings: &Settings) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Dialer::new(settings).map(drop)
    }

    /// Carries until it is told to stop, and then ends what it has begun. The desks are run by whoever made them.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::join!(self.outlet.run(&stop), self.intake.run(&stop));
    }
}

#[async_trait]
impl Bus for RabbitBus {
    async fn publish(&self, events: &[Event]) -> Result<(), Error> {
        self.outlet.publish(events).await
    }

    /// Waits for a connection that takes messages.
    async fn ready(&self) {
        self.outlet.ready().await;
    }
}
