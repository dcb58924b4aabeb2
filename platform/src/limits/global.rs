//! Limits against floods over all processes: counted in Redis, in one visit, and not at all while Redis is away.
//!
//! The same buckets as in [`Flood`](super::Flood), which goes on counting beside it: what one process would refuse is
//! refused without a visit, and when Redis does not answer the process's own count is what remains. Then so many
//! processes together let through so many times as much at most.
//!
//! The clock is that of Redis, so that processes need not agree about the time. A bucket is named by a keyed hash: who
//! reads Redis learns no address.

use std::sync::LazyLock;

use contracts::Time;
use metrics::{Counter, counter, describe_counter};
use redis::Script;

use super::{Bucket, Level, Limit};
use crate::redis::Redis;

const ASKED: &str = "doorward_limits_asked_total";

/// Takes one: answers whether there was one, and for how many microseconds the bucket will not be full.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME') \
         local now = time[1] * 1000000 + time[2] \
         local interval, others = tonumber(ARGV[1]), tonumber(ARGV[2]) \
         local full = tonumber(redis.call('GET', KEYS[1]) or now) \
         full = math.min(math.max(full, now), now + others + interval) \
         if full > now + others then return {0, full - now} end \
         full = full + interval \
         redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000)) \
         return {1, full - now}",
    )
});

/// Counts takes over all processes.
#[derive(Debug)]
pub struct Global {
    redis: Redis,
    key: [u8; 32],
    answered: Counter,
    away: Counter,
}

impl Global {
    /// Counts in this Redis. The key, the same in all processes, keeps addresses from being guessed.
    #[must_use]
    pub fn new(redis: Redis, key: [u8; 32]) -> Self {
        describe_counter!(
            ASKED,
            "Requests of limited operations that were to be counted over all processes, by whether Redis answered."
        );
        let asked = |outcome: &'static str| counter!(ASKED, "outcome" => outcome);
        Self { redis, key, answered: asked("answered"), away: asked("away") }
    }

    /// Takes one out of the bucket, when there is one; a refused take costs nothing. None when Redis is away.
    pub async fn take(&self, operation: &'static str, who: &[&[u8]], limit: Limit) -> Option<Level> {
        let level = self.ask(operation, who, limit).await;
        if level.is_some() { &self.answered } else { &self.away }.increment(1);
        level
    }

    async fn ask(&self, operation: &'static str, who: &[&[u8]], limit: Limit) -> Option<Level> {
        let wire = self.redis.wire()?;
        let bucket = Bucket::of(operation, &[&[&self.key[..]], who].concat());
        let place = [format!("{}:l:", self.redis.prefix()).as_bytes(), &bucket.id()[..16]].concat();
        let others = limit.latest_full_at(Time::from_micros(0));
        let (allowed, missing): (i64, i64) =
            wire.run(TAKE.key(place).arg(limit.interval()).arg(others)).await.ok()?;
        Some(limit.level(Time::from_micros(0), missing, allowed == 1))
    }
}
