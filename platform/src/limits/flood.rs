//! Limits against floods: as fast as memory, for this process alone, in memory that never grows.
//!
//! The same buckets as in the database, but forgotten at a restart and not shared between processes. They keep one
//! client from taking the service from all others; what guards a secret is counted in the database.
//!
//! A bucket lives in a set of a few places, chosen by a keyed hash, so that nobody can choose his neighbours. When a set
//! is full, the bucket goes that is the nearest to being full again: whoever floods keeps his.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

use contracts::Time;
use metrics::{Counter, counter};

use super::Limit;

/// Buckets a set has.
const PLACES: usize = 8;

/// Counts takes in this process.
#[derive(Debug)]
pub struct Flood {
    sets: Box<[Mutex<[Place; PLACES]>]>,
    hasher: RandomState,
    forgotten: Counter,
}

/// One bucket, 16 bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Whose it is; 0 is nobody's.
    tag: u64,
    /// When it is full again, in microseconds.
    full_at: i64,
}

/// What a bucket holds after it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Whether it may happen.
    pub allowed: bool,
    /// How many more may happen at once.
    pub left: u32,
    /// Seconds, at least 1: until the bucket is full again, or until the next one may happen when this one may not.
    pub seconds: u32,
}

impl Flood {
    /// Room for about so many buckets, at 16 bytes each; at least for one set.
    #[must_use]
    pub fn new(buckets: usize) -> Self {
        let sets = (0..buckets.div_ceil(PLACES).max(1)).map(|_| Mutex::default()).collect();
        let forgotten = counter!("doorward_limit_buckets_forgotten_total");
        Self { sets, hasher: RandomState::new(), forgotten }
    }

    /// Takes one out of the bucket, when there is one; a refused take costs nothing.
    pub fn take(&self, now: Time, bucket: &impl Hash, limit: Limit) -> Level {
        let tag = self.hasher.hash_one(bucket).max(1);
        let sets = self.sets.len() as u64;
        let place = usize::try_from(tag % sets.max(1)).ok().and_then(|place| self.sets.get(place));
        let Some(set) = place else { return limit.level(now, now.micros(), true) };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let mine_or_the_fullest =
            |place: &&mut Place| if place.tag == tag { i64::MIN } else { place.full_at };
        let Some(place) = set.iter_mut().min_by_key(mine_or_the_fullest) else {
            return limit.level(now, now.micros(), true);
        };
        if place.tag != tag {
            if place.full_at > now.micros() {
                self.forgotten.increment(1);
            }
            *place = Place { tag, full_at: now.micros() };
        }
        // A clock that was set back must not lock anybody out for longer than a window.
        let full_at = place.full_at.clamp(now.micros(), limit.empty_full_at(now));
        let allowed = limit.capacity > 0 && full_at <= limit.latest_full_at(now);
        place.full_at = if allowed { full_at.saturating_add(limit.interval()) } else { full_at };
        limit.level(now, place.full_at, allowed)
    }
}

impl Limit {
    pub(super) fn level(self, now: Time, full_at: i64, allowed: bool) -> Level {
        let missing = full_at.saturating_sub(now.micros()).max(0);
        let whole = self.interval().saturating_mul(i64::from(self.capacity));
        let left = whole.saturating_sub(missing).checked_div(self.interval()).unwrap_or(0);
        let wait = if allowed { missing } else { full_at.saturating_sub(self.latest_full_at(now)) };
        Level {
            allowed,
            left: u32::try_from(left).unwrap_or(0),
            seconds: u32::try_from(wait.saturating_add(999_999) / 1_000_000).unwrap_or(u32::MAX).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TEN_A_MINUTE: Limit = Limit { capacity: 10, window: Duration::from_secs(60) };

    fn at(seconds: i64) -> Time {
        Time::from_micros((1_800_000_000 + seconds) * 1_000_000)
    }

    #[test]
    fn a_bucket_gives_its_capacity_at_once_and_then_one_an_interval() {
        let flood = Flood::new(64);
        for left in (0..10).rev() {
            let level = flood.take(at(0), &"mia", TEN_A_MINUTE);
            assert_eq!(level, Level { allowed: true, left, seconds: 60 - 6 * left });
        }
        assert_eq!(flood.take(at(0), &"mia", TEN_A_MINUTE), Level { allowed: false, left: 0, seconds: 6 });
        assert!(flood.take(at(0), &"tom", TEN_A_MINUTE).allowed, "one bucket each");
        assert!(
            !flood.take(at(5), &"mia", TEN_A_MINUTE).allowed,
            "refused takes and five seconds bring nothing"
        );
        assert!(flood.take(at(6), &"mia", TEN_A_MINUTE).allowed);
        assert_eq!(flood.take(at(600), &"mia", TEN_A_MINUTE).left, 9);
    }

    #[test]
    fn a_clock_that_goes_back_locks_nobody_out_for_longer_than_a_window() {
        let flood = Flood::new(64);
        while flood.take(at(86_400), &"mia", TEN_A_MINUTE).allowed {}
        assert_eq!(flood.take(at(0), &"mia", TEN_A_MINUTE), Level { allowed: false, left: 0, seconds: 6 });
        assert!(flood.take(at(6), &"mia", TEN_A_MINUTE).allowed);
    }

    #[test]
    fn a_crowd_pushes_out_itself_and_not_the_one_who_floods() {
        let flood = Flood::new(PLACES);
        while flood.take(at(0), &"flooder", TEN_A_MINUTE).allowed {}
        for stranger in 0..10_000 {
            assert!(flood.take(at(0), &stranger, TEN_A_MINUTE).allowed);
        }
        assert!(!flood.take(at(0), &"flooder", TEN_A_MINUTE).allowed, "the crowd freed the flooder");
    }

    #[test]
    fn threads_together_get_no_more_than_there_is() {
        let (flood, limit) = (Flood::new(64), Limit { capacity: 500, window: Duration::from_secs(3600) });
        let take_all = || (0..1_000).filter(|_| flood.take(at(0), &"all", limit).allowed).count();
        let taken: usize = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4).map(|_| scope.spawn(take_all)).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(taken, 500);
    }
}
