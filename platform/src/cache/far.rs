//! Values in Redis, for all replicas: looked up on a miss in memory, for keys that are asked for often.
//!
//! Why a write beats a load that is on its way: who finds nothing puts a token there first, then asks the source, and
//! then puts the value in the token's place, in one step and only while it is still his. A writer takes out whatever is
//! there, tokens too, after its commit. So a value that was read before the commit finds its token gone, and a token that
//! was put there afterwards leads to the new value.
//!
//! A connection serves only epochs that are not older than itself (see [`Replica::wire`]): where it leads to, nothing was
//! taken out before.
//!
//! A value carries a tag that only this installation can make, over the value and its place: whoever can write to Redis
//! makes nobody believe what was never true. Left out: that he may put back what was there before in the same epoch; and
//! what else must hold for an answer to be good. The caller has the epoch from a lease that holds.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::hmac;
use metrics::{Counter, counter};
use rand::RngExt;
use redis::Script;

use super::describe;
use super::replica::Replica;
use crate::settings::MasterKey;

/// How long a token waits for its value, in milliseconds. A load that takes longer is not kept.
const TOKEN_MS: u64 = 5_000;

/// What is at a key, or a token that is put there.
static LOOK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local there = redis.call('GET', KEYS[1]) \
         if there then return there end \
         redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) \
         return false",
    )
});

/// A value in the place of its token.
static KEEP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then \
         redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1 end \
         return 0",
    )
});

/// What a value and a token begin with.
const VALUE: u8 = b'v';
const TOKEN: u8 = b't';

/// Bytes of a tag.
const TAG: usize = 32;

/// What makes and knows the tags of values: HMAC-SHA-256.
pub(super) struct Seal(hmac::Key);

impl Seal {
    pub(super) fn new(master_key: &MasterKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &master_key.derive("cache")))
    }

    /// A value as it is put into this place.
    pub(super) fn seal(&self, place: &[u8], text: &[u8]) -> Vec<u8> {
        let tag = hmac::sign(&self.0, &together(place, text));
        [&[VALUE][..], tag.as_ref(), text].concat()
    }

    /// The value that is in this place; none when it is something else, or nobody of this installation put it there.
    fn open<'a>(&self, place: &[u8], there: &'a [u8]) -> Option<&'a [u8]> {
        let (tag, text) = there.strip_prefix(&[VALUE])?.split_at_checked(TAG)?;
        hmac::verify(&self.0, &together(place, text), tag).is_ok().then_some(text)
    }
}

/// A place and a value, so that neither can be taken for a part of the other.
fn together(place: &[u8], text: &[u8]) -> Vec<u8> {
    [&(place.len() as u64).to_be_bytes()[..], place, text].concat()
}

/// How keys and values are written.
pub(super) struct Codec<K, V> {
    pub(super) key: fn(&K) -> Vec<u8>,
    pub(super) read_key: fn(&[u8]) -> Option<K>,
    pub(super) write: fn(&V) -> Option<Vec<u8>>,
    pub(super) read: fn(&[u8]) -> Option<V>,
}

/// The part of a cache that is in Redis.
pub(super) struct Far<K, V> {
    name: &'static str,
    pub(super) replica: Arc<Replica>,
    pub(super) codec: Codec<K, V>,
    hits: Counter,
    misses: Counter,
    kept: Counter,
}

impl<K, V> Far<K, V> {
    pub(super) fn new(name: &'static str, replica: Arc<Replica>, codec: Codec<K, V>) -> Self {
        Self {
            name,
            replica,
            codec,
            hits: counter!(describe::FAR_HITS, "cache" => name),
            misses: counter!(describe::FAR_MISSES, "cache" => name),
            kept: counter!(describe::FAR_KEPT, "cache" => name),
        }
    }

    /// The value of a key in that epoch, from Redis or by `load`.
    pub(super) async fn get_or_load<E, L>(
        &self,
        key: &K,
        epoch: i64,
        load: impl FnOnce() -> L,
    ) -> Result<V, E>
    where
        L: Future<Output = Result<V, E>>,
    {
        let Some(wire) = self.replica.wire(epoch) else { return load().await };
        let place = self.replica.far_key(epoch, self.name, &(self.codec.key)(key));
        let token = [&[TOKEN][..], &rand::rng().random::<u128>().to_be_bytes()].concat();
        let found: Result<Option<Vec<u8>>, _> = wire.run(LOOK.key(&place).arg(&token).arg(TOKEN_MS)).await;
        match found {
            Ok(Some(there)) => {
                let value = self.replica.seal.open(&place, &there);
                if let Some(value) = value.and_then(self.codec.read) {
                    self.hits.increment(1);
                    return Ok(value);
                }
                self.misses.increment(1);
                load().await
            }
            Ok(None) => {
                self.misses.increment(1);
                let value = load().await?;
                if let Some(text) = (self.codec.write)(&value) {
                    let ttl = u64::try_from(self.replica.manners.ttl.as_millis()).unwrap_or(u64::MAX);
                    let kept = self.replica.seal.seal(&place, &text);
                    let stored = wire.run::<i64>(KEEP.key(&place).arg(&token).arg(&kept).arg(ttl)).await;
                    self.kept.increment(u64::from(stored.is_ok_and(|stored| stored == 1)));
                }
                Ok(value)
            }
            Err(_) => load().await,
        }
    }

    /// Takes a value out, of which nobody has to be told because it is not wrong.
    pub(super) async fn drop_old(&self, key: &K) {
        let Some(epoch) = self.replica.stamp() else { return };
        let Some(wire) = self.replica.wire(epoch) else { return };
        let place = self.replica.far_key(epoch, self.name, &(self.codec.key)(key));
        // It goes by itself in time.
        let _ = wire.call::<()>(redis::cmd("DEL").arg(place)).await;
    }
}
