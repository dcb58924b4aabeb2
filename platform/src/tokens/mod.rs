//! Access tokens: JWTs (RFC 9068) that every process verifies by itself, with keys that auth publishes.
//!
//! The algorithm comes from our key, never from the token; the key comes from our own set, never from an address in
//! the token; every claim is required and typed. Left out: deciding who gets a token, storing keys and rotating
//! them, which is auth's, and whether a session was revoked, which is asked beside this on every request. Beside them,
//! tokens between services, which no user ever has.

mod keys;
mod service;
mod signer;
mod verifier;

use contracts::{SessionId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use keys::{Algorithm, KeySource, PublicKey, PublicKeys, generate_key};
pub use service::{
    Identity, SERVICE_LEEWAY_SECONDS, SERVICE_TOKEN, SERVICE_TOKEN_SECONDS, ServiceKey, Services,
    read_service_key,
};
pub use signer::Signer;
pub use verifier::{Refused, Verified, VerifiedTokens, Verifier};

/// The `typ` of an access token (RFC 9068 section 2.1). No other kind of token has it.
pub const ACCESS_TOKEN: &str = "at+jwt";

/// How far two machines' clocks may be apart, in seconds.
pub const LEEWAY_SECONDS: i64 = 5;

/// What an access token says (RFC 9068 section 2.2). Times are seconds since 1970 (RFC 7519 section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Issuer: the public URL.
    pub iss: String,
    /// Audience: the one it is meant for.
    pub aud: String,
    /// Expires at.
    pub exp: i64,
    /// Issued at.
    pub iat: i64,
    /// The token's own id.
    pub jti: Uuid,
    /// The person.
    pub sub: UserId,
    /// The login it belongs to.
    pub sid: SessionId,
    /// The client that asked for it.
    pub client_id: String,
    /// When the person last proved who they are.
    pub auth_time: i64,
}
