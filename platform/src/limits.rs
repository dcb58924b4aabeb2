//! Rate limits that survive a restart and hold over all replicas.
//!
//! A bucket starts full, each take costs one, and it fills up evenly (the generic cell rate algorithm, ITU-T I.371):
//! `capacity` takes at once, and in the long run no more than `capacity` a window. One number a bucket is stored, and a
//! take is one statement, so parallel takes can't pass each other. Which operations are limited, and how, is decided
//! by those who own them.
//!
//! Take in a transaction of its own: a take that is rolled back with a refused operation never happened.
//!
//! [`Flood`] is the same without a database: for one process, and fast enough for every request. [`Global`] counts the
//! same over all processes for as long as there is a Redis.

mod flood;
mod global;
mod store;

use std::time::Duration;

use contracts::Time;
use sha2::{Digest, Sha256};

pub use flood::{Flood, Level};
pub use global::Global;

use crate::db::{self, DbConn};

/// One bucket of one operation. It is known by a hash, so that no address or identifier is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// What is limited, such as `auth.login.address`.
    pub operation: &'static str,
    /// For whom: SHA-256 over the length-prefixed parts.
    pub key_hash: [u8; 32],
}

impl Bucket {
    /// The bucket for whom the parts stand together. Addresses can be guessed: where that matters, let a secret be
    /// the first part.
    #[must_use]
    pub fn of(operation: &'static str, parts: &[&[u8]]) -> Self {
        Self { operation, key_hash: hash(parts.iter().copied()) }
    }

    fn id(&self) -> [u8; 32] {
        hash([self.operation.as_bytes(), &self.key_hash])
    }
}

/// A hundred years, in microseconds: longer ones would leave the calendar.
const LONGEST_WINDOW: i64 = 3_155_760_000_000_000;

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many at once, and in each window in the long run; 0 allows nothing.
    pub capacity: u32,
    /// How long an empty bucket needs to be full again.
    pub window: Duration,
}

impl Limit {
    /// How long one take needs to come back, in microseconds.
    fn interval(self) -> i64 {
        let window = i64::try_from(self.window.as_micros()).unwrap_or(LONGEST_WINDOW).min(LONGEST_WINDOW);
        window.checked_div(i64::from(self.capacity)).unwrap_or(LONGEST_WINDOW)
    }

    /// A bucket that is full again at this instant or sooner has one more to give.
    fn latest_full_at(self, now: Time) -> i64 {
        let others = i64::from(self.capacity.saturating_sub(1));
        now.micros().saturating_add(self.interval().saturating_mul(others))
    }

    fn verdict(self, now: Time, full_at: i64) -> Verdict {
        let missing = full_at.saturating_sub(self.latest_full_at(now));
        if missing <= 0 { Verdict::ALLOWED } else { Verdict::refused(missing) }
    }
}

/// What a bucket answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may happen.
    pub allowed: bool,
    /// Seconds until it may, at least 1 when it may not; 0 when it may.
    pub retry_after_secs: u32,
}

impl Verdict {
    const ALLOWED: Self = Self { allowed: true, retry_after_secs: 0 };

    fn refused(micros: i64) -> Self {
        let seconds = u32::try_from(micros.saturating_add(999_999) / 1_000_000).unwrap_or(u32::MAX);
        Self { allowed: false, retry_after_secs: seconds.max(1) }
    }
}

/// Takes one out of the bucket, when there is one.
///
/// # Errors
/// When the database does not answer.
pub async fn take(tx: &mut DbConn, now: Time, bucket: &Bucket, limit: Limit) -> db::Result<Verdict> {
    if limit.capacity == 0 {
        return Ok(Verdict::refused(i64::MAX));
    }
    if store::take(tx, &bucket.id(), now.micros(), limit.interval(), limit.latest_full_at(now)).await? {
        return Ok(Verdict::ALLOWED);
    }
    // The bucket may have filled up since: the refusal stands, with the shortest wait.
    let full_at = store::full_at(tx, &bucket.id()).await?.unwrap_or_default();
    Ok(Verdict::refused(full_at.saturating_sub(limit.latest_full_at(now))))
}

/// What `take` would answer, without taking.
///
/// # Errors
/// When the database does not answer.
pub async fn peek(c: &mut DbConn, now: Time, bucket: &Bucket, limit: Limit) -> db::Result<Verdict> {
    if limit.capacity == 0 {
        return Ok(Verdict::refused(i64::MAX));
    }
    let full_at = store::full_at(c, &bucket.id()).await?.unwrap_or(i64::MIN);
    Ok(limit.verdict(now, full_at))
}

/// Fills the bucket up again, as after a successful login.
///
/// # Errors
/// When the database does not answer.
pub async fn reset(tx: &mut DbConn, bucket: &Bucket) -> db::Result<()> {
    store::delete(tx, &bucket.id()).await.map(|_| ())
}

/// Forgets buckets that were full again before this instant (which must not be in the future), at most
/// [`SWEEP_BATCH`](crate::SWEEP_BATCH) a call; call again until it returns 0.
///
/// # Errors
/// When the database does not answer.
pub async fn sweep(tx: &mut DbConn, before: Time) -> db::Result<usize> {
    let full = store::full(tx, before.micros(), crate::SWEEP_BATCH).await?;
    store::delete_full(tx, full, before.micros()).await
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_not_joined() {
        assert_ne!(Bucket::of("x", &[b"ab", b"c"]), Bucket::of("x", &[b"a", b"bc"]));
        assert_ne!(Bucket::of("x", &[b"ab"]).id(), Bucket::of("y", &[b"ab"]).id());
    }

    #[test]
    fn a_refusal_tells_when_the_next_one_comes_back() {
        let limit = Limit { capacity: 6, window: Duration::from_secs(60) };
        let now = Time::from_micros(1_000_000_000);
        assert_eq!(limit.verdict(now, i64::MIN), Verdict::ALLOWED);
        assert_eq!(limit.verdict(now, now.plus(Duration::from_secs(50)).micros()), Verdict::ALLOWED);
        let empty = limit.verdict(now, now.plus(Duration::from_secs(60)).micros());
        assert_eq!(empty, Verdict { allowed: false, retry_after_secs: 10 });
    }
}
