//! Leaving a provider alone that fails again and again, so that messages don't wait for its deadline each time.
//!
//! Closed: everything goes through. Open: nothing does, for a while. Half-open: one message tries whether it is back; what
//! becomes of that one closes or opens it. Each process finds out by itself, and measures by a clock that nobody sets.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::settings::Circuit;

/// What a circuit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    HalfOpen,
    Open,
}

impl State {
    /// As a number for metrics: 0, 1 and 2.
    pub(super) const fn number(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 1.0,
            Self::Open => 2.0,
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    failures: u32,
    /// Until when nothing goes through.
    open_until: Option<Instant>,
    /// Until when the one that tries is waited for; after that another one may.
    probe_until: Option<Instant>,
}

/// One provider's circuit.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: u32,
    pause: Duration,
    /// How long one try may take.
    patience: Duration,
    seen: Mutex<Seen>,
}

impl Breaker {
    pub(super) fn new(settings: &Circuit, patience: Duration) -> Self {
        let pause = Duration::from_secs(u64::from(settings.open_seconds));
        Self { failures: settings.failures, pause, patience, seen: Mutex::default() }
    }

    /// Whether a message may go through now. Tell what became of it with [`Breaker::succeeded`] or
    /// [`Breaker::failed`].
    pub(super) fn admit(&self, now: Instant) -> bool {
        let mut seen = self.held();
        match (seen.open_until, seen.probe_until) {
            (None, _) => true,
            (Some(until), _) if now < until => false,
            (Some(_), Some(until)) if now < until => false,
            (Some(_), _) => {
                seen.probe_until = Some(now + self.patience);
                true
            }
        }
    }

    /// The provider answered as it should, also when it refused a message.
    pub(super) fn succeeded(&self) {
        *self.held() = Seen::default();
    }

    /// The provider is in trouble.
    pub(super) fn failed(&self, now: Instant) {
        let mut seen = self.held();
        seen.failures = seen.failures.saturating_add(1);
        if seen.probe_until.take().is_some() || seen.failures >= self.failures {
            seen.open_until = Some(now + self.pause);
        }
    }

    pub(super) fn state(&self, now: Instant) -> State {
        match self.held().open_until {
            None => State::Closed,
            Some(until) if now < until => State::Open,
            Some(_) => State::HalfOpen,
        }
    }

    fn held(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many seconds after the beginning of a test.
    struct Begun(Instant);

    impl Begun {
        fn at(&self, seconds: u64) -> Instant {
            self.0 + Duration::from_secs(seconds)
        }
    }

    fn breaker() -> (Breaker, Begun) {
        let settings = Circuit { failures: 3, open_seconds: 30 };
        (Breaker::new(&settings, Duration::from_secs(10)), Begun(Instant::now()))
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_success_in_between_does_not() {
        let (breaker, begun) = breaker();
        breaker.failed(begun.at(0));
        breaker.failed(begun.at(1));
        breaker.succeeded();
        breaker.failed(begun.at(2));
        breaker.failed(begun.at(3));
        assert!(breaker.admit(begun.at(3)) && breaker.state(begun.at(3)) == State::Closed);
        breaker.failed(begun.at(4));
        assert!(!breaker.admit(begun.at(4)) && breaker.state(begun.at(4)) == State::Open);
    }

    #[test]
    fn one_tries_whether_it_is_back() {
        let (breaker, begun) = breaker();
        (0..3).for_each(|second| breaker.failed(begun.at(second)));
        assert!(!breaker.admit(begun.at(31)));
        assert_eq!(breaker.state(begun.at(32)), State::HalfOpen);
        assert!(breaker.admit(begun.at(32)) && !breaker.admit(begun.at(32)), "only one tries");
        breaker.failed(begun.at(33));
        assert!(!breaker.admit(begun.at(62)), "and its failure opens it at once");
        assert!(breaker.admit(begun.at(63)));
        breaker.succeeded();
        assert!(
            breaker.admit(begun.at(63))
                && breaker.admit(begun.at(63))
                && breaker.state(begun.at(63)) == State::Closed
        );
    }

    #[test]
    fn a_try_that_was_dropped_does_not_keep_it_shut() {
        let (breaker, begun) = breaker();
        (0..3).for_each(|second| breaker.failed(begun.at(second)));
        assert!(breaker.admit(begun.at(40)) && !breaker.admit(begun.at(49)) && breaker.admit(begun.at(50)));
    }
}
