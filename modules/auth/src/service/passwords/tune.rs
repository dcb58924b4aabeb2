//! Finding out what a hash may cost on this machine: `doorward tune-hash`.

use std::time::{Duration, Instant};

use contracts::Error;

use super::argon::{Argon, Parameters};
use crate::model::Password;
use crate::settings::HashSettings;

/// Memory of one hash, in KiB, that is tried; more of it helps more against guessing than more passes.
const MEMORY: [u32; 8] = [19_456, 32_768, 47_104, 65_536, 98_304, 131_072, 196_608, 262_144];
const LEAST_ITERATIONS: u32 = 2;
const MOST_ITERATIONS: u32 = 16;

/// Settings of `auth.hash` that suit a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunedHash {
    /// `auth.hash.memory_kib`.
    pub memory_kib: u32,
    /// `auth.hash.iterations`.
    pub iterations: u32,
    /// `auth.hash.parallelism`: lanes are computed one after the other, so more than one only costs.
    pub parallelism: u32,
    /// What one such hash took here.
    pub took: Duration,
}

/// The dearest hash that takes no longer than this here, one at a time: as much memory as fits with two passes, then as
/// many passes. Never cheaper than is safe, also where that takes longer. Blocks for some seconds.
///
/// # Errors
/// `platform.internal` when there is not enough memory to try it.
pub fn tune_hash(target: Duration) -> Result<TunedHash, Error> {
    let mut argon = Argon::default();
    choose(target, |memory_kib, iterations| {
        let settings = HashSettings { memory_kib, iterations, parallelism: 1, ..HashSettings::default() };
        let parameters = Parameters::of(&settings)?;
        let password = Password::typed("correct horse battery staple".to_owned());
        let mut least = Duration::MAX;
        for _ in 0..3 {
            let started = Instant::now();
            argon.hash(&parameters, &password)?;
            least = least.min(started.elapsed());
        }
        Ok(least)
    })
}

fn choose(
    target: Duration,
    mut measure: impl FnMut(u32, u32) -> Result<Duration, Error>,
) -> Result<TunedHash, Error> {
    let mut best = None;
    for memory_kib in MEMORY {
        let took = measure(memory_kib, LEAST_ITERATIONS)?;
        if best.is_some() && took > target {
            break;
        }
        best = Some(TunedHash { memory_kib, iterations: LEAST_ITERATIONS, parallelism: 1, took });
        if took > target {
            break;
        }
    }
    let mut best = best.ok_or_else(|| Error::internal("nothing was measured"))?;
    while best.took <= target && best.iterations < MOST_ITERATIONS {
        let took = measure(best.memory_kib, best.iterations + 1)?;
        if took > target {
            break;
        }
        best = TunedHash { iterations: best.iterations + 1, took, ..best };
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that needs so many nanoseconds for a KiB and pass.
    fn on(nanos: u64, target_ms: u64) -> (u32, u32) {
        let measure = |memory: u32, passes: u32| {
            Ok(Duration::from_nanos(u64::from(memory) * u64::from(passes) * nanos))
        };
        let tuned = choose(Duration::from_millis(target_ms), measure).unwrap();
        (tuned.memory_kib, tuned.iterations)
    }

    #[test]
    fn memory_first_then_passes() {
        assert_eq!(on(500, 100), (98_304, 2));
        assert_eq!(on(500, 120), (98_304, 2));
        assert_eq!(on(500, 60), (47_104, 2));
        assert_eq!(on(100, 100), (262_144, 3));
        assert_eq!(on(1, 10_000), (262_144, 16));
    }

    #[test]
    fn never_cheaper_than_is_safe() {
        assert_eq!(on(1_000_000, 1), (19_456, 2));
    }

    #[test]
    fn a_real_machine_finds_something() {
        let tuned = tune_hash(Duration::from_millis(1)).unwrap();
        assert_eq!((tuned.memory_kib, tuned.iterations, tuned.parallelism), (19_456, 2, 1));
        assert!(tuned.took > Duration::ZERO);
    }
}
