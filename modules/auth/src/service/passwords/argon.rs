//! Argon2id (RFC 9106) as it is used here: parameters from the settings, PHC strings, one piece of memory a thread.
//! Hashes that others made are checked by `model/foreign.rs`, in the same threads.

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use contracts::Error;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::model::{ForeignHash, Password, PasswordHash};
use crate::settings::HashSettings;

/// Bytes of salt and of hash.
const SALT: usize = 16;
const OUTPUT: usize = 32;
/// A stored hash that asks for more memory than this was not made here.
const MAX_MEMORY_KIB: u32 = 1_048_576;

/// The name of no kind.
pub(super) const UNKNOWN: &str = "unknown";

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

    /// What a hash was made with when that is not what is made here now: the name of its kind, `argon2id` for our own
    /// with other parameters.
    pub(super) fn outdated(&self, hash: &PasswordHash) -> Option<&'static str> {
        let Some(stored) = ours(hash) else {
            return Some(ForeignHash::stored(hash).map_or(UNKNOWN, |it| it.name()));
        };
        let params = Params::try_from(&stored).ok();
        let current = params.is_some_and(|it| {
            (it.m_cost(), it.t_cost(), it.p_cost()) == (self.0.m_cost(), self.0.t_cost(), self.0.p_cost())
        });
        let version = stored.version == Some(Version::V0x13.into());
        let output = stored.hash.as_ref().is_some_and(|it| it.len() == OUTPUT);
        let salt = stored.salt.as_ref().is_some_and(|it| it.len() >= SALT);
        if current && version && output && salt { None } else { Some("argon2id") }
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
        let Some(stored) = ours(stored) else {
            let foreign = ForeignHash::stored(stored);
            let foreign =
                foreign.ok_or_else(|| Error::internal("a stored password hash is of no known kind"))?;
            return Ok(foreign.fits(password));
        };
        let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
            return Err(Error::internal("a stored password hash has no salt or no hash"));
        };
        let params = Params::try_from(&stored).map_err(Error::internal)?;
        if params.m_cost() > MAX_MEMORY_KIB {
            return Err(Error::internal("a stored password hash asks for too much memory"));
        }
        let version =
            stored.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(Error::internal)?;
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

/// The parts of a hash that is Argon2id; none when it is of another kind.
fn ours(hash: &PasswordHash) -> Option<phc::PasswordHash> {
    let stored = phc::PasswordHash::new(&hash.0).ok()?;
    (stored.algorithm == Algorithm::Argon2id.ident()).then_some(stored)
}

fn salt() -> Result<[u8; SALT], Error> {
    let mut salt = [0; SALT];
    fill(&mut salt)?;
    Ok(salt)
}

fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| Error::internal("no randomness"))
}
