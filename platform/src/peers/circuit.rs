//! Leaving a peer alone that does not answer: after some asks in a row that got lost, nobody waits for it any more; after
//! a moment one ask tries, and its answer decides for all. An ask may take long on a peer that is well, so after another
//! moment the next one tries as well.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use contracts::Module;
use metrics::{Gauge, gauge};

use super::settings::Circuit as Settings;

/// One peer's circuit.
pub(super) struct Circuit {
    failures: u32,
    open: Duration,
    state: Mutex<State>,
    shown: Gauge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Asks pass; so many in a row got lost.
    Closed(u32),
    /// Nobody passes until then.
    Open(Instant),
    /// An ask is on its way to find out, since then.
    Trying(Instant),
}

impl State {
    const fn number(self) -> u8 {
        match self {
            Self::Closed(_) => 0,
            Self::Trying(_) => 1,
            Self::Open(_) => 2,
        }
    }
}

impl Circuit {
    pub(super) fn new(peer: Module, settings: &Settings) -> Self {
        let shown = gauge!("doorward_peer_circuit", "peer" => peer.as_str());
        shown.set(0.0);
        Self {
            failures: settings.failures,
            open: Duration::from_millis(settings.open_ms),
            state: Mutex::new(State::Closed(0)),
            shown,
        }
    }

    /// Lets an ask pass; or none, while the peer is left alone.
    pub(super) fn pass(&self) -> Option<Passage<'_>> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<Passage<'_>> {
        let mut state = self.state();
        let tries = match *state {
            State::Closed(_) => return Some(Passage { circuit: self, tries: None, over: false }),
            State::Open(until) => now >= until,
            State::Trying(since) => now.saturating_duration_since(since) >= self.open,
        };
        tries.then(|| {
            self.turn(&mut state, State::Trying(now));
            Passage { circuit: self, tries: Some(now), over: false }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, state: &mut State, next: State) {
        *state = next;
        self.shown.set(f64::from(next.number()));
    }
}

/// An ask that was let pass. Dropped without a word, it says nothing about the peer.
pub(super) struct Passage<'a> {
    circuit: &'a Circuit,
    /// Since when this one tries, if it does.
    tries: Option<Instant>,
    over: bool,
}

impl Passage<'_> {
    /// The peer answered.
    pub(super) fn answered(mut self) {
        self.over = true;
        let mut state = self.circuit.state();
        if self.tries.is_some() || matches!(*state, State::Closed(_)) {
            self.circuit.turn(&mut state, State::Closed(0));
        }
    }

    /// The ask got lost. True when the peer is left alone from now on and was not before.
    pub(super) fn lost(mut self) -> bool {
        self.over = true;
        let circuit = self.circuit;
        let mut state = circuit.state();
        let (failures, opens) = match *state {
            State::Closed(failures) if self.tries.is_none() => (failures.saturating_add(1), true),
            State::Trying(since) if self.tries == Some(since) => (circuit.failures, false),
            // Sent before the circuit opened, or before another one tried: a newer ask decides, or has decided.
            State::Closed(_) | State::Open(_) | State::Trying(_) => return false,
        };
        if failures < circuit.failures {
            circuit.turn(&mut state, State::Closed(failures));
            return false;
        }
        circuit.turn(&mut state, State::Open(Instant::now() + circuit.open));
        opens
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let (Some(since), false) = (self.tries, self.over) else { return };
        let mut state = self.circuit.state();
        if *state == State::Trying(since) {
            // Whoever asked went away: the next one tries.
            self.circuit.turn(&mut state, State::Open(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Duration = Duration::from_secs(60);

    fn circuit(failures: u32) -> Circuit {
        Circuit::new(Module::Users, &Settings { failures, open_ms: 60_000 })
    }

    /// When whoever opens a circuit now has been left alone for long enough, however slow the test is.
    fn later() -> Instant {
        Instant::now() + 10 * OPEN
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let circuit = circuit(2);
        assert!(!circuit.pass().unwrap().lost());
        circuit.pass().unwrap().answered();
        assert!(!circuit.pass().unwrap().lost());
        assert!(circuit.pass().unwrap().lost(), "the second in a row opens it");
        assert!(circuit.pass().is_none());
    }

    #[test]
    fn one_tries_and_decides_for_all() {
        let (circuit, later) = (circuit(2), later());
        circuit.pass().unwrap().lost();
        assert!(circuit.pass().unwrap().lost());
        let first = circuit.pass_at(later).unwrap();
        assert!(circuit.pass_at(later).is_none(), "one at a time");
        assert!(!first.lost(), "it was open before");
        assert!(circuit.pass().is_none());
        drop(circuit.pass_at(later).unwrap());
        let next = circuit.pass_at(later).expect("who goes away leaves the try to the next");
        next.answered();
        assert!(circuit.pass().is_some() && circuit.pass().is_some());
    }

    #[test]
    fn a_long_ask_that_tries_holds_the_next_one_up_for_a_moment_only() {
        let (circuit, later) = (circuit(1), later());
        assert!(circuit.pass().unwrap().lost());
        let long = circuit.pass_at(later).unwrap();
        assert!(circuit.pass_at(later + OPEN - Duration::from_millis(1)).is_none());
        let short = circuit.pass_at(later + OPEN).expect("the peer may be well, and only that ask long");
        assert!(circuit.pass_at(later + OPEN).is_none(), "one more, not all");
        short.answered();
        assert!(!long.lost(), "it says less than the answer that came");
        assert!(circuit.pass().is_some(), "the circuit stays closed");
    }

    #[test]
    fn of_two_that_try_the_last_decides_unless_the_first_is_answered() {
        let (circuit, later) = (circuit(1), later());
        assert!(circuit.pass().unwrap().lost());
        let (first, second) = (circuit.pass_at(later).unwrap(), circuit.pass_at(later + OPEN).unwrap());
        drop(first);
        assert!(circuit.pass_at(later + OPEN).is_none(), "the second is on its way");
        assert!(!second.lost());
        assert!(circuit.pass().is_none());
        let (first, second) = (circuit.pass_at(later).unwrap(), circuit.pass_at(later + OPEN).unwrap());
        assert!(!second.lost());
        first.answered();
        assert!(circuit.pass().is_some(), "it did answer");
    }

    #[test]
    fn who_was_on_the_way_before_it_opened_changes_nothing() {
        let circuit = circuit(2);
        let (early, late) = (circuit.pass().unwrap(), circuit.pass().unwrap());
        circuit.pass().unwrap().lost();
        circuit.pass().unwrap().lost();
        early.answered();
        assert!(!late.lost());
        assert!(circuit.pass().is_none());
    }
}
