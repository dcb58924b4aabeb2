//! A cache of hot data in this process: what is asked for once passes through, what is asked for again is kept.
//!
//! After [`Cache::invalidate`] returned, no later read answers with what was there before, not even from a load that
//! was already on its way. Left out: other processes. They don't hear an invalidation made here, so where several
//! replicas share a database, use [`Cache::off`].
//!
//! A key is a type of its own, such as `(UserId, Namespace)`; never a string made by joining parts, because two
//! different questions could then have the same key.

mod memory;
mod sketch;

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use memory::Memory;

/// How much a cache keeps, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether anything is kept at all.
    pub enabled: bool,
    /// At most so many values, at least 16.
    pub max_entries: u64,
    /// At most so many seconds, whatever happens.
    pub ttl_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { enabled: true, max_entries: 10_000, ttl_seconds: 60 }
    }
}

/// Values by key. Cheap to clone; clones share what they keep.
pub struct Cache<K, V>(Option<Arc<Memory<K, V>>>);

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty cache. `name` is its label in the metrics, which count from here on: install them before.
    #[must_use]
    pub fn new(name: &'static str, settings: &Settings) -> Self {
        Self(settings.enabled.then(|| Arc::new(Memory::new(name, settings))))
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
        match &self.0 {
            Some(memory) => memory.get_or_load(key, load).await,
            None => load().await,
        }
    }

    /// Forgets a key. Call it after the write was committed and before the writer gets its answer.
    pub fn invalidate(&self, key: &K) {
        if let Some(memory) = &self.0 {
            memory.invalidate(key);
        }
    }

    /// Forgets everything, for a write of which it is not known what depends on it.
    pub fn invalidate_all(&self) {
        if let Some(memory) = &self.0 {
            memory.invalidate_all();
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
