//! The one secret of an installation. Every other key is derived from it by purpose, so that no two purposes share
//! one and none has to be configured.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use contracts::Error;
use zeroize::{Zeroize, Zeroizing};

/// With and without padding; keys are made by many tools.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// 32 random bytes hold about 30 different values; fewer than this many do not happen.
const DISTINCT: usize = 16;

/// Keys that were printed somewhere: examples in documentation and tests of ours and of others.
const PRINTED: [&str; 2] =
    ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="];

/// Where what is sealed by this code begins, so that another way of sealing can be told from it later.
const SEALED_V1: u8 = 1;

/// Why a master key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMasterKey {
    /// Not base64.
    #[error("the master key is not base64; make one with: openssl rand -base64 32")]
    Encoding,
    /// Not 32 bytes.
    #[error("the master key must be exactly 32 bytes in base64; make one with: openssl rand -base64 32")]
    Length,
    /// Nobody rolled dice for it.
    #[error(
        "the master key is a sample, a text or a pattern and not random; make one with: openssl rand -base64 32"
    )]
    Guessable,
}

/// 32 secret bytes, the root of every other key.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Reads a key as it is configured: 32 random bytes in base64, of either alphabet.
    ///
    /// # Errors
    /// [`BadMasterKey`], in a sentence that says what to do.
    pub fn parse(text: &str) -> Result<Self, BadMasterKey> {
        let text = text.trim();
        let bytes =
            STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).map_err(|_| BadMasterKey::Encoding)?;
        let bytes = Zeroizing::new(bytes);
        let key = Self(bytes.as_slice().try_into().map_err(|_| BadMasterKey::Length)?);
        if key.is_guessable() { Err(BadMasterKey::Guessable) } else { Ok(key) }
    }

    /// A new key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).map_err(Error::internal)?;
        Ok(Self(bytes))
    }

    /// The key as it is configured. Whoever calls this is about to write it into a file.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0))
    }

    /// The key for one purpose, named by a label: HKDF-SHA-256 (RFC 5869), of which 32 bytes are one round.
    #[must_use]
    pub fn derive(&self, label: &str) -> [u8; 32] {
        let salt = hmac::Key::new(hmac::HMAC_SHA256, b"doorward");
        let extracted = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&salt, &self.0).as_ref());
        let expanded = hmac::sign(&extracted, &[label.as_bytes(), &[1]].concat());
        let mut key = [0; 32];
        key.iter_mut().zip(expanded.as_ref()).for_each(|(to, from)| *to = *from);
        key
    }

    /// Stands for an e-mail address or a phone number in its one normal form, in hexadecimal digits: the same in
    /// every module, and without the master key nobody finds out whose it is.
    #[must_use]
    pub fn address_key(&self, address: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.derive("addresses"));
        let tag = hmac::sign(&key, address.as_bytes());
        tag.as_ref().iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
    }

    /// Encrypts for storage: AES-256-GCM with a random nonce. `context` says what it is and whose, and must be the
    /// same for opening, so that a sealed value can't be moved to another place.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut text = plain.to_vec();
        let nonce = self
            .sealing_key()?
            .seal_in_place_append_tag(Aad::from(context), &mut text)
            .map_err(|_| Error::internal("sealing failed"))?;
        let mut sealed = vec![SEALED_V1];
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Decrypts what [`MasterKey::seal`] made with the same context.
    ///
    /// # Errors
    /// An internal error when it was sealed with another key or context, or was changed.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let not_ours = || {
            Error::internal(
                "a sealed value can't be opened: it was sealed with another secrets.master_key, or changed",
            )
        };
        let [SEALED_V1, rest @ ..] = sealed else { return Err(not_ours()) };
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or_else(not_ours)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| not_ours())?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .sealing_key()?
            .open_in_place(nonce, Aad::from(context), &mut text)
            .map_err(|_| not_ours())?
            .len();
        text.truncate(length);
        Ok(text)
    }

    fn sealing_key(&self) -> Result<RandomizedNonceKey, Error> {
        let key = Zeroizing::new(self.derive("seal"));
        RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| Error::internal("no sealing key"))
    }

    fn is_guessable(&self) -> bool {
        let mut seen = self.0.to_vec();
        seen.sort_unstable();
        seen.dedup();
        let distinct = seen.len();
        seen.zeroize();
        let text = self.0.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        let steps: Vec<u8> =
            self.0.iter().zip(self.0.iter().skip(1)).map(|(a, b)| b.wrapping_sub(*a)).collect();
        let ladder = steps.windows(2).all(|pair| pair.first() == pair.last());
        let printed = PRINTED.iter().any(|printed| *printed == self.to_base64().as_str());
        distinct < DISTINCT || text || ladder || printed
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_key_is_taken_in_every_spelling() {
        let made = MasterKey::generate().unwrap();
        let text = made.to_base64();
        let url_safe = text.replace('+', "-").replace('/', "_");
        for text in [text.as_str(), text.trim_end_matches('='), &url_safe, &format!(" {}\n", text.as_str())] {
            assert_eq!(MasterKey::parse(text).unwrap().0, made.0, "{text:?}");
        }
    }

    #[test]
    fn a_key_anybody_could_guess_is_refused_with_a_sentence() {
        let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
        let ladder: Vec<u8> = (7..39).collect();
        for (text, why) in [
            ("".to_owned(), BadMasterKey::Length),
            ("changeme!".to_owned(), BadMasterKey::Encoding),
            (encoded(&[9; 31]), BadMasterKey::Length),
            (encoded(&[9; 33]), BadMasterKey::Length),
            (encoded(&[0; 32]), BadMasterKey::Guessable),
            (encoded(&[1, 2, 3, 4].repeat(8)), BadMasterKey::Guessable),
            (encoded(&ladder), BadMasterKey::Guessable),
            (encoded(b"please-change-this-in-production"), BadMasterKey::Guessable),
            (PRINTED[0].to_owned(), BadMasterKey::Guessable),
            (PRINTED[1].to_owned(), BadMasterKey::Guessable),
        ] {
            let error = MasterKey::parse(&text).unwrap_err();
            assert_eq!(error, why, "{text:?}");
            assert!(error.to_string().contains("openssl rand"), "{error}");
        }
    }

    #[test]
    fn derived_keys_are_those_of_rfc_5869() {
        use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
        let key = MasterKey::generate().unwrap();
        let mut expected = [0; 32];
        let extracted = Salt::new(HKDF_SHA256, b"doorward").extract(&key.0);
        extracted.expand(&[b"cursors"], HKDF_SHA256).unwrap().fill(&mut expected).unwrap();
        assert_eq!(key.derive("cursors"), expected);
        assert_ne!(key.derive("cursors"), key.derive("cursor"));
    }

    #[test]
    fn a_sealed_value_opens_only_untouched_and_in_its_place() {
        let key = MasterKey::generate().unwrap();
        let sealed = key.seal(b"auth:key:1", b"secret").unwrap();
        assert_eq!(key.open(b"auth:key:1", &sealed).unwrap().as_slice(), b"secret");
        assert_ne!(sealed, key.seal(b"auth:key:1", b"secret").unwrap());
        assert!(key.open(b"auth:key:2", &sealed).is_err());
        assert!(MasterKey::generate().unwrap().open(b"auth:key:1", &sealed).is_err());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(key.open(b"auth:key:1", &changed).is_err(), "byte {place}");
            assert!(key.open(b"auth:key:1", &sealed[..place]).is_err(), "first {place} bytes");
        }
    }

    #[test]
    fn a_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", MasterKey::generate().unwrap()), "MasterKey(***)");
    }
}
