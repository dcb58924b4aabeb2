//! The keys that sign access tokens: made at the first start, sealed by the master key, published without secrets.
//!
//! The private half is opened once, at the start. The published half is read from the database when a verifier asks,
//! so that a key that another process made is there at once. Left out: rotating, whose columns are there already.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use contracts::{Error, Time};
use platform::clock::Clock;
use platform::db::{Database, Json};
use platform::settings::MasterKey;
use platform::tokens::{Algorithm, PublicKeys, Signer, generate_key};
use serde_json::{Value, json};

use super::Service;
use crate::settings::SigningAlgorithm;
use crate::store::signing_keys::{self, SigningKeyRow};

/// How long the published set is answered from memory.
const PUBLISHED_FOR: Duration = Duration::from_secs(10);

/// The key in use, and the published set as it was read last.
pub(super) struct SigningKeys {
    signer: Signer,
    published: RwLock<Option<(Time, String)>>,
}

impl SigningKeys {
    /// Opens the newest key of the wished algorithm, and makes one when there is none. When several processes start
    /// at once, the sequence lets one of them make it, and the others find it.
    pub(super) async fn open(
        db: &Database,
        clock: &Clock,
        master_key: &MasterKey,
        algorithm: SigningAlgorithm,
    ) -> Result<Self, Error> {
        let algorithm = match algorithm {
            SigningAlgorithm::EdDsa => Algorithm::EdDsa,
            SigningAlgorithm::Es256 => Algorithm::Es256,
        };
        loop {
            let now = clock.now();
            let last = signing_keys::last_sequence(&mut *db.read().await?).await?;
            let keys = signing_keys::published(&mut *db.read().await?, now).await?;
            let usable =
                keys.into_iter().rev().find(|key| key.algorithm == algorithm.name() && key.not_before <= now);
            if let Some(key) = usable {
                let pkcs8 = master_key.open(key.kid.as_bytes(), &key.private_key)?;
                return Ok(Self::with(Signer::from_pkcs8(algorithm, &pkcs8)?));
            }
            let pkcs8 = generate_key(algorithm)?;
            let signer = Signer::from_pkcs8(algorithm, &pkcs8)?;
            let row = SigningKeyRow {
                kid: signer.kid().to_owned(),
                sequence: last.saturating_add(1),
                algorithm: algorithm.name().to_owned(),
                private_key: master_key.seal(signer.kid().as_bytes(), &pkcs8)?,
                public_jwk: Json(public_jwk(&signer)?),
                created_at: now,
                not_before: now,
                retired_at: None,
            };
            if signing_keys::insert(&mut *db.write().await?, &row).await? {
                tracing::info!(kid = signer.kid(), algorithm = algorithm.name(), "made a signing key");
                return Ok(Self::with(signer));
            }
        }
    }

    fn with(signer: Signer) -> Self {
        Self { signer, published: RwLock::default() }
    }

    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }
}

impl Service {
    /// The published halves of all keys that tokens may be signed with.
    pub(crate) async fn public_keys(&self) -> Result<PublicKeys, Error> {
        let rows = signing_keys::published(&mut *self.db.read().await?, self.now()).await?;
        let keys: Vec<Value> = rows.into_iter().map(|row| row.public_jwk.0).collect();
        serde_json::from_value(json!({ "keys": keys })).map_err(Error::internal)
    }

    /// The same as a JWK set, at most a few seconds old.
    pub(crate) async fn published_keys(&self) -> Result<String, Error> {
        let now = self.now();
        let held = self.keys.published.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, set)) = held.filter(|(at, _)| now.since(*at) < PUBLISHED_FOR) {
            return Ok(set);
        }
        let set = serde_json::to_string(&self.public_keys().await?).map_err(Error::internal)?;
        *self.keys.published.write().unwrap_or_else(PoisonError::into_inner) = Some((now, set.clone()));
        Ok(set)
    }
}

/// One member of a JWK set.
fn public_jwk(signer: &Signer) -> Result<Value, Error> {
    let set =
        serde_json::to_value(PublicKeys::new(vec![signer.public_key().clone()])).map_err(Error::internal)?;
    let key = set.get("keys").and_then(|keys| keys.get(0)).cloned();
    key.ok_or_else(|| Error::internal("a JWK set without its key"))
}
