//! Rate limits that survive a restart and hold over all replicas.
//!
//! A bucket starts full, each take costs one, and it fills up evenly (the generic cell rate algorithm, ITU-T I.371):
//! `capacity` takes at once, and in the long run no more than `capacity` a window. One number a bucket is stored, and a
//! take is one statement, so parallel takes can't pass each other. Which operations are limited, and how, is decided
//! by those who own them.
//!
//! Take in a transaction of its own: a take that is rolled back with a refused operation never happened.
//!
//! Clocks may be wrong: set back, or not the same in all replicas. What a clock far ahead of this one has left in a bucket
//! means nothing here, so this clock has a row of its own for as long as that lasts. Nobody is locked out until the other
//! clock is reached, and a guesser gets one bucket more for each such clock. Putting the one row right instead would be
//! worse twice: replicas that take turns would find it full each time, and who only looks, or rolls back what was refused,
//! would never put it right.
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

    /// Where it is kept: in the first of these rows, unless a clock far ahead has been there; then in the next one.
    fn rows(&self) -> [[u8; 32]; CLOCKS.len()] {
        CLOCKS.map(|clock| match clock {
            0 => self.id(),
            clock => hash([self.operation.as_bytes(), &self.key_hash, &[clock]]),
        })
    }
}

/// The clocks, each far ahead of the next one, that are told apart: this one and three others.
const CLOCKS: [u8; 4] = [0, 1, 2, 3];

/// How far a clock may be ahead of this one, in microseconds, and still be taken for the same: a minute. The clocks of
/// replicas never quite agree, and a request may wait between asking for the time and taking.
const SAME_CLOCK: i64 = 60_000_000;

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

    /// When a bucket is full again that is empty at this instant.
    fn empty_full_at(self, now: Time) -> i64 {
        self.latest_full_at(now).saturating_add(self.interval())
    }

    /// Whether only a clock far ahead of this one can have left a bucket like this.
    fn is_of_another_clock(self, now: Time, full_at: i64) -> bool {
        full_at > self.empty_full_at(now).saturating_add(SAME_CLOCK)
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
        let seconds = u32::try_from(micros.max(1).saturating_add(999_999) / 1_000_000).unwrap_or(u32::MAX);
        Self { allowed: false, retry_after_secs: seconds }
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
    for row in bucket.rows() {
        if store::take(tx, &row, now.micros(), limit.interval(), limit.latest_full_at(now)).await? {
            return Ok(Verdict::ALLOWED);
        }
        // The bucket may have filled up since: the refusal stands, with the shortest wait.
        let full_at = store::full_at(tx, &row).await?.unwrap_or_default();
        if !limit.is_of_another_clock(now, full_at) {
            return Ok(Verdict::refused(full_at.saturating_sub(limit.latest_full_at(now))));
        }
    }
    Ok(Verdict::refused(limit.interval()))
}

/// What `take` would answer, without taking.
///
/// # Errors
/// When the database does not answer.
pub async fn peek(c: &mut DbConn, now: Time, bucket: &Bucket, limit: Limit) -> db::Result<Verdict> {
    peek_after(c, now, bucket, limit, 0).await
}

/// What `take` would answer once so many others had taken one each, without taking. The limit is always the whole one: by
/// it a bucket is recognised that another clock has left.
///
/// # Errors
/// When the database does not answer.
pub async fn peek_after(
    c: &mut DbConn,
    now: Time,
    bucket: &Bucket,
    limit: Limit,
    others: u32,
) -> db::Result<Verdict> {
    if others >= limit.capacity {
        return Ok(Verdict::refused(i64::MAX));
    }
    let taken = limit.interval().saturating_mul(i64::from(others));
    for row in bucket.rows() {
        let full_at = store::full_at(c, &row).await?.unwrap_or(i64::MIN);
        if !limit.is_of_another_clock(now, full_at) {
            return Ok(limit.verdict(now, full_at.max(now.micros()).saturating_add(taken)));
        }
    }
    Ok(Verdict::refused(limit.interval()))
}

/// Fills the bucket up again, as after a successful login.
///
/// # Errors
/// When the database does not answer.
pub async fn reset(tx: &mut DbConn, bucket: &Bucket) -> db::Result<()> {
    let rows = bucket.rows().iter().map(|row| row.to_vec()).collect();
    store::delete(tx, rows).await.map(|_| ())
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
    fn each_clock_has_a_row_of_its_own_and_the_first_one_is_where_it_was() {
        let bucket = Bucket::of("x", &[b"ab"]);
        let rows = bucket.rows();
        assert_eq!(rows[0], bucket.id());
        assert_eq!(std::collections::BTreeSet::from(rows).len(), CLOCKS.len());
    }

    #[test]
    fn a_refusal_tells_when_the_next_one_comes_back() {
        let limit = Limit { capacity: 6, window: Duration::from_secs(60) };
        let now = Time::from_micros(1_000_000_000);
        assert_eq!(limit.verdict(now, i64::MIN), Verdict::ALLOWED);
        assert_eq!(limit.verdict(now, now.plus(Duration::from_secs(50)).micros()), Verdict::ALLOWED);
        let empty = limit.verdict(now, now.plus(Duration::from_secs(60)).micros());
        assert_eq!(empty, Verdict { allowed: false, retry_after_secs: 10 });
        assert_eq!(Verdict::refused(-1_000_000_000).retry_after_secs, 1, "it has filled up since");
    }
}
