//! Idempotency: a request that is sent again with the same key gets the same answer and has its effect once.
//!
//! Key, effect and answer commit together; a request that failed leaves nothing behind and may be sent again. Who
//! reads the key out of a request is the HTTP room. The answer is kept as it is: never use this where an answer holds
//! a secret, such as a token.

mod store;

use std::time::Duration;

use contracts::{Error, Time};
use serde_json::Value;
use sha2::{Digest, Sha256};

use self::store::KeptKey;
use crate::db::{self, DbConn, Work};
use crate::forgotten::{Copy, Shelf};

/// How long an answer is kept: 24 hours.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What the client sent to make its request repeatable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key as the client chose it.
    pub key: String,
    /// Where the key counts: the caller, the method and the path. Two callers can't see each other's answers.
    pub scope: String,
    /// HMAC-SHA-256 of the body, under a key of this installation: an idempotency key is good for one body.
    pub fingerprint: [u8; 32],
}

impl IdempotencyKey {
    /// What is stored of key and scope: SHA-256 over both, each after its length.
    fn hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for part in [&self.scope, &self.key] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}

/// What a request is answered, first time and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status code.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<String>,
    /// The body; `null` for none.
    pub body: Value,
}

/// Runs the effect, or gives the answer it had when this key was used before. Without a key it just runs.
///
/// Requests with the same key wait for each other. An error of the effect must reach the transaction, so that it rolls
/// back: that also frees the key.
///
/// # Errors
/// `platform.idempotency_key_reused` (invalid) when the key came with another body; those of the effect; those of the
/// database.
pub async fn once<E, F>(
    tx: &mut DbConn,
    now: Time,
    key: Option<&IdempotencyKey>,
    effect: F,
) -> Result<Answer, E>
where
    E: From<db::Error> + From<Error>,
    for<'c> F: AsyncFnOnce(&'c mut DbConn) -> Result<Answer, E>
        + Work<&'c mut DbConn, Result<Answer, E>, Future: Send>
        + Send,
{
    let Some(key) = key else { return effect(tx).await };
    let hash = key.hash();
    if store::claim(tx, &hash, &key.fingerprint, now, now.plus(KEPT)).await? {
        let answer = effect(tx).await?;
        store::keep(tx, &hash, &answer).await?;
        return Ok(answer);
    }
    match store::find(tx, &hash).await? {
        Some((fingerprint, _)) if fingerprint != key.fingerprint => Err(reused().into()),
        Some((_, Some(answer))) => Ok(answer),
        _ => Err(unfinished().into()),
    }
}

/// Forgets answers whose time had passed before this instant, at most [`SWEEP_BATCH`](crate::SWEEP_BATCH) a call; call
/// again until it returns 0.
///
/// # Errors
/// When the database does not answer.
pub async fn sweep(tx: &mut DbConn, before: Time) -> db::Result<usize> {
    let expired = store::expired(tx, before, crate::SWEEP_BATCH).await?;
    store::delete_expired(tx, expired, before).await
}

/// Where answers stay for a while. The keys of those that are removed are as good as new.
pub(crate) struct Answers;

impl Shelf for Answers {
    type Id = KeptKey;

    async fn after(c: &mut DbConn, after: Option<&KeptKey>, limit: i64) -> db::Result<Vec<Copy<KeptKey>>> {
        store::copies(c, after, limit).await
    }

    async fn remove(c: &mut DbConn, keys: Vec<KeptKey>) -> db::Result<()> {
        store::delete(c, keys).await
    }
}

fn reused() -> Error {
    Error::invalid(
        "platform.idempotency_key_reused",
        "This idempotency key was already used with another body. Use a new key for a new request.",
    )
}

/// The key was swept between two looks, or its effect failed and was committed all the same.
fn unfinished() -> Error {
    Error::conflict(
        "platform.idempotency_key_unfinished",
        "The first request with this idempotency key left no answer. Use a new key.",
    )
}
