//! What anybody may read about this issuer: its keys (RFC 7517), and where they and its other doors are (OpenID
//! Connect Discovery 1.0 section 3, RFC 8414 section 2).
//!
//! Made once for each set of keys and answered from memory. It names only what is served: what there is none of is left
//! out, as RFC 8414 section 3.2 wants it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::Error;
use platform::tokens::{Algorithm, PublicKeys};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::signing_keys::read_jwks;

/// Where the keys are, below the issuer.
const JWKS: &str = "/.well-known/jwks.json";

/// A document that is answered as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    /// JSON.
    pub(crate) text: String,
    /// A strong entity tag with its quotes: a hash of the text.
    pub(crate) etag: String,
}

/// What is published with one set of keys.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(super) keys: PublicKeys,
    pub(crate) jwks: Document,
    pub(crate) openid: Document,
    pub(crate) oauth: Document,
}

impl Published {
    /// What this issuer publishes with these keys.
    pub(super) fn of(issuer: &str, jwks: &[Value]) -> Result<Self, Error> {
        let keys = read_jwks(jwks)?;
        let mut algorithms: Vec<&str> = keys.iter().map(|key| Algorithm::name(key.algorithm())).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        let jwks_uri = format!("{issuer}{JWKS}");
        let mut openid =
            json!({ "issuer": issuer, "jwks_uri": jwks_uri, "subject_types_supported": ["public"] });
        if let (Some(openid), false) = (openid.as_object_mut(), algorithms.is_empty()) {
            openid.insert("id_token_signing_alg_values_supported".to_owned(), json!(algorithms));
        }
        Ok(Self {
            jwks: Document::of(&serde_json::to_value(&keys).map_err(Error::internal)?),
            openid: Document::of(&openid),
            oauth: Document::of(&json!({ "issuer": issuer, "jwks_uri": jwks_uri })),
            keys,
        })
    }
}

impl Document {
    fn of(value: &Value) -> Self {
        let text = value.to_string();
        let hash: Vec<u8> = Sha256::digest(text.as_bytes()).into_iter().take(18).collect();
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(hash));
        Self { text, etag }
    }
}
