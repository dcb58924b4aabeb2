//! Redis, for what can be made again: one connection a process, made anew when it breaks, and never waited for longer
//! than a deadline.
//!
//! Redis may be away at any time. Then there is no connection, which costs nobody anything; a worker tries to make one
//! and everybody goes on without meanwhile. A broken connection never mends itself (see `wire`).
//!
//! Left out: anything that must not get lost. That is in the database.

mod connect;
mod settings;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use rand::RngExt;
use redis::{FromRedisValue, PushInfo, PushKind};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use connect::Connector;
pub use settings::{RedisUrl, Settings};
pub(crate) use wire::{Failure, Wire};

/// The first and the longest pause between attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

const CONNECTED: &str = "doorward_redis_connected";
const CONNECTIONS: &str = "doorward_redis_connections_total";
const BROKEN: &str = "doorward_redis_connections_broken_total";

/// Redis can't be used with these settings: a sentence that says why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

/// Redis. Clones are the same one.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    connector: Connector,
    prefix: String,
    now: watch::Sender<Option<Wire>>,
    channels: Channels,
    users: TaskTracker,
}

/// Who listens on which channel.
type Channels = Arc<Mutex<Vec<(String, mpsc::UnboundedSender<Vec<u8>>)>>>;

impl Redis {
    /// The Redis that the settings name; none when they name none. It is connected to by [`Redis::run`].
    ///
    /// # Errors
    /// When the settings are not fit for use, or the file with certificates can't be read.
    pub fn open(settings: &Settings) -> Result<Option<Self>, Unfit> {
        if let Some(problem) = settings.problems().into_iter().next() {
            return Err(Unfit(problem));
        }
        let Some(connector) = Connector::new(settings)? else { return Ok(None) };
        describe_gauge!(CONNECTED, "Whether this process has a connection to Redis: 1 or 0.");
        describe_counter!(CONNECTIONS, "Connections to Redis that were made.");
        describe_counter!(
            BROKEN,
            "Connections to Redis that were given up because they broke or were too slow."
        );
        gauge!(CONNECTED).set(0.0);
        Ok(Some(Self(Arc::new(Inner {
            connector,
            prefix: settings.key_prefix.clone(),
            now: watch::Sender::new(None),
            channels: Channels::default(),
            users: TaskTracker::new(),
        }))))
    }

    /// What all keys and channels begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// The connection, while there is one.
    pub(crate) fn wire(&self) -> Option<Wire> {
        self.0.now.borrow().clone().filter(|wire| !wire.is_broken())
    }

    /// Tells of connections that come and go.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Wire>> {
        self.0.now.subscribe()
    }

    /// What is told on a channel from the next connection on. Ask for it before [`Redis::run`]; what is told while
    /// there is no connection is lost.
    #[must_use]
    pub fn listen(&self, channel: &str) -> mpsc::UnboundedReceiver<Vec<u8>> {
        let (tell, told) = mpsc::unbounded_channel();
        let mut channels = self.0.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.push((self.channel(channel), tell));
        told
    }

    /// Tells everybody who listens on a channel, in all processes; nobody when Redis is away. Says whether it went out.
    pub async fn tell(&self, channel: &str, message: &[u8]) -> bool {
        let Some(wire) = self.wire() else { return false };
        wire.publish(&self.channel(channel), message).await.is_ok()
    }

    pub(crate) fn channel(&self, name: &str) -> String {
        format!("{}:{name}", self.0.prefix)
    }

    /// A stop waits until this is dropped.
    pub(crate) fn in_use(&self) -> TaskTrackerToken {
        self.0.users.token()
    }

    /// Keeps a connection until it is told to stop, and nobody needs it any more: a worker.
    pub async fn run(&self, stop: CancellationToken) {
        let unused = async {
            stop.cancelled().await;
            self.0.users.close();
            self.0.users.wait().await;
        };
        tokio::select! {
            () = unused => {}
            () = self.keep_connected() => {}
        }
        if let Some(wire) = self.0.now.send_replace(None) {
            wire.give_up();
        }
        gauge!(CONNECTED).set(0.0);
    }

    async fn keep_connected(&self) {
        let (mut pause, longest) = PAUSES;
        let mut away = false;
        loop {
            match self.connect().await {
                Ok(wire) => {
                    counter!(CONNECTIONS).increment(1);
                    gauge!(CONNECTED).set(1.0);
                    if std::mem::take(&mut away) {
                        tracing::info!("Redis is back.");
                    }
                    self.0.now.send_replace(Some(wire.clone()));
                    let began = tokio::time::Instant::now();
                    wire.broken().await;
                    self.0.now.send_replace(None);
                    counter!(BROKEN).increment(1);
                    gauge!(CONNECTED).set(0.0);
                    tracing::warn!("The connection to Redis broke or was too slow; a new one is made.");
                    // One that did not last is no reason to try any sooner.
                    if began.elapsed() > longest {
                        pause = PAUSES.0;
                    }
                }
                Err(problem) => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(problem, "Redis can't be reached; Doorward goes on without it.");
                    }
                }
            }
            let about = pause.mul_f64(rand::rng().random_range(0.8..1.2));
            tokio::time::sleep(about).await;
            pause = (pause * 2).min(longest);
        }
    }

    async fn connect(&self) -> Result<Wire, String> {
        let channels = self.0.channels.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let names: Vec<String> = channels.iter().map(|(name, _)| name.clone()).collect();
        let hear = move |info: &PushInfo| {
            if let Some((channel, message)) = message(info) {
                for (_, tell) in channels.iter().filter(|(name, _)| *name == channel) {
                    // Who no longer listens has ended.
                    let _ = tell.send(message.clone());
                }
            }
        };
        let wire = self.0.connector.connect(hear).await?;
        if !names.is_empty() {
            wire.subscribe(names).await.map_err(|error| error.to_string())?;
        }
        wire.call::<()>(&redis::cmd("PING")).await.map_err(|error| error.to_string())?;
        Ok(wire)
    }
}

/// What was told on which channel.
fn message(info: &PushInfo) -> Option<(String, Vec<u8>)> {
    let [channel, message] = info.data.as_slice() else { return None };
    (info.kind == PushKind::Message).then_some(())?;
    let channel = String::from_redis_value_ref(channel).ok()?;
    Some((channel, Vec::from_redis_value_ref(message).ok()?))
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.wire().is_some() { "Redis(connected)" } else { "Redis(away)" })
    }
}
