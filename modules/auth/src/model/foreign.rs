//! Password hashes that other systems made: read once when an account is taken over, believed at its first login, and
//! replaced by one of ours there.
//!
//! A text that is read is one that can be checked: what it costs in time and memory is bounded here, so that a hash
//! somebody prepared can't keep a hashing thread busy for minutes or take gigabytes. Checking blocks; it belongs into
//! the pool of `service/passwords.rs`. Left out on purpose: everything without a salt, MD5, and bcrypt's `$2x$`, the
//! variant that was a mistake.

mod argon;
mod bcrypt;
mod pbkdf2;
mod scrypt;
mod sha_crypt;
mod ssha;

use ::base64::Engine;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Password, PasswordHash};

/// No hash of any of these kinds is longer.
const LONGEST: usize = 1_024;
/// Bytes of the longest derived key that is compared.
const LONGEST_KEY: usize = 64;
/// The most memory that checking one may take, in bytes: 256 MiB.
const MOST_MEMORY: u64 = 256 * 1_024 * 1_024;

/// A password hash of a kind that can be checked.
pub(crate) struct ForeignHash(Kind);

enum Kind {
    Argon2(argon::Argon2Hash),
    Bcrypt(bcrypt::BcryptHash),
    Scrypt(scrypt::ScryptHash),
    Pbkdf2(pbkdf2::Pbkdf2Hash),
    Ssha(ssha::SaltedSha),
    ShaCrypt(sha_crypt::ShaCryptHash),
}

impl ForeignHash {
    /// Reads a hash; none when it is of an unknown kind, damaged, or dearer than its kind may be. Known are
    ///
    /// - Argon2id and Argon2i as PHC strings (`$argon2id$v=19$m=…,t=…,p=…$salt$hash`): at most 256 MiB, and memory
    ///   times passes at most 2 GiB;
    /// - bcrypt (`$2a$`, `$2b$`, `$2y$`): cost 4 to 15;
    /// - scrypt as a PHC string (`$scrypt$ln=…,r=…,p=…$salt$hash`): at most 256 MiB, `N·r·p` at most 2²³;
    /// - Firebase's scrypt with its parameters, `$fbscrypt$v=1,n=14,r=8,p=1,ss=<separator>,sk=<signer key>$salt$hash`,
    ///   each in base64 as Firebase exports it (`n` is its `memCost`, `r` its `rounds`): bounds as for scrypt;
    /// - PBKDF2 with SHA-1, SHA-256 or SHA-512, at most 5,000,000 rounds: as Django writes it
    ///   (`pbkdf2_sha256$rounds$salt$hash`), as ASP.NET Core Identity 3 does (base64 that begins with the byte 1), and
    ///   as `$pbkdf2-sha256$i=<rounds>$<salt>$<hash>` with Keycloak's `hashIterations`, `salt` and `value` in their
    ///   places (passlib's `$pbkdf2-sha256$<rounds>$…` is read, too);
    /// - salted SHA of directories (`{SSHA}`, `{SSHA256}`, `{SSHA512}`);
    /// - SHA-crypt (`$5$`, `$6$`): 1,000 to 5,000,000 rounds.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST || !text.is_ascii() {
            return None;
        }
        let kind = match text.strip_prefix('$').and_then(|rest| rest.split('$').next()) {
            Some("argon2id" | "argon2i") => Kind::Argon2(argon::Argon2Hash::parse(text)?),
            Some("2a" | "2b" | "2y") => Kind::Bcrypt(bcrypt::BcryptHash::parse(text)?),
            Some("scrypt") => Kind::Scrypt(scrypt::ScryptHash::parse(text)?),
            Some("fbscrypt") => Kind::Scrypt(scrypt::ScryptHash::parse_firebase(text)?),
            Some("pbkdf2" | "pbkdf2-sha1" | "pbkdf2-sha256" | "pbkdf2-sha512") => {
                Kind::Pbkdf2(pbkdf2::Pbkdf2Hash::parse_crypt(text)?)
            }
            Some("5" | "6") => Kind::ShaCrypt(sha_crypt::ShaCryptHash::parse(text)?),
            Some(_) => return None,
            None if text.starts_with('{') => Kind::Ssha(ssha::SaltedSha::parse(text)?),
            None if text.starts_with("pbkdf2_") => Kind::Pbkdf2(pbkdf2::Pbkdf2Hash::parse_django(text)?),
            None => Kind::Pbkdf2(pbkdf2::Pbkdf2Hash::parse_aspnet(text)?),
        };
        Some(Self(kind))
    }

    /// Reads one that is stored.
    pub(crate) fn stored(hash: &PasswordHash) -> Option<Self> {
        Self::parse(&hash.0)
    }

    /// Whether it is this password's. Blocks for as long as its kind takes.
    pub(crate) fn fits(&self, password: &Password) -> bool {
        let password = password.as_bytes();
        match &self.0 {
            Kind::Argon2(hash) => hash.fits(password),
            Kind::Bcrypt(hash) => hash.fits(password),
            Kind::Scrypt(hash) => hash.fits(password),
            Kind::Pbkdf2(hash) => hash.fits(password),
            Kind::Ssha(hash) => hash.fits(password),
            Kind::ShaCrypt(hash) => hash.fits(password),
        }
    }

    /// What the kind is called, in metrics.
    pub(crate) fn name(&self) -> &'static str {
        match &self.0 {
            Kind::Argon2(_) => "argon2",
            Kind::Bcrypt(_) => "bcrypt",
            Kind::Scrypt(_) => "scrypt",
            Kind::Pbkdf2(_) => "pbkdf2",
            Kind::Ssha(_) => "ssha",
            Kind::ShaCrypt(_) => "sha_crypt",
        }
    }
}

/// Hides what it holds.
impl std::fmt::Debug for ForeignHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ForeignHash({} ***)", self.name())
    }
}

/// Base64 as it is found in the wild: either alphabet, passlib's dot for the plus, padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let plain: String = text
        .chars()
        .map(|c| match c {
            '-' | '.' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    LENIENT.decode(plain).ok()
}

/// A number as it is written here: digits only, no sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
