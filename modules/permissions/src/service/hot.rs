//! What hot users may do in the end, at hand without a query and without a wait.
//!
//! Why a change beats what is being worked out meanwhile: who works something out takes a ticket first, and may keep
//! it only while the ticket is good. Forgetting a user raises the epoch of his shard and takes his entry out, under
//! the shard's lock; forgetting everybody raises the generation, which makes every ticket and every entry too old.
//! What an entry is made of was forgotten before, so a ticket taken afterwards leads to the new state.
//!
//! What other processes change is forgotten here as well, and an entry of another epoch of the caches below, or one
//! while they answer nothing, is worth nothing. An entry is kept for a few seconds at most and then made again from
//! those caches. Locks are held for a look-up or a decision, never across an await.

use crate::model::Effective;
use contracts::{Time, UserId};
use platform::cache::Caches;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

const SHARDS: usize = 64;

/// The longest that an entry is kept, in seconds.
const LONGEST_SECONDS: u64 = 5;

/// What is kept of hot users; nothing when caches are switched off.
pub(super) struct Hot {
    shards: Vec<RwLock<Shard>>,
    hasher: RandomState,
    generation: AtomicU64,
    entries_per_shard: usize,
    longest: Duration,
    caches: Caches,
}

#[derive(Default)]
struct Shard {
    epoch: u64,
    kept: HashMap<UserId, Kept>,
}

struct Kept {
    effective: Arc<Effective>,
    generation: u64,
    /// The epoch of the caches that it was made from.
    caches: i64,
    until: Time,
}

/// Says what was true when the work began.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    epoch: u64,
    generation: u64,
    caches: Option<i64>,
}

impl Hot {
    pub(super) fn new(caches: &Caches) -> Self {
        let settings = caches.settings();
        let shards = if settings.enabled { SHARDS } else { 0 };
        let entries = usize::try_from(settings.max_entries).unwrap_or(usize::MAX);
        Self {
            shards: (0..shards).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            generation: AtomicU64::new(0),
            entries_per_shard: (entries / SHARDS).max(1),
            longest: Duration::from_secs(settings.ttl_seconds.clamp(1, LONGEST_SECONDS)),
            caches: caches.clone(),
        }
    }

    /// Reads from what is kept of a user, when it is good at that moment.
    pub(super) fn recall<R>(&self, user: UserId, now: Time, read: impl FnOnce(&Effective) -> R) -> Option<R> {
        let shard = self.shard(user)?.read().unwrap_or_else(PoisonError::into_inner);
        let kept = shard.kept.get(&user)?;
        let good = self.caches.epoch() == Some(kept.caches)
            && kept.generation == self.generation.load(Ordering::SeqCst)
            && now < kept.until
            && kept.effective.is_good_at(now);
        good.then(|| read(&kept.effective))
    }

    /// Begins to work something out.
    pub(super) fn begin(&self, user: UserId) -> Ticket {
        let generation = self.generation.load(Ordering::SeqCst);
        let epoch = |shard: &RwLock<Shard>| shard.read().unwrap_or_else(PoisonError::into_inner).epoch;
        let caches = self.caches.epoch();
        Ticket { epoch: self.shard(user).map(epoch).unwrap_or_default(), generation, caches }
    }

    /// Keeps what was worked out, if nothing that it is made of was forgotten meanwhile.
    pub(super) fn keep(&self, ticket: Ticket, user: UserId, now: Time, effective: &Arc<Effective>) {
        let Some((shard, caches)) = self.shard(user).zip(ticket.caches) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let current = (shard.epoch, self.generation.load(Ordering::SeqCst));
        if (ticket.epoch, ticket.generation) != current {
            return;
        }
        if shard.kept.len() >= self.entries_per_shard && !shard.kept.contains_key(&user) {
            let victim = shard.kept.keys().next().copied();
            victim.and_then(|victim| shard.kept.remove(&victim));
        }
        let (effective, until) = (Arc::clone(effective), now.plus(self.longest));
        shard.kept.insert(user, Kept { effective, generation: ticket.generation, caches, until });
    }

    /// Forgets a user.
    pub(super) fn forget(&self, user: UserId) {
        let Some(shard) = self.shard(user) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        shard.epoch = shard.epoch.wrapping_add(1);
        shard.kept.remove(&user);
    }

    /// Forgets everybody. What is left in the shards is too old to be read and is overwritten or evicted in time.
    pub(super) fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    fn shard(&self, user: UserId) -> Option<&RwLock<Shard>> {
        let place = usize::try_from(self.hasher.hash_one(user) % SHARDS as u64).ok()?;
        self.shards.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Own, Policy};
    use platform::cache::Settings;

    const NOW: Time = Time::MIN;

    fn hot() -> Hot {
        Hot::new(&Caches::alone(&Settings::default()))
    }

    fn anything() -> Arc<Effective> {
        Arc::new(Effective::new(&Policy::default(), &Own::default(), NOW))
    }

    fn is_kept(hot: &Hot, user: UserId, now: Time) -> bool {
        hot.recall(user, now, |_| ()).is_some()
    }

    #[test]
    fn what_was_begun_before_a_change_is_not_kept() {
        let (hot, user) = (hot(), UserId::new());
        let ticket = hot.begin(user);
        hot.forget(user);
        hot.keep(ticket, user, NOW, &anything());
        assert!(!is_kept(&hot, user, NOW));
        let ticket = hot.begin(user);
        hot.forget_all();
        hot.keep(ticket, user, NOW, &anything());
        assert!(!is_kept(&hot, user, NOW));
        hot.keep(hot.begin(user), user, NOW, &anything());
        assert!(is_kept(&hot, user, NOW));
    }

    #[test]
    fn what_is_forgotten_is_gone_at_once() {
        let (hot, one, other) = (hot(), UserId::new(), UserId::new());
        let keep = |user| hot.keep(hot.begin(user), user, NOW, &anything());
        keep(one);
        keep(other);
        hot.forget(one);
        assert!(!is_kept(&hot, one, NOW) && is_kept(&hot, other, NOW));
        hot.forget_all();
        assert!(!is_kept(&hot, other, NOW));
    }

    #[test]
    fn nothing_is_kept_for_long_or_without_bounds() {
        let (hot, user) = (hot(), UserId::new());
        hot.keep(hot.begin(user), user, NOW, &anything());
        let later = NOW.plus(Duration::from_secs(LONGEST_SECONDS));
        assert!(is_kept(&hot, user, later.minus(Duration::from_micros(1))));
        assert!(!is_kept(&hot, user, later));
        let small = Hot::new(&Caches::alone(&Settings { max_entries: 64, ..Settings::default() }));
        for _ in 0..1_000 {
            let user = UserId::new();
            small.keep(small.begin(user), user, NOW, &anything());
        }
        let kept: usize = small.shards.iter().map(|shard| shard.read().unwrap().kept.len()).sum();
        assert!(kept <= 64, "{kept}");
        let off = Hot::new(&Caches::off());
        off.keep(off.begin(user), user, NOW, &anything());
        assert!(!is_kept(&off, user, NOW));
    }
}
