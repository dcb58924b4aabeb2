//! Argon2id (RFC 9106) as it is used here: parameters from the settings, PHC strings, one piece of memory a thread.

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use contracts::Error;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::model::{Password, PasswordHash};
use crate::settings::HashSettings;

/// Bytes of salt and of hash.
const SALT: usize = 16;
const OUTPUT: usize = 32;
/// A stored hash that asks for more memory than this was not made here.
const MAX_MEMORY_KIB: u32 = 1_048_576;

/// What a new hash costs.
#[derive(Clone)]
pub(super) struct Parameters(Params);

impl Parameters {
    /// # Errors
    /// `platform.internal` when the numbers are none for Argon2.
    pub(super) fn of(settings: &HashSettings) -> Result<Self, Error> {
        let params =
            Params::new(settings.memory_kib, settings.iterations, settings.parallelism, Some(OUTPUT));
        params.map(Self).map_err(Error::internal)
    }

    /// A hash with these parameters that no password fits, made without the work.
    pub(super) fn dummy(&self) -> Result<PasswordHash, Error> {
        let mut output = [0; OUTPUT];
        fill(&mut output)?;
        self.phc(&salt()?, &output)
    }

    fn phc(&self, salt: &[u8], output: &[u8]) -> Result<PasswordHash, Error> {
        let hash = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: phc::ParamsString::try_from(&self.0).map_err(Error::internal)?,
            salt: Some(phc::Salt::new(salt).map_err(Error::internal)?),
            hash: Some(phc::Output::new(output).map_err(Error::internal)?),
        };
        Ok(PasswordHash(hash.to_string()))
    }
}

/// A thread's memory: taken at its first hash and used again for the next one, which is a tenth faster.
#[derive(Default)]
pub(super) struct Argon {
    blocks: Vec<Block>,
}

impl Argon {
    pub(super) fn hash(
        &mut self,
        parameters: &Parameters,
        password: &Password,
    ) -> Result<PasswordHash, Error> {
        let salt = salt()?;
        let mut output = Zeroizing::new([0; OUTPUT]);
        self.compute(&parameters.0, Version::V0x13, password, &salt, output.as_mut_slice())?;
        parameters.phc(&salt, output.as_slice())
    }

    pub(super) fn verify(&mut self, stored: &PasswordHash, password: &Password) -> Result<bool, Error> {
        let stored = phc::PasswordHash::new(&stored.0).map_err(Error::internal)?;
        let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
            return Err(Error::internal("a stored password hash has no salt or no hash"));
        };
        let params = Params::try_from(&stored).map_err(Error::internal)?;
        if stored.algorithm != Algorithm::Argon2id.ident() || params.m_cost() > MAX_MEMORY_KIB {
            return Err(Error::internal("a stored password hash is of a kind that is not made here"));
        }
        let version =
            stored.version.map_or(Ok(Version::V0x13), Version::try_from).map_err(Error::internal)?;
        let mut output = Zeroizing::new(vec![0; expected.len()]);
        self.compute(&params, version, password, salt, output.as_mut_slice())?;
        Ok(output.ct_eq(expected.as_bytes()).into())
    }

    fn compute(
        &mut self,
        params: &Params,
        version: Version,
        password: &Password,
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        let blocks = params.block_count();
        if self.blocks.len() < blocks {
            self.blocks = Vec::new();
            self.blocks.resize(blocks, Block::default());
        }
        Argon2::new(Algorithm::Argon2id, version, params.clone())
            .hash_password_into_with_memory(password.as_bytes(), salt, output, self.blocks.as_mut_slice())
            .map_err(Error::internal)
    }
}

/// Whether a hash is one that [`Argon::verify`] can compare a password with.
pub(super) fn is_readable(stored: &PasswordHash) -> bool {
    let Ok(stored) = phc::PasswordHash::new(&stored.0) else { return false };
    let params = Params::try_from(&stored);
    stored.algorithm == Algorithm::Argon2id.ident()
        && stored.salt.is_some()
        && stored.hash.is_some()
        && stored.version.is_none_or(|version| Version::try_from(version).is_ok())
        && params.is_ok_and(|params| params.m_cost() <= MAX_MEMORY_KIB)
}

fn salt() -> Result<[u8; SALT], Error> {
    let mut salt = [0; SALT];
    fill(&mut salt)?;
    Ok(salt)
}

fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| Error::internal("no randomness"))
}
