//! Leaving a peer alone that does not answer: after some asks in a row that got lost, nobody waits for it any more; after
//! a moment one ask tries, and its answer decides for all.

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
    /// One ask is on its way to find out.
    Trying,
}

impl State {
    const fn number(self) -> u8 {
        match self {
            Self::Closed(_) => 0,
            Self::Trying => 1,
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
        let mut state = self.state();
        match *state {
            State::Closed(_) => Some(Passage { circuit: self, tries: false, over: false }),
            State::Open(until) if until <= Instant::now() => {
                self.turn(&mut state, State::Trying);
                Some(Passage { circuit: self, tries: true, over: false })
            }
            State::Open(_) | State::Trying => None,
        }
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
    tries: bool,
    over: bool,
}

impl Passage<'_> {
    /// The peer answered.
    pub(super) fn answered(mut self) {
        self.over = true;
        let mut state = self.circuit.state();
        if self.tries || matches!(*state, State::Closed(_)) {
            self.circuit.turn(&mut state, State::Closed(0));
        }
    }

    /// The ask got lost. True when the peer is left alone from now on and was not before.
    pub(super) fn lost(mut self) -> bool {
        self.over = true;
        let circuit = self.circuit;
        let mut state = circuit.state();
        let failures = match *state {
            State::Closed(failures) => failures.saturating_add(1),
            // Sent before the circuit opened; whoever tries decides.
            State::Open(_) | State::Trying if !self.tries => return false,
            State::Open(_) | State::Trying => circuit.failures,
        };
        if failures < circuit.failures {
            circuit.turn(&mut state, State::Closed(failures));
            return false;
        }
        circuit.turn(&mut state, State::Open(Instant::now() + circuit.open));
        !self.tries
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if self.tries && !self.over {
            // Whoever asked went away: the next one tries.
            let mut state = self.circuit.state();
            self.circuit.turn(&mut state, State::Open(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circuit(open_ms: u64) -> Circuit {
        Circuit::new(Module::Users, &Settings { failures: 2, open_ms })
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let circuit = circuit(60_000);
        assert!(!circuit.pass().unwrap().lost());
        circuit.pass().unwrap().answered();
        assert!(!circuit.pass().unwrap().lost());
        assert!(circuit.pass().unwrap().lost(), "the second in a row opens it");
        assert!(circuit.pass().is_none());
    }

    #[test]
    fn one_tries_and_decides_for_all() {
        let circuit = circuit(0);
        circuit.pass().unwrap().lost();
        circuit.pass().unwrap().lost();
        let first = circuit.pass().unwrap();
        assert!(circuit.pass().is_none(), "one at a time");
        assert!(!first.lost(), "it was open before");
        drop(circuit.pass().unwrap());
        let next = circuit.pass().expect("who goes away leaves the try to the next");
        next.answered();
        assert!(circuit.pass().is_some() && circuit.pass().is_some());
    }

    #[test]
    fn who_was_on_the_way_before_it_opened_changes_nothing() {
        let circuit = circuit(60_000);
        let (early, late) = (circuit.pass().unwrap(), circuit.pass().unwrap());
        circuit.pass().unwrap().lost();
        circuit.pass().unwrap().lost();
        early.answered();
        assert!(!late.lost());
        assert!(circuit.pass().is_none());
    }
}
