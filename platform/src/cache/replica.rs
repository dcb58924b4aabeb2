//! This process as one of several that keep values of one database: its lease, its connection to Redis, and what it
//! owes the others.
//!
//! Everything here runs in one worker, [`Replica::run`]; requests read the lease and hand in what they changed.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use metrics::{counter, gauge};
use rand::RngExt;
use tokio::sync::{Mutex as Turn, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::far::Seal;
use super::lease::{Epoch, Lease, Peer, Visit};
use super::telling::{ACKS, Ack, CHANGES};
use super::{describe, store};
use crate::clock::Clock;
use crate::db::{self, Database};
use crate::redis::{Redis, Wire};

/// What a cache in this process does when somebody, here or elsewhere, changed something.
pub(super) trait Near: Send + Sync {
    /// Forgets a key, as [`super::key`] writes it.
    fn forget(&self, key: &[u8]);
}

/// A changed key: the cache's name, and the key.
pub(super) type Changed = (String, Vec<u8>);

/// Changes whose writer waits until nobody answers with what was there before. No changes: everything changed.
pub(super) struct Job {
    pub(super) changed: Option<Vec<Changed>>,
    pub(super) done: oneshot::Sender<()>,
}

/// How a replica behaves.
#[derive(Clone, Debug)]
pub(super) struct Manners {
    pub(super) lease: Duration,
    /// How long Redis keeps a value.
    pub(super) ttl: Duration,
    /// Whether anything is kept here.
    pub(super) keeps: bool,
    /// Whether changes are told at all. Only a test that wants to see what happens otherwise says no.
    pub(super) tells: bool,
}

/// Changes of others, and that they have heard of ours.
type Told = (mpsc::UnboundedReceiver<Vec<u8>>, mpsc::UnboundedReceiver<Vec<u8>>);

/// What waits for the worker.
struct Inbox {
    jobs: mpsc::UnboundedReceiver<Job>,
    late: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    told: Option<Told>,
}

/// The inbox, while the worker has it. After a panic it is put back for the next run; in any other case nobody will
/// work any more, and whoever waits learns so because it is dropped.
struct Taken<'r> {
    replica: &'r Replica,
    stop: &'r CancellationToken,
    inbox: Option<Inbox>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // Who is stopping is not started again.
        let again = std::thread::panicking() && !self.stop.is_cancelled();
        if let Some(inbox) = self.inbox.take().filter(|_| again) {
            *locked(&self.replica.inbox) = Some(inbox);
        }
    }
}

pub(super) struct Replica {
    pub(super) id: String,
    pub(super) manners: Manners,
    pub(super) seal: Seal,
    db: Database,
    clock: Clock,
    pub(super) redis: Option<Redis>,
    lease: RwLock<Lease>,
    /// The connection, once an epoch was begun for it, and the number of that epoch.
    wire: RwLock<Option<(Wire, i64)>>,
    nears: RwLock<HashMap<&'static str, Arc<dyn Near>>>,
    jobs: mpsc::UnboundedSender<Job>,
    late: mpsc::UnboundedSender<oneshot::Sender<()>>,
    inbox: Mutex<Option<Inbox>>,
    /// Whether the worker has begun once.
    begun: AtomicBool,
    /// The beat; whoever holds it visits the database.
    beat: Turn<i64>,
    pub(super) asks: AtomicU64,
    pub(super) waiting: Mutex<HashMap<u64, mpsc::UnboundedSender<Ack>>>,
    lifted: Mutex<(Option<Instant>, Duration)>,
}

impl Replica {
    pub(super) fn new(
        manners: Manners,
        seal: Seal,
        db: Database,
        clock: Clock,
        redis: Option<Redis>,
    ) -> Self {
        let id = format!("{:032x}", rand::rng().random::<u128>());
        let (jobs, job) = mpsc::unbounded_channel();
        let (late, too_late) = mpsc::unbounded_channel();
        let told = redis.as_ref().map(|redis| (redis.listen(CHANGES), redis.listen(&format!("{ACKS}{id}"))));
        Self {
            id,
            lease: RwLock::new(Lease::new(manners.lease)),
            manners,
            seal,
            db,
            clock,
            redis,
            wire: RwLock::default(),
            nears: RwLock::default(),
            jobs,
            late,
            inbox: Mutex::new(Some(Inbox { jobs: job, late: too_late, told })),
            begun: AtomicBool::new(false),
            beat: Turn::new(0),
            asks: AtomicU64::new(0),
            waiting: Mutex::default(),
            lifted: Mutex::new((None, Duration::ZERO)),
        }
    }

    /// The epoch in which something may be kept and answered now.
    pub(super) fn stamp(&self) -> Option<i64> {
        self.lease().stamp(Instant::now()).filter(|_| self.manners.keeps)
    }

    /// The connection to Redis for values of that epoch.
    ///
    /// There is none for an epoch that is older than the connection: changes were acknowledged in it while nothing could
    /// be taken out of where the connection leads to, so what is there may be old. A reader may still have such an epoch
    /// when the connection is let in.
    pub(super) fn wire(&self, epoch: i64) -> Option<Wire> {
        let wire = self.wire.read().unwrap_or_else(PoisonError::into_inner);
        let fit = wire.as_ref().filter(|(wire, from)| epoch >= *from && !wire.is_broken());
        fit.map(|(wire, _)| wire.clone())
    }

    /// Lets a connection be used from that epoch on, which was begun for it. False, and it is not used, when the epoch
    /// was known before its answer came: changes may have been heard in it without the connection.
    fn let_in(&self, wire: &Wire, epoch: Epoch) -> bool {
        // Under one lock, so that nobody knows the epoch and does not see the connection.
        let mut lease = self.lease_mut();
        let new = lease.epoch().is_none_or(|known| known.number < epoch.number);
        lease.note(epoch, Instant::now());
        if new {
            let mut place = self.wire.write().unwrap_or_else(PoisonError::into_inner);
            *place = Some((wire.clone(), epoch.number));
        }
        new
    }

    pub(super) fn lease(&self) -> RwLockReadGuard<'_, Lease> {
        self.lease.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease_mut(&self) -> RwLockWriteGuard<'_, Lease> {
        self.lease.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register(&self, name: &'static str, near: Arc<dyn Near>) {
        self.nears.write().unwrap_or_else(PoisonError::into_inner).insert(name, near);
    }

    /// Forgets a key in this process.
    pub(super) fn forget(&self, (name, key): &Changed) {
        let near = self.nears.read().unwrap_or_else(PoisonError::into_inner).get(name.as_str()).cloned();
        if let Some(near) = near {
            near.forget(key);
        }
    }

    /// Hands in changes. The receiver is told when nobody answers with what was there before; it is dropped when the
    /// worker has ended.
    pub(super) fn hand_in(&self, changed: Option<Vec<Changed>>) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        // Without the worker the receiver is told that nobody will answer.
        let _ = self.jobs.send(Job { changed, done });
        wait
    }

    /// Whether nobody has worked for this replica yet: it is that of a command, or just being made. A worker that broke
    /// counts, because it comes again.
    pub(super) fn has_no_worker(&self) -> bool {
        !self.begun.load(Ordering::SeqCst)
    }

    /// Makes sure without a worker: by a suspension, unless nobody is there.
    pub(super) async fn suspended_by_hand(&self) {
        let peers = self.soon(async { store::peers(&mut *self.db.write().await?, &self.id).await }).await;
        // Who comes now keeps nothing for the length of a lease, and then reads what was written.
        if !peers.is_ok_and(|peers| peers.is_empty()) {
            self.suspend().await;
        }
    }

    /// Waits until the suspension has made sure of it.
    pub(super) async fn suspended(&self) {
        let (done, wait) = oneshot::channel();
        if self.late.send(done).is_err() || wait.await.is_err() {
            self.suspend().await;
        }
    }

    /// Registers, before anything is served. Without it the first changes would take the length of a lease.
    pub(super) async fn join(&self) -> db::Result<()> {
        self.renew().await.map(|_| ())
    }

    /// Renews the lease, and does what follows from it.
    async fn renew(&self) -> db::Result<()> {
        let mut beat = self.beat.lock().await;
        if self.lease().is_retired() {
            return Ok(());
        }
        let visited = self.visit(&mut beat).await;
        if visited.is_err() {
            counter!(describe::VISITS_FAILED).increment(1);
        }
        visited
    }

    /// Makes sure that this replica knows that epoch.
    pub(super) async fn catch_up(&self, epoch: i64) -> bool {
        let knows = || self.lease().epoch().is_some_and(|known| known.number >= epoch);
        if knows() {
            return true;
        }
        let mut beat = self.beat.lock().await;
        knows() || (!self.lease().is_retired() && self.visit(&mut beat).await.is_ok() && knows())
    }

    async fn visit(&self, beat: &mut i64) -> db::Result<()> {
        *beat += 1;
        let began = Instant::now();
        let read = async {
            let mut c = self.db.write().await?;
            store::beat(&mut c, &self.id, *beat, self.manners.lease, self.clock.now()).await?;
            let peers = store::peers(&mut c, &self.id).await?;
            Ok((peers, store::epoch(&mut c).await?))
        };
        let (peers, epoch) = self.soon(read).await?;
        let other = |peer: &Peer| !peer.length.is_zero() && peer.length != self.manners.lease;
        if *beat == 1 && peers.iter().any(other) {
            tracing::warn!(
                "Another process has another cache.lease_ms: changes that can't be told wait for the longest one."
            );
        }
        let next = self.lease_mut().renew(&Visit { began, ended: Instant::now(), peers, epoch });
        gauge!(describe::PEERS).set(self.lease().peers().len() as f64);
        if next.join {
            if *beat > 1 {
                counter!(describe::LEASES_LOST).increment(1);
            }
            let epoch = self.bump().await?;
            self.lease_mut().joined(epoch, Instant::now());
        }
        for peer in next.gone {
            // It may have ended between a commit and telling of it: what was kept since is not to be trusted. Both or
            // neither, because nobody would begin the epoch later for one that is off the list already.
            let now = self.clock.now().micros();
            let both = self.db.transaction(async |tx| store::bury(tx, &peer, now).await);
            if let Some(epoch) = self.soon(both).await? {
                counter!(describe::EPOCHS).increment(1);
                tracing::warn!(replica = peer.id, "A replica is gone and did not say so.");
                self.lease_mut().note(epoch, Instant::now());
            }
        }
        Ok(())
    }

    async fn bump(&self) -> db::Result<Epoch> {
        let now = self.clock.now().micros();
        let epoch = self.soon(async { store::bump(&mut *self.db.write().await?, now).await }).await;
        counter!(describe::EPOCHS).increment(1);
        epoch
    }

    /// What the database says within the length of a lease.
    async fn soon<T>(&self, answer: impl Future<Output = db::Result<T>>) -> db::Result<T> {
        let late = || db::Error::Unavailable("no answer within a lease".into());
        tokio::time::timeout(self.manners.lease, answer).await.unwrap_or_else(|_| Err(late()))
    }

    /// The worker. When it panics, it can be called again and goes on.
    pub(super) async fn run(&self, stop: CancellationToken) {
        self.begun.store(true, Ordering::SeqCst);
        let inbox = locked(&self.inbox).take();
        let mut taken = Taken { replica: self, stop: &stop, inbox };
        let Some(Inbox { jobs, late, told }) = &mut taken.inbox else {
            return stop.cancelled().await;
        };
        let _in_use = self.redis.as_ref().map(Redis::in_use);
        {
            let work = self.work(&stop, jobs, told);
            let suspend = self.suspend_when_asked(late);
            tokio::select! {
                () = work => {}
                () = suspend => {}
                () = self.keep_lease() => {}
                () = self.keep_wire() => {}
            }
        }
        self.wire.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Settles what was changed here, and answers what is told by others; after a stop for a while longer, until the
    /// others know.
    async fn work(
        &self,
        stop: &CancellationToken,
        jobs: &mut mpsc::UnboundedReceiver<Job>,
        told: &mut Option<Told>,
    ) {
        let mut running = FuturesUnordered::<BoxFuture<'_, ()>>::new();
        let goodbye = self.goodbye(stop);
        tokio::pin!(goodbye);
        loop {
            let (changes, acks) = match told {
                Some((changes, acks)) => (changes.recv().boxed(), acks.recv().boxed()),
                None => (std::future::pending().boxed(), std::future::pending().boxed()),
            };
            tokio::select! {
                () = &mut goodbye => break,
                Some(job) = jobs.recv() => {
                    let mut batch = vec![job];
                    while batch.len() < BATCH && let Ok(job) = jobs.try_recv() {
                        batch.push(job);
                    }
                    running.push(self.settle(batch).boxed());
                }
                Some(change) = changes => running.push(self.hear(change).boxed()),
                Some(ack) = acks => self.acknowledged(&ack),
                Some(()) = running.next(), if !running.is_empty() => {}
            }
        }
        jobs.close();
        while let Ok(job) = jobs.try_recv() {
            running.push(self.settle(vec![job]).boxed());
        }
        let patience = self.lease().patience() * 2;
        let _ = tokio::time::timeout(patience, async { while running.next().await.is_some() {} }).await;
    }

    /// Keeps nothing any more, says so, and waits until the others have seen it.
    async fn goodbye(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        self.lease_mut().retire();
        let left = {
            // After the last visit, which would bring it back.
            let _beat = self.beat.lock().await;
            self.soon(async { store::leave(&mut *self.db.write().await?, &self.id).await }).await
        };
        if left.is_ok() && !self.lease().peers().is_empty() {
            let longest = self.lease().longest();
            tokio::time::sleep(longest / 2).await;
        }
    }

    async fn keep_lease(&self) {
        let third = self.manners.lease / 3;
        loop {
            if self.renew().await.is_ok() {
                self.lift_when_everybody_hears().await;
            }
            gauge!(describe::IN_USE).set(f64::from(u8::from(self.stamp().is_some())));
            let about = third.mul_f64(rand::rng().random_range(0.9..1.0));
            tokio::time::sleep(about).await;
        }
    }

    /// Lets a connection be used once an epoch was begun for it: what it leads to may have missed the last changes.
    async fn keep_wire(&self) {
        let Some(redis) = &self.redis else { return std::future::pending().await };
        let mut connections = redis.watch();
        loop {
            let wire = connections.borrow_and_update().clone();
            self.wire.write().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(wire) = wire {
                while !wire.is_broken() && !self.bump().await.is_ok_and(|epoch| self.let_in(&wire, epoch)) {
                    tokio::time::sleep(self.manners.lease / 3).await;
                }
            }
            if connections.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// One suspension for all who ask while it is being made.
    async fn suspend_when_asked(&self, late: &mut mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
        while let Some(first) = late.recv().await {
            let mut waiting = VecDeque::from([first]);
            loop {
                while let Ok(next) = late.try_recv() {
                    waiting.push_back(next);
                }
                let duty = self.lease().duty(Instant::now());
                match duty {
                    super::lease::Duty::Free => break,
                    super::lease::Duty::Wait(until) => tokio::time::sleep_until(until.into()).await,
                    super::lease::Duty::Tell(_) | super::lease::Duty::Lost => {
                        self.suspend().await;
                        break;
                    }
                }
            }
            for one in waiting {
                // Who gave up meanwhile is not told.
                let _ = one.send(());
            }
        }
    }

    /// Begins an epoch in which nobody keeps anything, and waits until no lease from before it is left.
    async fn suspend(&self) {
        counter!(describe::SUSPENSIONS).increment(1);
        loop {
            let now = self.clock.now().micros();
            // Who comes after the suspension keeps nothing; so those who are there now are all whose leases may hold.
            let begun = async {
                let mut c = self.db.write().await?;
                let epoch = store::suspend(&mut c, now).await?;
                Ok((epoch, store::peers(&mut c, &self.id).await?))
            };
            match self.soon(begun).await {
                Ok((epoch, peers)) => {
                    self.lease_mut().measure(&peers);
                    self.lease_mut().note(epoch, Instant::now());
                    tracing::warn!(
                        "Not every replica heard of a change: nothing is kept until all hear again."
                    );
                    let patience = self.lease().patience();
                    return tokio::time::sleep(patience).await;
                }
                // Nothing can be said as long as the database does not answer.
                Err(_) => tokio::time::sleep(self.manners.lease / 3).await,
            }
        }
    }

    async fn lift_when_everybody_hears(&self) {
        let (epoch, quiet) = {
            let lease = self.lease();
            (lease.epoch(), lease.quiet_since())
        };
        let (Some(epoch), Some(quiet)) = (epoch, quiet) else { return };
        let hold = locked(&self.lifted).1;
        if Instant::now() < quiet + hold || !self.everybody_hears().await {
            return;
        }
        let now = self.clock.now().micros();
        let lifted =
            self.soon(async { store::lift(&mut *self.db.write().await?, epoch.number, now).await }).await;
        if let Ok(Some(epoch)) = lifted {
            self.lease_mut().note(epoch, Instant::now());
            let mut lifted = locked(&self.lifted);
            // One that did not last is followed by a longer one.
            let soon_again = lifted.0.is_some_and(|last| last.elapsed() < self.manners.lease * 30);
            let hold = if soon_again { (lifted.1 * 2).max(self.manners.lease) } else { Duration::ZERO };
            *lifted = (Some(Instant::now()), hold.min(self.manners.lease * 30));
            tracing::info!("Every replica hears of changes again: values are kept again.");
        }
    }

    pub(super) fn next_ask(&self) -> u64 {
        self.asks.fetch_add(1, Ordering::Relaxed)
    }
}

/// Jobs that are told together at most.
const BATCH: usize = 128;

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
