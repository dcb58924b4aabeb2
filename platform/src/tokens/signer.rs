//! Signing. Whoever holds a [`Signer`] can make tokens, so only auth's one mint does.

use contracts::Error;
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

use super::keys::{Algorithm, PublicKey};
use super::{ACCESS_TOKEN, AccessClaims};

/// A private key that signs tokens.
#[derive(Clone)]
pub struct Signer {
    key: EncodingKey,
    public: PublicKey,
}

impl Signer {
    /// The key in this PKCS#8 document.
    ///
    /// # Errors
    /// When the bytes are no private key of that algorithm.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, Error> {
        let key = match algorithm {
            Algorithm::EdDsa => EncodingKey::from_ed_der(pkcs8),
            Algorithm::Es256 => EncodingKey::from_ec_der(pkcs8),
        };
        Ok(Self { key, public: PublicKey::of_pkcs8(algorithm, pkcs8)? })
    }

    /// The half of the key that everybody may have.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The id of the key.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// An access token.
    ///
    /// # Errors
    /// When signing fails, which is a mistake of ours.
    pub fn sign_access(&self, claims: &AccessClaims) -> Result<String, Error> {
        self.sign(ACCESS_TOKEN, claims)
    }

    /// A token of another kind. The kind goes into `typ` (RFC 8725 section 3.11), so that none passes for another.
    ///
    /// # Errors
    /// When signing fails, which is a mistake of ours.
    pub fn sign<C: Serialize>(&self, kind: &str, claims: &C) -> Result<String, Error> {
        let mut header = Header::new(self.public.algorithm().as_jwt());
        header.typ = Some(kind.to_owned());
        header.kid = Some(self.public.kid().to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(Error::internal)
    }

    /// A signature over bytes that are no token: base64url.
    pub(super) fn sign_bytes(&self, bytes: &[u8]) -> Result<String, Error> {
        jsonwebtoken::crypto::sign(bytes, &self.key, self.public.algorithm().as_jwt())
            .map_err(Error::internal)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("kid", &self.public.kid()).finish_non_exhaustive()
    }
}
