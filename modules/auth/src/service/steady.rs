//! Answering at the same time, whatever there was to do: for asks whose answer must not tell whether somebody is known.
//!
//! What is done for an address that is known takes a few statements more than for one that is not. Both are answered
//! when the same while is over, which is far longer than either takes; or, where the work takes as long as a hash does,
//! at the end of the same step.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;

/// The while.
const AFTER: Duration = Duration::from_millis(50);

/// Refusals leave at full steps of this since they were asked for.
const STEP: Duration = Duration::from_millis(10);

/// What comes of the work, not before its time.
pub(super) async fn steady<T>(work: impl Future<Output = T>) -> T {
    tokio::join!(work, tokio::time::sleep(AFTER)).0
}

/// What comes of the work; a refusal at the next full step. Work that takes a little longer for one than for another
/// mostly ends in the same step. Whatever the work held is given back before the wait.
pub(super) async fn steady_refusal<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let begun = Instant::now();
    let outcome = work.await;
    if let Err(Error::InvalidCredentials | Error::TooManyFailures(_)) = outcome {
        tokio::time::sleep_until(begun + next_step(begun.elapsed())).await;
    }
    outcome
}

/// The first full step after so long.
fn next_step(elapsed: Duration) -> Duration {
    let steps = elapsed.as_micros() / STEP.as_micros() + 1;
    STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_leave_at_full_steps() {
        let micros = Duration::from_micros;
        for (elapsed, step) in [(0, 10_000), (9_999, 10_000), (10_000, 20_000), (23_456, 30_000)] {
            assert_eq!(next_step(micros(elapsed)), micros(step), "{elapsed}");
        }
    }
}
