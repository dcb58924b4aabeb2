//! Hot data, kept at hand: what is asked for once passes through, what is asked for again is kept.
//!
//! After [`Cache::invalidate`] has come back, no later read answers with what was there before, in any process, not even
//! from a load that was already on its way, and whatever has become of Redis. A process that is alone keeps values in its
//! memory; several that share a database also keep them in Redis and tell each other of changes. What each answer stands
//! on is in `lease` (who may answer, and for how long), `telling` (how a change is made known) and `far` (what may be in
//! Redis).
//!
//! A key is a type of its own, such as `(UserId, Namespace)`; never a string made by joining parts, because two
//! different questions could then have the same key.

mod caches;
mod describe;
mod far;
mod lease;
mod memory;
mod replica;
mod sketch;
mod store;
mod telling;

use std::future::{Future, IntoFuture};
use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub use caches::Caches;
use far::Far;
use memory::Memory;
use replica::{Near, Replica};

/// How much a cache keeps, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether anything is kept at all.
    pub enabled: bool,
    /// At most so many values in memory, at least 16.
    pub max_entries: u64,
    /// At most so many seconds, whatever happens: 1 to 86400.
    pub ttl_seconds: u64,
    /// For how long a process on PostgreSQL may answer from what it has kept without asking the database whether that
    /// is still right, in milliseconds: 100 to 60000. As long waits a change that another process can't be told of; where
    /// processes differ, for the longest.
    pub lease_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { enabled: true, max_entries: 10_000, ttl_seconds: 60, lease_ms: 1_000 }
    }
}

impl Settings {
    /// Everything that is wrong, a sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(1..=86_400).contains(&self.ttl_seconds) {
            problems.push("cache.ttl_seconds must be from 1 to 86400.".to_owned());
        }
        if !(100..=60_000).contains(&self.lease_ms) {
            problems.push("cache.lease_ms must be from 100 to 60000.".to_owned());
        }
        problems
    }
}

/// Values by key. Cheap to clone; clones share what they keep.
pub struct Cache<K, V>(Option<Arc<Tier<K, V>>>);

struct Tier<K, V> {
    name: &'static str,
    memory: Memory<K, V>,
    /// In Redis, for all replicas; none where one process is alone.
    far: Option<Far<K, V>>,
    forgotten: OnceLock<Hook<K>>,
}

type Hook<K> = Box<dyn Fn(&K) + Send + Sync>;

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty cache of this process alone. `name` is its label in the metrics, which count from here on: install them
    /// before. For what several processes may change, ask [`Caches`].
    #[must_use]
    pub fn new(name: &'static str, settings: &Settings) -> Self {
        Self::tiers(name, settings, None)
    }

    fn tiers(name: &'static str, settings: &Settings, far: Option<Far<K, V>>) -> Self {
        let memory = || Memory::new(name, settings);
        Self(
            settings
                .enabled
                .then(|| Arc::new(Tier { name, memory: memory(), far, forgotten: OnceLock::new() })),
        )
    }

    /// A cache that keeps nothing: every read asks the source.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// The value of a key: from here, or by `load`, which runs once however many ask at the same time.
    ///
    /// When a load fails, the next of those who wait runs its own.
    ///
    /// # Errors
    /// Those of `load`. An error is never kept.
    pub async fn get_or_load<E, F, L>(&self, key: &K, load: F) -> Result<V, E>
    where
        F: FnOnce() -> L,
        L: Future<Output = Result<V, E>>,
    {
        let Some(tier) = &self.0 else { return load().await };
        let Some(far) = &tier.far else { return tier.memory.get_or_load(key, 0, |_| load()).await };
        // Without a lease others may change things unheard.
        let Some(epoch) = far.replica.stamp() else { return load().await };
        let ask = async |hot| if hot { far.get_or_load(key, epoch, load).await } else { load().await };
        tier.memory.get_or_load(key, epoch, ask).await
    }

    /// Forgets a key. Call it after the write was committed, also when a write finds that there is nothing left to do,
    /// and await it before the writer gets its answer. It goes on when it is not awaited to the end.
    #[must_use = "await it before the writer gets its answer"]
    pub fn invalidate(&self, key: &K) -> Invalidation {
        self.invalidate_each(std::slice::from_ref(key))
    }

    /// Forgets several keys: see [`Cache::invalidate`].
    #[must_use = "await it before the writer gets its answer"]
    pub fn invalidate_each(&self, keys: &[K]) -> Invalidation {
        let Some(tier) = &self.0 else { return Invalidation::done() };
        keys.iter().for_each(|key| tier.forget_here(key));
        let Some(far) = tier.far.as_ref().filter(|_| !keys.is_empty()) else { return Invalidation::done() };
        let changed = keys.iter().map(|key| (tier.name.to_owned(), (far.codec.key)(key))).collect();
        Invalidation::of(&far.replica, Some(changed))
    }

    /// Forgets everything, for a write of which it is not known what depends on it. Where there are several processes,
    /// this takes the length of a lease.
    #[must_use = "await it before the writer gets its answer"]
    pub fn invalidate_all(&self) -> Invalidation {
        let Some(tier) = &self.0 else { return Invalidation::done() };
        tier.memory.invalidate_all();
        tier.far.as_ref().map_or_else(Invalidation::done, |far| Invalidation::of(&far.replica, None))
    }

    /// Asks the source for a key next time, because what is kept is old, though not wrong: nobody else is told.
    pub async fn refresh(&self, key: &K) {
        let Some(tier) = &self.0 else { return };
        tier.forget_here(key);
        if let Some(far) = &tier.far {
            far.drop_old(key).await;
        }
    }

    /// Calls this with every key that is forgotten because of a change, here or in another process, before the writer
    /// is told. Only the first call counts.
    pub fn when_forgotten(&self, hook: impl Fn(&K) + Send + Sync + 'static) {
        if let Some(tier) = &self.0 {
            // A second one is not taken.
            let _ = tier.forgotten.set(Box::new(hook));
        }
    }
}

impl<K, V> Tier<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn forget_here(&self, key: &K) {
        self.memory.invalidate(key);
        if let Some(hook) = self.forgotten.get() {
            hook(key);
        }
    }
}

impl<K, V> Near for Tier<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn forget(&self, key: &[u8]) {
        match self.far.as_ref().and_then(|far| (far.codec.read_key)(key)) {
            Some(key) => self.forget_here(&key),
            // Written by another version: what it means is not known, so all of it goes.
            None => self.memory.invalidate_all(),
        }
    }
}

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> std::fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Cache(on)" } else { "Cache(off)" })
    }
}

/// A change that is being made known. Its worker goes on when this is dropped.
#[must_use = "await it before the writer gets its answer"]
#[derive(Default)]
pub struct Invalidation(Vec<Part>);

enum Part {
    /// With the worker of that replica.
    Told(oneshot::Receiver<()>, Arc<Replica>),
    /// Made sure of by a suspension.
    Suspension(Arc<Replica>),
}

impl Invalidation {
    /// Nothing to wait for.
    pub fn done() -> Self {
        Self::default()
    }

    /// Both.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn of(replica: &Arc<Replica>, changed: Option<Vec<replica::Changed>>) -> Self {
        if replica.has_no_worker() {
            return Self(vec![Part::Suspension(Arc::clone(replica))]);
        }
        Self(vec![Part::Told(replica.hand_in(changed), Arc::clone(replica))])
    }
}

impl IntoFuture for Invalidation {
    type Output = ();
    type IntoFuture = BoxFuture<'static, ()>;

    /// Comes back when no read answers any more with what was there before.
    fn into_future(self) -> BoxFuture<'static, ()> {
        if self.0.is_empty() {
            return std::future::ready(()).boxed();
        }
        let each = self.0.into_iter().map(async |part| match part {
            Part::Told(wait, replica) => {
                if wait.await.is_err() {
                    replica.suspended().await;
                }
            }
            Part::Suspension(replica) => replica.suspended_by_hand().await,
        });
        join_all(each).map(|_| ()).boxed()
    }
}

impl std::fmt::Debug for Invalidation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Invalidation({})", self.0.len())
    }
}
