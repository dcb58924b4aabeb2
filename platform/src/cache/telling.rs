//! Telling the other replicas of a change, and hearing of theirs.
//!
//! After its commit a writer takes the key out of Redis and out of its own memory, tells the others, and waits until
//! each has done the same and said so. It is content only when all of them did it in the epoch that it did it in itself
//! (in another epoch other keys count), and when its lease still holds then (else somebody may have joined whom it
//! does not know). Whatever else happens, a suspension makes sure of it, which takes the length of a lease.
//!
//! In Redis first, then in memory: a load that took the old value from Redis is then still registered, and dropped. Who
//! has no connection takes nothing out and is content all the same: he reads nothing of that epoch from Redis any more,
//! because the next connection is for later epochs only.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use metrics::counter;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::describe;
use super::lease::{Duty, Held};
use super::replica::{Changed, Job, Replica, locked};
use crate::redis::{Failure, Wire};

/// The channel on which changes are told.
pub(super) const CHANGES: &str = "changes";

/// What the channel begins with on which a writer hears that his change was heard.
pub(super) const ACKS: &str = "heard:";

/// How often a writer begins again because the epoch or its lease went by meanwhile.
const ATTEMPTS: usize = 3;

/// A change, as it is told.
#[derive(Debug, Serialize, Deserialize)]
struct Change {
    ask: u64,
    writer: String,
    epoch: i64,
    /// Who is asked. Others may share the Redis and not the database, and have epochs of their own.
    peers: Vec<String>,
    changed: Vec<Changed>,
}

/// That somebody has heard.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ack {
    ask: u64,
    replica: String,
    epoch: i64,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Heard,
    Again,
    Unheard,
}

impl Replica {
    /// Comes back when nobody answers any more with what was there before these changes.
    pub(super) async fn settle(&self, jobs: Vec<Job>) {
        let all = jobs.iter().any(|job| job.changed.is_none());
        let changed: Vec<Changed> =
            jobs.iter().flat_map(|job| job.changed.iter().flatten().cloned()).collect();
        if self.manners.tells {
            self.make_known(&changed, all).await;
        }
        for job in jobs {
            // Whoever gave up waiting is not told.
            let _ = job.done.send(());
        }
    }

    async fn make_known(&self, changed: &[Changed], all: bool) {
        let mut attempts = 0;
        loop {
            let duty = self.lease().duty(Instant::now());
            match duty {
                Duty::Free => return,
                Duty::Wait(until) => tokio::time::sleep_until(until.into()).await,
                Duty::Tell(held) if attempts < ATTEMPTS && !all => {
                    attempts += 1;
                    match self.tell(&held, changed).await {
                        Outcome::Heard => return,
                        Outcome::Again => {}
                        Outcome::Unheard => attempts = ATTEMPTS,
                    }
                }
                Duty::Tell(_) | Duty::Lost => return self.suspended().await,
            }
        }
    }

    /// Whether all that are there hear what is told.
    pub(super) async fn everybody_hears(&self) -> bool {
        let held = self.lease().held(Instant::now());
        match held {
            Some(held) => self.tell(&held, &[]).await == Outcome::Heard,
            None => false,
        }
    }

    async fn tell(&self, held: &Held, changed: &[Changed]) -> Outcome {
        if let Some(wire) = self.wire(held.epoch)
            && let Err(Failure::Refused(error)) = self.take_out(&wire, held.epoch, changed).await
        {
            tracing::warn!(%error, "Redis does not take a value out.");
            return Outcome::Unheard;
        }
        changed.iter().for_each(|one| self.forget(one));
        if !held.peers.is_empty() {
            match self.ask(held, changed).await {
                Outcome::Heard => {}
                other => return other,
            }
        }
        if Instant::now() < held.until { Outcome::Heard } else { Outcome::Again }
    }

    async fn ask(&self, held: &Held, changed: &[Changed]) -> Outcome {
        let Some(redis) = &self.redis else { return Outcome::Unheard };
        let ask = self.next_ask();
        let (tell, mut heard) = mpsc::unbounded_channel();
        locked(&self.waiting).insert(ask, tell);
        let _forget = Forget(self, ask);
        let (writer, peers) = (self.id.clone(), held.peers.clone());
        let change = Change { ask, writer, epoch: held.epoch, peers, changed: changed.to_vec() };
        let Ok(message) = serde_json::to_vec(&change) else { return Outcome::Unheard };
        if !redis.tell(CHANGES, &message).await {
            return Outcome::Unheard;
        }
        let mut missing = held.peers.clone();
        let all = async {
            while !missing.is_empty() {
                let Some(ack) = heard.recv().await else { return Outcome::Unheard };
                if ack.epoch != held.epoch {
                    return if self.catch_up(ack.epoch).await { Outcome::Again } else { Outcome::Unheard };
                }
                missing.retain(|peer| *peer != ack.replica);
            }
            Outcome::Heard
        };
        tokio::time::timeout(self.patience_with_peers(), all).await.unwrap_or(Outcome::Unheard)
    }

    /// Heard from a peer: does the same here, and says so.
    pub(super) async fn hear(&self, message: Vec<u8>) {
        let Ok(change) = serde_json::from_slice::<Change>(&message) else { return };
        if !change.peers.contains(&self.id) || !self.catch_up(change.epoch).await {
            return;
        }
        for _ in 0..ATTEMPTS {
            let Some(epoch) = self.lease().epoch() else { return };
            if let Some(wire) = self.wire(epoch.number)
                && self.take_out(&wire, epoch.number, &change.changed).await.is_err()
            {
                return;
            }
            change.changed.iter().for_each(|one| self.forget(one));
            if self.lease().epoch() != Some(epoch) {
                continue;
            }
            counter!(describe::HEARD).increment(1);
            let ack = Ack { ask: change.ask, replica: self.id.clone(), epoch: epoch.number };
            if let (Some(redis), Ok(message)) = (&self.redis, serde_json::to_vec(&ack)) {
                redis.tell(&format!("{ACKS}{}", change.writer), &message).await;
            }
            return;
        }
    }

    /// Hands on that somebody has heard.
    pub(super) fn acknowledged(&self, message: &[u8]) {
        let Ok(ack) = serde_json::from_slice::<Ack>(message) else { return };
        if let Some(writer) = locked(&self.waiting).get(&ack.ask) {
            // Nobody waits any more: too late.
            let _ = writer.send(ack);
        }
    }

    /// Takes keys of that epoch out of Redis, with all that is on its way there.
    async fn take_out(&self, wire: &Wire, epoch: i64, changed: &[Changed]) -> Result<(), Failure> {
        let commands: Vec<_> = changed
            .iter()
            .map(|(name, key)| {
                let mut command = redis::cmd("DEL");
                command.arg(self.far_key(epoch, name, key));
                command
            })
            .collect();
        let taken = join_all(commands.iter().map(|command| wire.call::<()>(command))).await;
        taken.into_iter().collect()
    }

    /// Where Redis has a key in an epoch.
    pub(super) fn far_key(&self, epoch: i64, name: &str, key: &[u8]) -> Vec<u8> {
        let prefix = self.redis.as_ref().map_or("", |redis| redis.prefix());
        [format!("{prefix}:c:{epoch}:{name}:").as_bytes(), key].concat()
    }

    fn patience_with_peers(&self) -> Duration {
        self.manners.lease / 4
    }
}

/// Nobody waits for the answers to an ask any more, when it is dropped.
struct Forget<'r>(&'r Replica, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        locked(&self.0.waiting).remove(&self.1);
    }
}
