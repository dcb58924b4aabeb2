//! Salted SHA as directories keep it: the hash of password and salt, followed by the salt.

use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};
use subtle::ConstantTimeEq;

use super::base64;

pub(super) struct SaltedSha {
    algorithm: &'static Algorithm,
    expected: Vec<u8>,
    salt: Vec<u8>,
}

impl SaltedSha {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, encoded) = text.strip_prefix('{')?.split_once('}')?;
        let algorithm = match kind.to_ascii_uppercase().as_str() {
            "SSHA" => &SHA1_FOR_LEGACY_USE_ONLY,
            "SSHA256" => &SHA256,
            "SSHA512" => &SHA512,
            _ => return None,
        };
        let bytes = base64(encoded)?;
        let (expected, salt) = bytes.split_at_checked(algorithm.output_len())?;
        let (expected, salt) = (expected.to_vec(), salt.to_vec());
        // What has no salt is found in a table within a second.
        (salt.len() >= 4).then_some(Self { algorithm, expected, salt })
    }

    pub(super) fn fits(&self, password: &[u8]) -> bool {
        let mut context = Context::new(self.algorithm);
        context.update(password);
        context.update(&self.salt);
        context.finish().as_ref().ct_eq(&self.expected).into()
    }
}
