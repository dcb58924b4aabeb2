//! PBKDF2 (RFC 8018 section 5.2), in the texts of those who use it.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{Algorithm, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512, verify};

use super::{LONGEST_KEY, base64, number};

/// About three seconds.
const MOST_ROUNDS: u32 = 5_000_000;

pub(super) struct Pbkdf2Hash {
    algorithm: Algorithm,
    rounds: NonZeroU32,
    salt: Vec<u8>,
    expected: Vec<u8>,
}

impl Pbkdf2Hash {
    /// Django: `pbkdf2_sha256$600000$salt$hash`; the salt is its own text.
    pub(super) fn parse_django(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split('$').collect();
        let [kind, rounds, salt, hash] = fields.try_into().ok()?;
        let algorithm = match kind {
            "pbkdf2_sha1" => PBKDF2_HMAC_SHA1,
            "pbkdf2_sha256" => PBKDF2_HMAC_SHA256,
            "pbkdf2_sha512" => PBKDF2_HMAC_SHA512,
            _ => return None,
        };
        Self::new(algorithm, number(rounds)?, salt.as_bytes().to_vec(), base64(hash)?)
    }

    /// `$pbkdf2-sha256$i=27500$salt$hash`, or passlib's `$pbkdf2-sha256$29000$salt$hash`.
    pub(super) fn parse_crypt(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.strip_prefix('$')?.split('$').collect();
        let [kind, rounds, salt, hash] = fields.try_into().ok()?;
        let algorithm = match kind {
            "pbkdf2" | "pbkdf2-sha1" => PBKDF2_HMAC_SHA1,
            "pbkdf2-sha256" => PBKDF2_HMAC_SHA256,
            "pbkdf2-sha512" => PBKDF2_HMAC_SHA512,
            _ => return None,
        };
        // What may stand behind a comma is the length, which the hash has anyway.
        let rounds = rounds.strip_prefix("i=").map_or(rounds, |it| it.split(',').next().unwrap_or_default());
        Self::new(algorithm, number(rounds)?, base64(salt)?, base64(hash)?)
    }

    /// ASP.NET Core Identity 3: base64 over 1, the function, the rounds and the salt's length (four bytes each, big
    /// end first), the salt, and the hash.
    pub(super) fn parse_aspnet(text: &str) -> Option<Self> {
        let bytes = base64(text)?;
        let (version, rest) = bytes.split_first()?;
        let (function, rest) = word(rest)?;
        let (rounds, rest) = word(rest)?;
        let (length, rest) = word(rest)?;
        let (salt, hash) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        let algorithm = match function {
            0 => PBKDF2_HMAC_SHA1,
            1 => PBKDF2_HMAC_SHA256,
            2 => PBKDF2_HMAC_SHA512,
            _ => return None,
        };
        (*version == 1).then(|| Self::new(algorithm, rounds, salt.to_vec(), hash.to_vec())).flatten()
    }

    fn new(algorithm: Algorithm, rounds: u32, salt: Vec<u8>, expected: Vec<u8>) -> Option<Self> {
        let fit = rounds <= MOST_ROUNDS && !salt.is_empty() && (16..=LONGEST_KEY).contains(&expected.len());
        let rounds = NonZeroU32::new(rounds).filter(|_| fit)?;
        Some(Self { algorithm, rounds, salt, expected })
    }

    pub(super) fn fits(&self, password: &[u8]) -> bool {
        verify(self.algorithm, self.rounds, &self.salt, password, &self.expected).is_ok()
    }
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*word), rest))
}
