//! One connection, from the moment it stands to the moment it is given up.
//!
//! It never mends itself: what comes back after a break may be another server that has not seen the last writes, and
//! whoever kept something there must know. So the first sign of trouble breaks it for good, and `Redis` makes a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, RedisError, ScriptInvocation, ServerErrorKind, ToRedisArgs};
use tokio::sync::Notify;

/// A connection. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Inner>);

struct Inner {
    link: Link,
    fuse: Arc<Fuse>,
    deadline: Duration,
}

#[derive(Clone)]
pub(super) enum Link {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Whether a connection is broken, and the bell that says so.
#[derive(Default)]
pub(super) struct Fuse {
    blown: AtomicBool,
    bell: Notify,
}

impl Fuse {
    pub(super) fn blow(&self) {
        if !self.blown.swap(true, Ordering::SeqCst) {
            self.bell.notify_one();
        }
    }

    fn is_blown(&self) -> bool {
        self.blown.load(Ordering::SeqCst)
    }
}

/// Nothing, or nothing useful, came back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The connection is broken, or just broke.
    #[error("Redis is away")]
    Away,
    /// Redis did not want to.
    #[error("Redis refused: {0}")]
    Refused(RedisError),
}

impl Wire {
    pub(super) fn new(link: Link, fuse: Arc<Fuse>, deadline: Duration) -> Self {
        Self(Arc::new(Inner { link, fuse, deadline }))
    }

    /// Sends a command and waits for the answer, for one deadline at most.
    pub(crate) async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        self.within(async {
            match self.0.link.clone() {
                Link::One(mut link) => command.query_async(&mut link).await,
                Link::Cluster(mut link) => command.query_async(&mut link).await,
            }
        })
        .await
    }

    /// Runs a script, for one deadline at most.
    pub(crate) async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Failure> {
        self.within(async {
            match self.0.link.clone() {
                Link::One(mut link) => script.invoke_async(&mut link).await,
                Link::Cluster(mut link) => script.invoke_async(&mut link).await,
            }
        })
        .await
    }

    /// Tells everybody who listens on a channel.
    pub(crate) async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), Failure> {
        self.call(redis::cmd("PUBLISH").arg(channel).arg(message)).await
    }

    pub(super) async fn subscribe(&self, channels: impl ToRedisArgs + Send) -> Result<(), Failure> {
        self.within(async {
            match self.0.link.clone() {
                Link::One(mut link) => link.subscribe(channels).await,
                Link::Cluster(mut link) => link.subscribe(channels).await,
            }
        })
        .await
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.0.fuse.is_blown()
    }

    /// Gives it up.
    pub(crate) fn give_up(&self) {
        self.0.fuse.blow();
    }

    /// Waits until it is broken.
    pub(super) async fn broken(&self) {
        while !self.is_broken() {
            self.0.fuse.bell.notified().await;
        }
    }

    async fn within<T>(&self, answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, Failure> {
        if self.is_broken() {
            return Err(Failure::Away);
        }
        match tokio::time::timeout(self.0.deadline, answer).await {
            // What a link that broke meanwhile says may come from another server.
            Ok(_) if self.is_broken() => Err(Failure::Away),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if is_about_the_command(&error) => Err(Failure::Refused(error)),
            Ok(Err(_)) | Err(_) => {
                self.give_up();
                Err(Failure::Away)
            }
        }
    }
}

/// Whether the server is the right one and only minds this command.
fn is_about_the_command(error: &RedisError) -> bool {
    use ServerErrorKind::{ExecAbort, NoPerm, NoScript, ResponseError};
    let of_the_server = matches!(
        error.kind(),
        redis::ErrorKind::Server(ResponseError | ExecAbort | NoScript | NoPerm)
            | redis::ErrorKind::Extension
            | redis::ErrorKind::UnexpectedReturnType
    );
    of_the_server && !error.is_connection_dropped() && !error.is_io_error() && !error.is_timeout()
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_broken() { "Wire(broken)" } else { "Wire" })
    }
}
