//! The cache itself: a bounded store (moka) behind a gate that admits hot keys, and one flight a key.
//!
//! Why a write beats a load that is on its way: every load is a flight, registered in its shard under the shard's
//! lock. A load may store its value only under that lock and only while its flight is still the registered one; an
//! invalidation, under the same lock, takes the flight off the register and the value out of the store. So either
//! the load stored first, and its value is taken out; or the invalidation came first, and the load finds itself off
//! the register and drops its value. Whoever asks later starts a new flight, which reads what was written. Those who
//! had already joined the old flight asked before the write was acknowledged and may see either value.
//!
//! The register compares flights by identity, which is an epoch per key: a counter per shard would drop loads of
//! neighbours, and a number could wrap. The one counter is the generation of everything, for `invalidate_all`.
//!
//! Values and flights also carry a stamp, which is the epoch of all replicas (see `lease`): those of another epoch are
//! not answered with and not joined.
//!
//! Hits take no lock. The locks here are never held across an await, and nothing in them can fail half-way, so a
//! poisoned one is used on.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::sync::OnceCell;

use super::Settings;
use super::sketch::Sketch;

const SHARDS: usize = 16;

/// A value is kept when its key was asked for this often lately.
const HOT: u8 = 2;

pub(super) struct Memory<K, V> {
    store: moka::sync::Cache<K, Kept<V>, RandomState>,
    shards: [Mutex<Shard<K, V>>; SHARDS],
    hasher: RandomState,
    generation: AtomicU64,
    counters: Counters,
}

/// A value, and the generation and the epoch in which its load began.
#[derive(Clone)]
struct Kept<V> {
    value: V,
    generation: u64,
    stamp: i64,
}

struct Shard<K, V> {
    flights: HashMap<K, Arc<Flight<V>>>,
    sketch: Sketch,
}

/// A load that is on its way, and those who wait for it.
struct Flight<V> {
    value: OnceCell<V>,
    generation: u64,
    stamp: i64,
    /// Whether what became of the value was counted.
    landed: AtomicBool,
}

struct Counters {
    hits: Counter,
    misses: Counter,
    admissions: Counter,
    rejections: Counter,
    invalidations: Counter,
    stale: Counter,
}

impl Counters {
    fn new(cache: &'static str) -> Self {
        Self {
            hits: counter!("doorward_cache_hits_total", "cache" => cache),
            misses: counter!("doorward_cache_misses_total", "cache" => cache),
            admissions: counter!("doorward_cache_admissions_total", "cache" => cache),
            rejections: counter!("doorward_cache_rejections_total", "cache" => cache),
            invalidations: counter!("doorward_cache_invalidations_total", "cache" => cache),
            stale: counter!("doorward_cache_stale_loads_dropped_total", "cache" => cache),
        }
    }
}

impl<K, V> Memory<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(name: &'static str, settings: &Settings) -> Self {
        let entries = settings.max_entries.max(16);
        let per_shard = usize::try_from(entries).unwrap_or(usize::MAX) / SHARDS + 1;
        let shard = || Mutex::new(Shard { flights: HashMap::new(), sketch: Sketch::new(per_shard) });
        Self {
            store: moka::sync::Cache::builder()
                .max_capacity(entries)
                .time_to_live(Duration::from_secs(settings.ttl_seconds.max(1)))
                .build_with_hasher(RandomState::new()),
            shards: std::array::from_fn(|_| shard()),
            hasher: RandomState::new(),
            generation: AtomicU64::new(0),
            counters: Counters::new(name),
        }
    }

    /// The value of a key in the epoch of that stamp. `load` is told whether the key is asked for often.
    pub(super) async fn get_or_load<E, F, L>(&self, key: &K, stamp: i64, load: F) -> Result<V, E>
    where
        F: FnOnce(bool) -> L,
        L: Future<Output = Result<V, E>>,
    {
        if let Some(value) = self.kept(key, stamp) {
            self.counters.hits.increment(1);
            return Ok(value);
        }
        self.counters.misses.increment(1);
        let landing = self.join(key, stamp);
        let hot = landing.hot;
        landing.flight.value.get_or_try_init(|| load(hot)).await.cloned()
    }

    pub(super) fn invalidate(&self, key: &K) {
        let mut shard = self.shard(self.hasher.hash_one(key));
        shard.flights.remove(key);
        self.store.invalidate(key);
        self.counters.invalidations.increment(1);
    }

    /// Raising the generation first makes whatever is kept or on its way too old, wherever it is.
    pub(super) fn invalidate_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        for shard in &self.shards {
            locked(shard).flights.clear();
        }
        self.store.invalidate_all();
        self.counters.invalidations.increment(1);
    }

    fn kept(&self, key: &K, stamp: i64) -> Option<V> {
        let kept = self.store.get(key)?;
        let current = kept.stamp == stamp && kept.generation == self.generation.load(Ordering::SeqCst);
        current.then_some(kept.value)
    }

    /// Joins the flight of a key, or starts it.
    fn join(&self, key: &K, stamp: i64) -> Landing<'_, K, V> {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash);
        shard.sketch.count(hash);
        let generation = self.generation.load(Ordering::SeqCst);
        let hot = shard.sketch.estimate(hash) >= HOT;
        let start =
            || Arc::new(Flight { value: OnceCell::new(), generation, stamp, landed: AtomicBool::new(false) });
        let flight = shard.flights.entry(key.clone()).or_insert_with(start);
        if flight.stamp != stamp {
            *flight = start();
        }
        let flight = Arc::clone(flight);
        Landing { memory: self, key: key.clone(), hash, hot, flight }
    }

    /// What everybody on a flight does in the end; the first one who has a value stores it. One who gave up leaves
    /// the flight to those who still wait, and takes it off the register when nobody does.
    fn land(&self, key: &K, hash: u64, flight: &Arc<Flight<V>>) {
        let mut shard = self.shard(hash);
        let registered = shard.flights.get(key).is_some_and(|current| Arc::ptr_eq(current, flight));
        let value = flight.value.get();
        if !registered {
            if value.is_some() && !flight.landed.swap(true, Ordering::Relaxed) {
                self.counters.stale.increment(1);
            }
            return;
        }
        let nobody_waits = Arc::strong_count(flight) <= 2;
        if value.is_some() || nobody_waits {
            shard.flights.remove(key);
        }
        let Some(value) = value else { return };
        flight.landed.store(true, Ordering::Relaxed);
        if shard.sketch.estimate(hash) >= HOT {
            let (generation, stamp) = (flight.generation, flight.stamp);
            self.store.insert(key.clone(), Kept { value: value.clone(), generation, stamp });
            self.counters.admissions.increment(1);
        } else {
            self.counters.rejections.increment(1);
        }
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<K, V>> {
        // The remainder is below the number of shards; the first one is only named to have no panic here.
        let [first, ..] = &self.shards;
        let place = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        locked(self.shards.get(place).unwrap_or(first))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One who is on a flight. Landing happens in `drop`, so that it also happens to one whose request was cancelled.
struct Landing<'a, K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    memory: &'a Memory<K, V>,
    key: K,
    hash: u64,
    hot: bool,
    flight: Arc<Flight<V>>,
}

impl<K, V> Drop for Landing<'_, K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.memory.land(&self.key, self.hash, &self.flight);
    }
}
