//! The one place that knows what time it is, so that a test can say what time it is.
//!
//! Left out: measuring how long something takes (`std::time::Instant` is right for that) and sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use contracts::Time;

/// Tells the time. Cheap to clone; clones of a manual clock share their time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is told to move: for tests.
    #[must_use]
    pub fn manual(start: Time) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.micros()))))
    }

    /// The current time. Not monotonic: the machine's clock may be set back.
    #[must_use]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(micros) => Time::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward. The machine's clock does not move for anybody: then nothing happens.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(micros) = &self.0 {
            let _ = micros.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| {
                Some(Time::from_micros(now).plus(by).micros())
            });
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
fn system_now() -> Time {
    let since_1970 = match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX).saturating_neg(),
    };
    Time::from_micros(since_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_its_clones_move_along() {
        let clock = Clock::manual(Time::from_seconds(1_000));
        let other = clock.clone();
        assert_eq!(clock.now(), Time::from_seconds(1_000));
        other.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), Time::from_seconds(1_005));
    }

    #[test]
    fn the_machine_clock_is_past_the_day_this_was_written() {
        let clock = Clock::default();
        clock.advance(Duration::from_secs(1_000_000_000));
        let now = clock.now();
        assert!(now > Time::from_seconds(1_790_000_000), "{now}");
        assert!(now < Time::from_seconds(10_000_000_000), "{now}");
    }
}
