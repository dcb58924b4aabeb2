//! Signing keys as everybody may see them: a JSON Web Key Set (RFC 7517), each key named by its own fingerprint.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    ParsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// How a token is signed. The closed list: whatever is not on it does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037): the default.
    #[default]
    EdDsa,
    /// ECDSA with P-256 and SHA-256 (RFC 7518 section 3.4): for clients that can't do better.
    Es256,
}

impl Algorithm {
    /// Its name in `alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// The algorithm of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::EdDsa, Self::Es256].into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(super) const fn as_jwt(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
        }
    }
}

/// A new private key, as PKCS#8 (RFC 5958). Seal it before it is stored.
///
/// # Errors
/// When the system gives no randomness.
pub fn generate_key(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, Error> {
    let random = SystemRandom::new();
    let document = match algorithm {
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random),
        Algorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
    };
    Ok(Zeroizing::new(document.map_err(Error::internal)?.as_ref().to_vec()))
}

/// One public key. Its id is its thumbprint (RFC 7638), so that one id never means two keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kid: String,
    algorithm: Algorithm,
    /// Ed25519: 32 bytes. P-256: the uncompressed point, 65 bytes.
    raw: Vec<u8>,
}

impl PublicKey {
    /// The public half of a PKCS#8 key.
    ///
    /// # Errors
    /// When the bytes are no private key of that algorithm.
    pub(super) fn of_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, Error> {
        let raw = match algorithm {
            Algorithm::EdDsa => {
                Ed25519KeyPair::from_pkcs8(pkcs8).map_err(not_a_key)?.public_key().as_ref().to_vec()
            }
            Algorithm::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
                .map_err(not_a_key)?
                .public_key()
                .as_ref()
                .to_vec(),
        };
        Self::new(algorithm, raw).ok_or_else(|| Error::internal("a public key of an unexpected length"))
    }

    fn new(algorithm: Algorithm, raw: Vec<u8>) -> Option<Self> {
        let length = match algorithm {
            Algorithm::EdDsa => 32,
            Algorithm::Es256 => 65,
        };
        if raw.len() != length || !is_point(algorithm, &raw) {
            return None;
        }
        let mut key = Self { kid: String::new(), algorithm, raw };
        key.kid = URL_SAFE_NO_PAD.encode(Sha256::digest(key.thumbprint_input()));
        Some(key)
    }

    /// An Ed25519 key of 32 bytes.
    pub(super) fn ed25519(raw: Vec<u8>) -> Option<Self> {
        Self::new(Algorithm::EdDsa, raw)
    }

    /// Its bytes.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether a signature (base64url) over these bytes was made with the private half.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &str) -> bool {
        let algorithm = self.algorithm.as_jwt();
        jsonwebtoken::crypto::verify(signature, bytes, &self.decoding_key(), algorithm).unwrap_or(false)
    }

    pub(super) fn decoding_key(&self) -> jsonwebtoken::DecodingKey {
        match self.algorithm {
            Algorithm::EdDsa => jsonwebtoken::DecodingKey::from_ed_der(&self.raw),
            Algorithm::Es256 => jsonwebtoken::DecodingKey::from_ec_der(&self.raw),
        }
    }

    /// The coordinates as a JWK has them; `y` only on a curve that needs it.
    fn coordinates(&self) -> (String, Option<String>) {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self.algorithm {
            Algorithm::EdDsa => (encode(&self.raw), None),
            Algorithm::Es256 => {
                let (x, y) = self.raw.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
                (encode(x), Some(encode(y)))
            }
        }
    }

    /// The members that RFC 7638 section 3.2 lists, in its order. No value in them needs escaping.
    fn thumbprint_input(&self) -> String {
        match self.coordinates() {
            (x, None) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            (x, Some(y)) => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
        }
    }
}

/// Whether the bytes lie on the curve. Only P-256 has an encoding that can be off it; verifying nothing with the key
/// is how the library lets us ask.
fn is_point(algorithm: Algorithm, raw: &[u8]) -> bool {
    match algorithm {
        Algorithm::EdDsa => true,
        Algorithm::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, raw).is_ok(),
    }
}

fn not_a_key(rejected: aws_lc_rs::error::KeyRejected) -> Error {
    Error::internal(format!("the signing key can't be read: {rejected}"))
}

/// A key as RFC 7517 writes it.
#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    alg: String,
    #[serde(rename = "use")]
    purpose: String,
    kid: String,
}

impl From<&PublicKey> for Jwk {
    fn from(key: &PublicKey) -> Self {
        let (kty, crv) = match key.algorithm {
            Algorithm::EdDsa => ("OKP", "Ed25519"),
            Algorithm::Es256 => ("EC", "P-256"),
        };
        let (x, y) = key.coordinates();
        Self {
            kty: kty.to_owned(),
            crv: crv.to_owned(),
            x,
            y,
            alg: key.algorithm.name().to_owned(),
            purpose: "sig".to_owned(),
            kid: key.kid.clone(),
        }
    }
}

impl Jwk {
    /// The key, when it is of a kind we use and is named by its own thumbprint.
    fn read(&self) -> Option<PublicKey> {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let (algorithm, raw) = match (self.kty.as_str(), self.crv.as_str(), self.alg.as_str(), &self.y) {
            ("OKP", "Ed25519", "EdDSA", None) => (Algorithm::EdDsa, decode(&self.x)?),
            ("EC", "P-256", "ES256", Some(y)) => {
                (Algorithm::Es256, [&[4][..], &decode(&self.x)?, &decode(y)?].concat())
            }
            _ => return None,
        };
        PublicKey::new(algorithm, raw).filter(|key| key.kid == self.kid && self.purpose == "sig")
    }
}

/// The keys tokens may be signed with. As JSON it is a JWK set; reading one leaves out keys of other kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicKeys(Vec<Arc<PublicKey>>);

impl PublicKeys {
    /// The set of these keys.
    #[must_use]
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self(keys.into_iter().map(Arc::new).collect())
    }

    /// The key of that id.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&Arc<PublicKey>> {
        self.0.iter().find(|key| key.kid == kid)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.iter().map(Arc::as_ref)
    }
}

#[derive(Serialize, Deserialize)]
struct JwkSet<K> {
    keys: Vec<K>,
}

impl Serialize for PublicKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        JwkSet { keys: self.iter().map(Jwk::from).collect() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let set = JwkSet::<serde_json::Value>::deserialize(deserializer)?;
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()?.read());
        Ok(Self::new(keys.collect()))
    }
}

/// Where the keys come from: auth itself, or its published set. An implementation has its own deadline.
#[async_trait]
pub trait KeySource: Send + Sync + 'static {
    /// All keys that tokens may be signed with right now.
    ///
    /// # Errors
    /// When they can't be had.
    async fn load(&self) -> Result<PublicKeys, Error>;

    /// Another number than before when the keys are others than before, as far as it is known without asking anybody: a
    /// verifier that holds keys of an older revision asks for them anew at once. Always zero where it is not known.
    fn revision(&self) -> u64 {
        0
    }
}
