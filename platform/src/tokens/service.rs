//! How a process of Doorward proves to another one which modules it has: a token for each module it asks, good for a
//! minute, signed with the process's own key.
//!
//! The other side has the public half in its settings, so that no process can speak for another one, and a secret that
//! leaks from one can be exchanged alone. Without `jti`: a token that is seen on the way could be used again for a
//! minute, which is what TLS is for. Left out: who may ask what, which stands in the contracts.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::{Error, Module};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::keys::{Algorithm, PublicKey};
use super::signer::Signer;
use super::verifier::{LONGEST, header, signature_only};
use crate::cache::{self, Cache};
use crate::clock::Clock;
use crate::settings::{BadMasterKey, MasterKey};

/// The `typ` of a token between services. No other kind of token has it.
pub const SERVICE_TOKEN: &str = "service+jwt";

/// How long such a token is good, in seconds.
pub const SERVICE_TOKEN_SECONDS: i64 = 60;

/// How far the clocks of two services may be apart, in seconds.
pub const SERVICE_LEEWAY_SECONDS: i64 = 30;

/// What stands before the 32 secret bytes of an Ed25519 key in PKCS#8 (RFC 8410 section 7).
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// What such a token says. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    /// One of the modules of the process that asks.
    iss: Module,
    /// The module that is asked.
    aud: Module,
    iat: i64,
    exp: i64,
    /// Stands for the master key, which all services share: see [`installation`].
    installation: String,
}

/// The private key of a service.
#[derive(Clone)]
pub struct ServiceKey(Signer);

impl ServiceKey {
    /// Reads a key as it is configured: 32 random bytes in base64, as a master key.
    ///
    /// # Errors
    /// [`BadMasterKey`], when it is not 32 random bytes.
    pub fn parse(text: &str) -> Result<Self, BadMasterKey> {
        let seed = Zeroizing::new(MasterKey::parse(text)?.derive("service"));
        let pkcs8 = Zeroizing::new([PKCS8_HEAD.as_slice(), seed.as_slice()].concat());
        Signer::from_pkcs8(Algorithm::EdDsa, &pkcs8).map(Self).map_err(|_| BadMasterKey::Length)
    }

    /// The public half.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    /// A signature over bytes that are no token: base64url.
    ///
    /// # Errors
    /// When signing fails, which is a mistake of ours.
    pub fn sign(&self, bytes: &[u8]) -> Result<String, Error> {
        self.0.sign_bytes(bytes)
    }

    /// The public half, as the settings of the other services have it: 43 characters.
    #[must_use]
    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.public_key().raw())
    }
}

impl std::fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ServiceKey").field(&self.0.kid()).finish()
    }
}

/// The public key of another service, as the settings have it; none when it is not one.
#[must_use]
pub fn read_service_key(text: &str) -> Option<PublicKey> {
    PublicKey::ed25519(URL_SAFE_NO_PAD.decode(text.trim().trim_end_matches('=')).ok()?)
}

/// A name for whoever has this master key, which says nothing about the key: 16 hexadecimal digits.
fn installation(master_key: &MasterKey) -> String {
    let name = Zeroizing::new(master_key.derive("installation"));
    name.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What a process says of itself.
#[derive(Clone, Debug)]
pub struct Identity {
    issuer: Module,
    key: ServiceKey,
    installation: String,
    clock: Clock,
}

impl Identity {
    /// A process that has this module (any one of its modules).
    #[must_use]
    pub fn new(issuer: Module, key: ServiceKey, master_key: &MasterKey, clock: Clock) -> Self {
        Self { issuer, key, installation: installation(master_key), clock }
    }

    /// A token that only this module takes.
    ///
    /// # Errors
    /// When signing fails, which is a mistake of ours.
    pub fn token_for(&self, audience: Module) -> Result<String, Error> {
        let iat = self.clock.now().seconds();
        let installation = self.installation.clone();
        let exp = iat.saturating_add(SERVICE_TOKEN_SECONDS);
        self.key.0.sign(SERVICE_TOKEN, &Claims { iss: self.issuer, aud: audience, iat, exp, installation })
    }
}

/// Whose tokens are taken, and for whom.
pub struct Services {
    here: Vec<Module>,
    keys: Vec<(Module, PublicKey)>,
    installation: String,
    clock: Clock,
    /// Claims by the SHA-256 of the token; times and audience are looked at every time all the same.
    seen: Cache<[u8; 32], Arc<Claims>>,
}

impl Services {
    /// The peers with these keys may ask the modules that are here.
    #[must_use]
    pub fn new(
        here: Vec<Module>,
        keys: Vec<(Module, PublicKey)>,
        master_key: &MasterKey,
        clock: Clock,
    ) -> Self {
        let few = cache::Settings { max_entries: 256, ..cache::Settings::default() };
        let seen = Cache::new("service_tokens", &few);
        Self { here, keys, installation: installation(master_key), clock, seen }
    }

    /// Every module of the process that made this token, when it is good now for this audience; without one, for any
    /// module that is here.
    ///
    /// # Errors
    /// Why it is not, in words for the log.
    pub async fn recognise(
        &self,
        token: &str,
        audience: Option<Module>,
    ) -> Result<Vec<Module>, &'static str> {
        if token.len() > LONGEST {
            return Err("too long");
        }
        let digest = Sha256::digest(token.as_bytes()).into();
        let claims = self.seen.get_or_load(&digest, async || self.signed(token).map(Arc::new)).await?;
        let now = self.clock.now().seconds();
        let for_us = audience.map_or(self.here.contains(&claims.aud), |audience| audience == claims.aud);
        match () {
            () if !for_us || !self.here.contains(&claims.aud) => Err("for another module"),
            () if claims.exp.saturating_add(SERVICE_LEEWAY_SECONDS) <= now => Err("expired"),
            () if claims.iat > now.saturating_add(SERVICE_LEEWAY_SECONDS) => Err("issued in the future"),
            () if !(1..=SERVICE_TOKEN_SECONDS).contains(&claims.exp.saturating_sub(claims.iat)) => {
                Err("good for too long")
            }
            () if claims.installation != self.installation => {
                Err("of a service with another secrets.master_key")
            }
            () => Ok(self.modules_with_key_of(claims.iss)),
        }
    }

    fn signed(&self, token: &str) -> Result<Claims, &'static str> {
        let header = header(token).ok_or("no header of ours")?;
        if header.typ != SERVICE_TOKEN {
            return Err("not a token between services");
        }
        let named = || self.keys.iter().filter(|(_, key)| key.kid() == header.kid);
        let (_, key) = named().next().ok_or("of an unknown key")?;
        if Algorithm::named(&header.alg) != Some(key.algorithm()) {
            return Err("the algorithm is not that of the key");
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.decoding_key(), &signature_only(key));
        let claims = decoded.map_err(|_| "signature or claims")?.claims;
        if named().any(|(module, _)| *module == claims.iss) { Ok(claims) } else { Err("the key of another") }
    }

    /// Modules that live together have one key.
    fn modules_with_key_of(&self, issuer: Module) -> Vec<Module> {
        let key = self.keys.iter().find(|(module, _)| *module == issuer).map(|(_, key)| key.kid());
        let same = self.keys.iter().filter(|(_, other)| Some(other.kid()) == key);
        same.map(|(module, _)| *module).collect()
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").field("here", &self.here).finish_non_exhaustive()
    }
}
