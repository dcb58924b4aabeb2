//! Argon2 (RFC 9106) with whatever parameters somebody else chose, within bounds.

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{LONGEST_KEY, MOST_MEMORY};

/// Memory times passes that one check may cost, in KiB: 2 GiB.
const MOST_WORK_KIB: u64 = 2 * 1_024 * 1_024;

pub(super) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    expected: Vec<u8>,
}

impl Argon2Hash {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let read = phc::PasswordHash::new(text).ok()?;
        let algorithm = Algorithm::try_from(read.algorithm.as_str()).ok()?;
        let version = read.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
        let params = Params::try_from(&read).ok()?;
        let expected = read.hash.as_ref()?.as_bytes().to_vec();
        let memory = u64::from(params.m_cost());
        let work = memory.checked_mul(params.t_cost().into())?;
        let bounded = memory.checked_mul(1_024)? <= MOST_MEMORY && work <= MOST_WORK_KIB;
        let fit = bounded && (4..=LONGEST_KEY).contains(&expected.len()) && algorithm != Algorithm::Argon2d;
        fit.then_some(Self { algorithm, version, params, salt: read.salt?.to_vec(), expected })
    }

    pub(super) fn fits(&self, password: &[u8]) -> bool {
        let mut output = Zeroizing::new(vec![0; self.expected.len()]);
        let argon = Argon2::new(self.algorithm, self.version, self.params.clone());
        let made = argon.hash_password_into(password, &self.salt, &mut output);
        made.is_ok() && output.ct_eq(&self.expected).into()
    }
}
