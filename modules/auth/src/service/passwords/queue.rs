//! The queue between those who ask for a hash and the threads that compute it: bounded, first come first served.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::argon::Argon;

/// Something to do with a thread's memory.
pub(super) type Job = Box<dyn FnOnce(&mut Argon) + Send>;

/// A thread without work gives its memory back after this time.
const IDLE: Duration = Duration::from_secs(10);

/// Jobs that wait.
pub(super) struct Queue {
    capacity: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Puts a job at the end; false when too many wait already.
    pub(super) fn push(&self, job: Job) -> bool {
        let mut state = self.state();
        if state.closed || state.waiting.len() >= self.capacity {
            return false;
        }
        state.waiting.push_back(job);
        report(&state);
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Lets the threads end. Jobs that still wait are dropped, and with them the answers somebody waits for.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
        report(&state);
        drop(state);
        self.changed.notify_all();
    }

    /// What a thread does all its life. A job that panics loses its own answer and the thread's memory, nothing else.
    pub(super) fn work_off(&self, fresh: impl Fn() -> Argon) {
        let mut argon = fresh();
        while let Some(next) = self.next() {
            let Some(job) = next else {
                argon = fresh();
                continue;
            };
            if catch_unwind(AssertUnwindSafe(|| job(&mut argon))).is_err() {
                tracing::error!("hashing a password panicked");
                argon = fresh();
            }
        }
    }

    /// The next job; `Some(None)` when there was none for a while, `None` when there will be none any more.
    #[expect(clippy::option_option, reason = "three answers: a job, nothing for a while, nothing ever again")]
    fn next(&self) -> Option<Option<Job>> {
        let nothing = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let waited = self.changed.wait_timeout_while(self.state(), IDLE, nothing);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return None;
        }
        let job = state.waiting.pop_front();
        report(&state);
        Some(job)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(state: &State) {
    let length = u32::try_from(state.waiting.len()).unwrap_or(u32::MAX);
    metrics::gauge!("doorward_hash_queue_length").set(length);
}
