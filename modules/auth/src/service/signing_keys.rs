//! The keys that sign access tokens, as this process holds them: sealed by the master key in the database, opened in
//! memory, and published without their private halves.
//!
//! A key is published from its creation on, signs from its `not_before` on, and is believed until it retires. So what
//! a key may do follows from the clock, and every process that has read the rows switches at the same moment. They are
//! read anew all the time, so that what another process or an operator did is known here within seconds. Left out:
//! making new ones and retiring old ones, see `rotate_keys.rs`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use contracts::{Error, Time};
use platform::clock::Clock;
use platform::db::{Database, Json};
use platform::settings::MasterKey;
use platform::tokens::{Algorithm, PublicKeys, Signer, generate_key};
use serde_json::{Value, json};

use super::Service;
use super::discovery::Published;
use crate::settings::SigningAlgorithm;
use crate::store::signing_keys::{self, SigningKeyRow};

/// What is held is read anew when it is older than this, should the background work not have done so.
const HELD_FOR: Duration = Duration::from_secs(10);

/// The keys, as they were read last.
pub(super) struct SigningKeys {
    algorithm: Algorithm,
    master_key: MasterKey,
    /// The issuer, which stands in what is published.
    issuer: String,
    held: RwLock<Arc<Held>>,
    /// Rises whenever other keys are published than before.
    revision: AtomicU64,
    /// One at a time, so that what was read first never replaces what was read last.
    refreshing: tokio::sync::Mutex<()>,
}

/// What was read at one moment.
struct Held {
    at: Time,
    /// Those that had not retired, oldest first.
    keys: Vec<Arc<Key>>,
    published: Arc<Published>,
}

/// A key that has not retired.
pub(super) struct Key {
    pub(super) kid: String,
    pub(super) sequence: i64,
    algorithm: String,
    pub(super) created_at: Time,
    not_before: Time,
    retired_at: Option<Time>,
    public_jwk: Value,
    /// None when it can't be opened here.
    signer: Option<Signer>,
}

impl SigningKeys {
    /// Reads the keys, and makes the first one when there is none. When several processes start at once, the sequence lets
    /// one of them make it, and the others find it. Whether one of them is of this algorithm is for the caller to see.
    pub(super) async fn open(
        db: &Database,
        clock: &Clock,
        master_key: MasterKey,
        issuer: &str,
        algorithm: SigningAlgorithm,
    ) -> Result<Self, Error> {
        let algorithm = match algorithm {
            SigningAlgorithm::EdDsa => Algorithm::EdDsa,
            SigningAlgorithm::Es256 => Algorithm::Es256,
        };
        let nothing = Held { at: Time::MIN, keys: Vec::new(), published: Arc::default() };
        let (held, revision) = (RwLock::new(Arc::new(nothing)), AtomicU64::new(0));
        let refreshing = tokio::sync::Mutex::default();
        let keys = Self { algorithm, master_key, issuer: issuer.to_owned(), held, revision, refreshing };
        loop {
            let now = clock.now();
            let last = signing_keys::last_sequence(&mut *db.read().await?).await?;
            keys.refresh(db, now).await?;
            if !keys.held().keys.is_empty() {
                return Ok(keys);
            }
            let row = keys.make(last.saturating_add(1), now, now)?;
            if signing_keys::insert(&mut *db.write().await?, &row).await? {
                tracing::info!(kid = row.kid, algorithm = algorithm.name(), "made a signing key");
            }
        }
    }

    /// A new key, to be stored.
    pub(super) fn make(&self, sequence: i64, now: Time, not_before: Time) -> Result<SigningKeyRow, Error> {
        let pkcs8 = generate_key(self.algorithm)?;
        let signer = Signer::from_pkcs8(self.algorithm, &pkcs8)?;
        Ok(SigningKeyRow {
            kid: signer.kid().to_owned(),
            sequence,
            algorithm: self.algorithm.name().to_owned(),
            private_key: self.master_key.seal(signer.kid().as_bytes(), &pkcs8)?,
            public_jwk: Json(public_jwk(&signer)?),
            created_at: now,
            not_before,
            retired_at: None,
        })
    }

    /// Reads the keys anew.
    ///
    /// # Errors
    /// When the database does not answer; at the start also when a key can't be opened with the master key.
    pub(super) async fn refresh(&self, db: &Database, now: Time) -> Result<(), Error> {
        let _one_at_a_time = self.refreshing.lock().await;
        let rows = signing_keys::published(&mut *db.read().await?, now).await?;
        let before = self.held();
        let keys: Vec<Arc<Key>> =
            rows.into_iter().map(|row| self.key(&before, row).map(Arc::new)).collect::<Result<_, _>>()?;
        let same = keys.iter().map(|key| &key.kid).eq(before.keys.iter().map(|key| &key.kid));
        let published = if same && before.at != Time::MIN {
            Arc::clone(&before.published)
        } else {
            let jwks: Vec<Value> = keys.iter().map(|key| key.public_jwk.clone()).collect();
            Arc::new(Published::of(&self.issuer, &jwks)?)
        };
        let held = Arc::new(Held { at: now, keys, published });
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        if !same {
            self.revision.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    /// The key of a row; what was opened before is not opened again.
    fn key(&self, before: &Held, row: SigningKeyRow) -> Result<Key, Error> {
        let known = before.keys.iter().find(|key| key.kid == row.kid);
        let signer = match known.and_then(|key| key.signer.clone()) {
            Some(signer) => Some(signer),
            None if row.algorithm == self.algorithm.name() => match self.unseal(&row) {
                Ok(signer) => Some(signer),
                Err(error) if before.at == Time::MIN => return Err(error),
                Err(error) => {
                    tracing::error!(kid = row.kid, code = %error.code, "a signing key can't be opened here: other master key?");
                    None
                }
            },
            None => None,
        };
        Ok(Key {
            kid: row.kid,
            sequence: row.sequence,
            algorithm: row.algorithm,
            created_at: row.created_at,
            not_before: row.not_before,
            retired_at: row.retired_at,
            public_jwk: row.public_jwk.0,
            signer,
        })
    }

    fn unseal(&self, row: &SigningKeyRow) -> Result<Signer, Error> {
        let pkcs8 = self.master_key.open(row.kid.as_bytes(), &row.private_key)?;
        Signer::from_pkcs8(self.algorithm, &pkcs8)
    }

    /// The key that signs at this moment; the oldest when the clock says that it is too early for all of them.
    fn newest(&self, now: Time) -> Option<Arc<Key>> {
        let held = self.held();
        let good = |key: &&Arc<Key>| key.signer.is_some() && key.retired_at.is_none_or(|at| at > now);
        let newest = held.keys.iter().rev().filter(good).find(|key| key.not_before <= now);
        newest.or_else(|| held.keys.iter().find(good)).cloned()
    }

    /// Signs what is issued at this moment.
    ///
    /// # Errors
    /// 503 while there is no key to sign with.
    pub(super) fn sign<R>(
        &self,
        now: Time,
        sign: impl FnOnce(&Signer) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let key = self.newest(now);
        let signer = key.as_ref().and_then(|key| key.signer.as_ref());
        sign(signer.ok_or_else(|| {
            let text = "Nobody can be logged in right now. Please try again.";
            Error::unavailable("auth.no_signing_key", text).retry_after(1)
        })?)
    }

    /// The newest key of the algorithm in use, whether it signs already or not.
    pub(super) fn latest(&self) -> Option<Arc<Key>> {
        let held = self.held();
        held.keys.iter().rev().find(|key| key.algorithm == self.algorithm.name()).cloned()
    }

    fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Service {
    /// The published halves of all keys that tokens may be signed with.
    pub(crate) async fn public_keys(&self) -> Result<PublicKeys, Error> {
        self.refresh_old_keys().await?;
        Ok(self.keys.held().published.keys.clone())
    }

    /// Rises whenever the published keys are others.
    pub(crate) fn keys_revision(&self) -> u64 {
        self.keys.revision.load(Ordering::SeqCst)
    }

    /// What is published, as it was read a few seconds ago, or longer when the database does not answer.
    pub(crate) async fn published(&self) -> Arc<Published> {
        if let Err(error) = self.refresh_old_keys().await {
            tracing::warn!(code = %error.code, "the signing keys can't be read anew");
        }
        Arc::clone(&self.keys.held().published)
    }

    async fn refresh_old_keys(&self) -> Result<(), Error> {
        let now = self.now();
        if now.since(self.keys.held().at) >= HELD_FOR {
            self.keys.refresh(&self.db, now).await?;
        }
        Ok(())
    }
}

/// One member of a JWK set.
fn public_jwk(signer: &Signer) -> Result<Value, Error> {
    let set =
        serde_json::to_value(PublicKeys::new(vec![signer.public_key().clone()])).map_err(Error::internal)?;
    let key = set.get("keys").and_then(|keys| keys.get(0)).cloned();
    key.ok_or_else(|| Error::internal("a JWK set without its key"))
}

/// The keys of a JWK set.
pub(super) fn read_jwks(keys: &[Value]) -> Result<PublicKeys, Error> {
    serde_json::from_value(json!({ "keys": keys })).map_err(Error::internal)
}
