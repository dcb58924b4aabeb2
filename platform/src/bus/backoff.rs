//! How long to wait before trying again: exponential, with full jitter, so that many failures of one cause do not
//! come back as one wave.

use std::time::Duration;

/// A growing, capped, random delay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// The longest delay after the first failure.
    pub(crate) base: Duration,
    /// The longest delay of all.
    pub(crate) max: Duration,
}

impl Backoff {
    /// A delay after so many failures in a row: anywhere between nothing and the ceiling.
    pub(crate) fn after(self, failures: i64) -> Duration {
        self.ceiling(failures).mul_f64(rand::random::<f64>())
    }

    /// `base`, doubled with each failure after the first, at most `max`.
    fn ceiling(self, failures: i64) -> Duration {
        let doublings = u32::try_from(failures.saturating_sub(1).clamp(0, 31)).unwrap_or(0);
        self.base.saturating_mul(1 << doublings).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(300) };

    #[test]
    fn the_ceiling_doubles_and_then_stays() {
        let ceilings = [1, 2, 3, 9, 10, i64::MAX].map(|failures| BACKOFF.ceiling(failures).as_secs());
        assert_eq!(ceilings, [1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn delays_are_spread_below_the_ceiling() {
        let delays: Vec<_> = (0..200).map(|_| BACKOFF.after(4)).collect();
        assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(8)));
        assert!(delays.iter().any(|delay| *delay < Duration::from_secs(3)));
        assert!(delays.iter().any(|delay| *delay > Duration::from_secs(5)));
    }
}
