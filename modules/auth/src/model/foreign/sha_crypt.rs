//! SHA-crypt, as Unix systems keep passwords: `$5$` with SHA-256, `$6$` with SHA-512.

use sha_crypt::{PasswordVerifier, ShaCrypt};
use zeroize::Zeroizing;

use super::number;

/// What the format allows at least, and about three seconds at most.
const ROUNDS: std::ops::RangeInclusive<u32> = 1_000..=5_000_000;

pub(super) struct ShaCryptHash(Zeroizing<String>);

impl ShaCryptHash {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let length = if text.starts_with("$5$") { 43 } else { 86 };
        let fields: Vec<&str> = text.get(3..)?.split('$').collect();
        let (salt, hash) = match fields.as_slice() {
            [salt, hash] => (salt, hash),
            [rounds, salt, hash] if ROUNDS.contains(&number(rounds.strip_prefix("rounds=")?)?) => {
                (salt, hash)
            }
            _ => return None,
        };
        let crypt = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '/';
        let fit = (1..=16).contains(&salt.len()) && hash.len() == length;
        (fit && salt.chars().all(crypt) && hash.chars().all(crypt))
            .then(|| Self(Zeroizing::new(text.to_owned())))
    }

    pub(super) fn fits(&self, password: &[u8]) -> bool {
        ShaCrypt::default().verify_password(password, self.0.as_str()).is_ok()
    }
}
