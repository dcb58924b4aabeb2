//! Verifying, in every process by itself. The keys are fetched when they are needed: at the first token, when a key
//! id is new, and every few minutes, so that a withdrawn key is gone everywhere soon.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::{Error, Time};
use jsonwebtoken::Validation;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::keys::{Algorithm, KeySource, PublicKey, PublicKeys};
use super::{ACCESS_TOKEN, AccessClaims, LEEWAY_SECONDS};
use crate::cache::Cache;
use crate::clock::Clock;

/// No token of ours comes near this many bytes.
pub(super) const LONGEST: usize = 8 * 1024;

/// An unknown key id makes us ask for the keys at most this often. A new key must have been published for longer
/// than this before the first token is signed with it.
const RELOAD_AT_MOST: Duration = Duration::from_secs(10);

/// The same while there are no keys at all, so that a slow start is over as soon as auth is there.
const FIRST_LOAD_AT_MOST: Duration = Duration::from_secs(1);

/// Keys are asked for anew after this long.
const RELOAD_AFTER: Duration = Duration::from_secs(300);

/// Why a token did not verify. The first is for logs; a caller is only told that it is not good.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// The token is not good.
    #[error("the token is not good: {0}")]
    Token(&'static str),
    /// The keys can't be had, so nothing can be said.
    #[error("no keys to verify with")]
    Keys(#[source] Error),
}

/// A token whose signature was verified, and the key it was verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    kid: Arc<str>,
    claims: AccessClaims,
}

/// Verified tokens by the SHA-256 of the token: a signature that was good stays good. Times and the key's membership
/// in the set are looked at every time all the same.
pub type VerifiedTokens = Cache<[u8; 32], Arc<Verified>>;

/// Verifies access tokens of one issuer for one audience.
pub struct Verifier {
    issuer: String,
    audience: String,
    source: Arc<dyn KeySource>,
    clock: Clock,
    held: RwLock<Held>,
    /// One reload at a time; the others wait for it and then look again.
    reloading: tokio::sync::Mutex<()>,
    verified: VerifiedTokens,
}

/// The keys as of the last successful load, and when was tried last.
#[derive(Clone, Default)]
struct Held {
    keys: Option<Arc<PublicKeys>>,
    /// What the source said its revision was before the load.
    revision: u64,
    loaded_at: Option<Time>,
    tried_at: Option<Time>,
}

impl Held {
    fn find(&self, kid: &str) -> Option<Arc<PublicKey>> {
        self.keys.as_ref()?.find(kid).cloned()
    }

    fn is_fresh(&self, now: Time, revision: u64) -> bool {
        self.revision == revision && self.loaded_at.is_some_and(|at| now.since(at) < RELOAD_AFTER)
    }

    fn was_just_tried(&self, now: Time) -> bool {
        let pause = if self.keys.is_some() { RELOAD_AT_MOST } else { FIRST_LOAD_AT_MOST };
        self.tried_at.is_some_and(|at| now.since(at) < pause)
    }
}

/// The header of our tokens has these members and no others: `jku`, `x5u`, `jwk`, `crit` and the like are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) typ: String,
    pub(super) kid: String,
}

impl Verifier {
    /// Tokens that `issuer` made for `audience`, signed with the keys of `source`.
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        source: Arc<dyn KeySource>,
        clock: Clock,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            source,
            clock,
            held: RwLock::default(),
            reloading: tokio::sync::Mutex::default(),
            verified: Cache::off(),
        }
    }

    /// The same, with tokens that were verified kept for a while.
    #[must_use]
    pub fn remembering(self, verified: VerifiedTokens) -> Self {
        Self { verified, ..self }
    }

    /// What a token says, when it is good now. Whether its session was revoked must be asked beside this.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn verify(&self, token: &str) -> Result<AccessClaims, Refused> {
        if token.len() > LONGEST {
            return Err(Refused::Token("too long"));
        }
        let digest = Sha256::digest(token.as_bytes()).into();
        let verified = self.verified.get_or_load(&digest, || self.verify_signature(token)).await?;
        self.key(&verified.kid).await?;
        self.check(&verified.claims)?;
        Ok(verified.claims.clone())
    }

    /// Asks for the keys now, as after a rotation.
    ///
    /// # Errors
    /// When they can't be had; those that were held are held on.
    pub async fn reload(&self) -> Result<(), Error> {
        let _one_at_a_time = self.reloading.lock().await;
        self.load(self.clock.now()).await
    }

    async fn verify_signature(&self, token: &str) -> Result<Arc<Verified>, Refused> {
        let header = header(token).ok_or(Refused::Token("no header of ours"))?;
        if header.typ != ACCESS_TOKEN {
            return Err(Refused::Token("not an access token"));
        }
        let key = self.key(&header.kid).await?;
        if Algorithm::named(&header.alg) != Some(key.algorithm()) {
            return Err(Refused::Token("the algorithm is not that of the key"));
        }
        let decoded = jsonwebtoken::decode::<AccessClaims>(token, &key.decoding_key(), &signature_only(&key));
        let claims = decoded.map_err(|_| Refused::Token("signature or claims"))?.claims;
        Ok(Arc::new(Verified { kid: header.kid.into(), claims }))
    }

    fn check(&self, claims: &AccessClaims) -> Result<(), Refused> {
        let now = self.clock.now().seconds();
        let latest_start = now.saturating_add(LEEWAY_SECONDS);
        match () {
            () if claims.iss != self.issuer => Err(Refused::Token("issuer")),
            () if claims.aud != self.audience => Err(Refused::Token("audience")),
            () if claims.exp.saturating_add(LEEWAY_SECONDS) <= now => Err(Refused::Token("expired")),
            () if claims.iat > latest_start => Err(Refused::Token("issued in the future")),
            () if claims.auth_time > latest_start => Err(Refused::Token("logged in in the future")),
            () if claims.exp <= claims.iat => Err(Refused::Token("expired before it was issued")),
            () => Ok(()),
        }
    }

    /// The key of that id. Asks the source when the id is new or what is held is old.
    async fn key(&self, kid: &str) -> Result<Arc<PublicKey>, Refused> {
        let held = self.held();
        if let Some(key) = held.find(kid).filter(|_| held.is_fresh(self.clock.now(), self.source.revision()))
        {
            return Ok(key);
        }
        let _one_at_a_time = self.reloading.lock().await;
        let (now, revision) = (self.clock.now(), self.source.revision());
        let held = self.held();
        let changed = held.keys.is_some() && held.revision != revision;
        let known = held.find(kid).filter(|_| held.is_fresh(now, revision));
        let enough = known.is_some() || (held.was_just_tried(now) && !changed);
        let tried = if enough { Ok(()) } else { self.load(now).await };
        match (self.held(), tried) {
            // Of keys that are known to be others now, none may be believed any more.
            (_, Err(error)) if changed => Err(Refused::Keys(error)),
            (Held { keys: None, .. }, Err(error)) => Err(Refused::Keys(error)),
            (Held { keys: None, .. }, Ok(())) => Err(Refused::Keys(no_keys_yet())),
            (held, _) => held.find(kid).ok_or(Refused::Token("unknown key")),
        }
    }

    async fn load(&self, now: Time) -> Result<(), Error> {
        let revision = self.source.revision();
        let loaded = self.source.load().await;
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.tried_at = Some(now);
        match loaded {
            Ok(keys) => {
                held.keys = Some(Arc::new(keys));
                held.revision = revision;
                held.loaded_at = Some(now);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(code = %error.code, "The keys that access tokens are verified with can't be loaded.");
                Err(error)
            }
        }
    }

    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

fn no_keys_yet() -> Error {
    Error::unavailable("platform.keys_unavailable", "Logins can't be checked right now.").retry_after(1)
}

pub(super) fn header(token: &str) -> Option<Header> {
    let (header, _) = token.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}

/// The library checks form and signature with our key's algorithm; the claims are checked here, by our clock.
pub(super) fn signature_only(key: &PublicKey) -> Validation {
    let mut validation = Validation::new(key.algorithm().as_jwt());
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}
