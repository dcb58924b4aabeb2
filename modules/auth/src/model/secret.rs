//! Secrets that travel: one type for each kind, so that none is taken for another one.
//!
//! A secret is 32 random bytes in base64url behind a prefix that names its kind. Only SHA-256 over the whole text is
//! stored; with 256 bits of chance a slow hash would add nothing. The text is shown once, to the one it is for.

use std::fmt;
use std::marker::PhantomData;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::Error;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::FamilyKey;

/// Random bytes in a secret.
const BYTES: usize = 32;
/// Their length in base64url without padding.
const ENCODED: usize = 43;

/// A kind of secret.
pub(crate) trait SecretKind {
    /// What its texts begin with; four characters that no other kind has.
    const PREFIX: &'static str;
}

/// Proves an e-mail address, once.
pub(crate) enum Verification {}
/// Makes the first administrator, once.
pub(crate) enum Setup {}
/// Sets a new password, once.
pub(crate) enum PasswordReset {}
/// Proves an address and sets the first password, once.
pub(crate) enum Invitation {}
/// Ends a login that its owner does not know, once.
pub(crate) enum SessionReport {}
/// Is exchanged for new tokens, once.
pub(crate) enum Refresh {}

impl SecretKind for Verification {
    const PREFIX: &'static str = "dwv_";
}
impl SecretKind for Setup {
    const PREFIX: &'static str = "dws_";
}
impl SecretKind for PasswordReset {
    const PREFIX: &'static str = "dwp_";
}
impl SecretKind for Invitation {
    const PREFIX: &'static str = "dwi_";
}
impl SecretKind for SessionReport {
    const PREFIX: &'static str = "dwe_";
}
impl SecretKind for Refresh {
    const PREFIX: &'static str = "dwr_";
}

/// A secret of one kind. It is wiped when dropped, and `Debug` hides it.
pub(crate) struct Secret<K> {
    text: Zeroizing<String>,
    kind: PhantomData<K>,
}

impl<K: SecretKind> Secret<K> {
    /// A fresh one.
    ///
    /// # Errors
    /// `platform.internal` when the operating system has no randomness to give.
    pub(crate) fn fresh() -> Result<Self, Error> {
        Ok(Self::of_bytes(random::<BYTES>()?.as_slice()))
    }

    /// Reads one. Nothing but this kind's prefix and 43 canonical characters is one: no padding, nothing before,
    /// nothing behind.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(K::PREFIX)?;
        if encoded.len() != ENCODED {
            return None;
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
        (bytes.len() == BYTES).then(|| Self { text: Zeroizing::new(text.to_owned()), kind: PhantomData })
    }

    /// What is stored of it.
    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.text.as_bytes()).into())
    }

    /// The text, for the one it is for.
    pub(crate) fn reveal(&self) -> &str {
        &self.text
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(K::PREFIX.len() + ENCODED));
        text.push_str(K::PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        Self { text, kind: PhantomData }
    }
}

impl Secret<Refresh> {
    /// The one successor of this token in its family. Whoever has the token and the family's key finds the same one
    /// again, so that an answer that got lost can be given again although nobody kept it.
    pub(crate) fn successor(&self, key: &FamilyKey) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
        Self::of_bytes(hmac::sign(&key, self.text.as_bytes()).as_ref())
    }
}

impl<K> Clone for Secret<K> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for Secret<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// SHA-256 over a secret's text: what the database has of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SecretHash(pub(crate) [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(***)")
    }
}

impl FamilyKey {
    /// A fresh one.
    ///
    /// # Errors
    /// `platform.internal` when the operating system has no randomness to give.
    pub(crate) fn fresh() -> Result<Self, Error> {
        Ok(Self(random::<BYTES>()?.to_vec()))
    }
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| Error::internal("no randomness"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_back_and_belongs_to_one_kind() {
        let secret = Secret::<Verification>::fresh().unwrap();
        assert_eq!(secret.reveal().len(), 47);
        assert_eq!(Secret::<Verification>::parse(secret.reveal()).unwrap().hash(), secret.hash());
        assert!(Secret::<Refresh>::parse(secret.reveal()).is_none());
        assert!(Secret::<Setup>::parse(secret.reveal()).is_none());
    }

    #[test]
    fn anything_that_is_not_exactly_a_secret_is_none() {
        let text = Secret::<Refresh>::fresh().unwrap().reveal().to_owned();
        let mut wrong: Vec<String> = (0..text.len()).map(|n| text.chars().take(n).collect()).collect();
        wrong.push(format!("{text}="));
        wrong.push(format!("{text}A"));
        wrong.push(format!(" {text}"));
        wrong.push(format!("{text}\n"));
        wrong.push(text.replacen("dwr_", "DWR_", 1));
        wrong.push(format!("dwr_{}", "+".repeat(43)));
        wrong.push(format!("dwr_{}", "_".repeat(43)));
        for text in wrong {
            assert!(Secret::<Refresh>::parse(&text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn debug_hides_secrets_and_hashes() {
        let secret = Secret::<Refresh>::fresh().unwrap();
        let key = FamilyKey::fresh().unwrap();
        assert_eq!(
            format!("{secret:?} {:?} {key:?}", secret.hash()),
            "Secret(***) SecretHash(***) FamilyKey(***)"
        );
    }

    #[test]
    fn a_token_has_one_successor_a_family() {
        let token = Secret::<Refresh>::fresh().unwrap();
        let (key, other) = (FamilyKey::fresh().unwrap(), FamilyKey::fresh().unwrap());
        let successor = token.successor(&key);
        assert_eq!(successor.reveal(), token.successor(&key).reveal());
        assert!(Secret::<Refresh>::parse(successor.reveal()).is_some());
        assert_ne!(successor.reveal(), token.successor(&other).reveal());
        assert_ne!(successor.reveal(), successor.successor(&key).reveal());
    }
}
