//! What caches come from: one for a process, given to every module.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::far::{Codec, Far, Seal};
use super::replica::{Manners, Replica};
use super::{Cache, Settings, describe};
use crate::clock::Clock;
use crate::db::{self, Database};
use crate::redis::Redis;
use crate::settings::MasterKey;

/// Makes caches. Cheap to clone; clones belong to the same replica.
#[derive(Clone)]
pub struct Caches {
    settings: Settings,
    replica: Option<Arc<Replica>>,
}

impl Caches {
    /// Caches of a process that is the only one to change what they hold.
    #[must_use]
    pub fn alone(settings: &Settings) -> Self {
        Self { settings: settings.clone(), replica: None }
    }

    /// Caches that keep nothing, where nobody else keeps anything either.
    #[must_use]
    pub fn off() -> Self {
        Self::alone(&Settings { enabled: false, ..Settings::default() })
    }

    /// Caches of one of several processes that share a database. Nothing is kept before [`Caches::join`], and changes are
    /// made known by [`Caches::run`], which has to run. Where no Redis is, only a process without peers keeps anything.
    ///
    /// `db` should be a way to the database of its own: when the lease waits for a connection, nothing is kept. With
    /// `enabled` switched off nothing is kept here, and the others are told of changes all the same.
    #[must_use]
    pub fn shared(
        settings: &Settings,
        master_key: &MasterKey,
        db: Database,
        clock: Clock,
        redis: Option<Redis>,
    ) -> Self {
        Self::with_manners(settings, master_key, db, clock, redis, true)
    }

    /// The same, but changes are told to nobody. It answers wrongly: a test must be able to see that.
    #[doc(hidden)]
    #[must_use]
    pub fn deaf_and_dumb(
        settings: &Settings,
        master_key: &MasterKey,
        db: Database,
        clock: Clock,
        redis: Option<Redis>,
    ) -> Self {
        Self::with_manners(settings, master_key, db, clock, redis, false)
    }

    fn with_manners(
        settings: &Settings,
        master_key: &MasterKey,
        db: Database,
        clock: Clock,
        redis: Option<Redis>,
        tells: bool,
    ) -> Self {
        describe::tell();
        let lease = Duration::from_millis(settings.lease_ms);
        let ttl = Duration::from_secs(settings.ttl_seconds);
        let manners = Manners { lease, ttl, keeps: settings.enabled, tells };
        let replica = Arc::new(Replica::new(manners, Seal::new(master_key), db, clock, redis));
        Self { settings: settings.clone(), replica: Some(replica) }
    }

    /// How much is kept, and for how long.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A cache whose values all replicas share. `name` is its label in the metrics and its place in Redis: one of its
    /// own, without a colon. What is kept in Redis is JSON, so that a version that doesn't understand it asks the source.
    #[must_use]
    pub fn shared_cache<K, V>(&self, name: &'static str) -> Cache<K, V>
    where
        K: Hash + Eq + Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
        V: Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
    {
        let Some(replica) = &self.replica else { return Cache::new(name, &self.settings) };
        let codec = Codec {
            // Keys are ids and tuples of them: JSON always has words for them.
            key: |key: &K| serde_json::to_vec(key).unwrap_or_default(),
            read_key: |text: &[u8]| serde_json::from_slice(text).ok(),
            write: |value: &V| serde_json::to_vec(value).ok(),
            read: |text: &[u8]| serde_json::from_slice(text).ok(),
        };
        // Also a replica that keeps nothing has to tell the others.
        let settings = Settings { enabled: true, ..self.settings.clone() };
        let cache = Cache::tiers(name, &settings, Some(Far::new(name, Arc::clone(replica), codec)));
        if let Some(tier) = &cache.0 {
            replica.register(name, Arc::clone(tier) as _);
        }
        cache
    }

    /// The epoch in which something may be kept and answered now; none when nothing may. What was kept in another epoch
    /// is worth nothing.
    #[must_use]
    pub fn epoch(&self) -> Option<i64> {
        match &self.replica {
            Some(replica) => replica.stamp(),
            None => self.settings.enabled.then_some(0),
        }
    }

    /// Says that this replica is there: before anything is served.
    ///
    /// # Errors
    /// When the database does not answer within the length of a lease. [`Caches::run`] goes on trying.
    pub async fn join(&self) -> db::Result<()> {
        match &self.replica {
            Some(replica) => replica.join().await,
            None => Ok(()),
        }
    }

    /// Keeps the lease, and makes changes known: a worker. When it is told to stop, it ends what was begun.
    pub async fn run(&self, stop: CancellationToken) {
        match &self.replica {
            Some(replica) => replica.run(stop).await,
            None => stop.cancelled().await,
        }
    }
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.replica.is_some() { "Caches(shared)" } else { "Caches(alone)" })
    }
}
