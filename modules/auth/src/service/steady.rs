//! Answering at the same time, whatever there was to do: for asks whose answer must not tell whether somebody is known.
//!
//! What is done for an address that is known takes a few statements more than for one that is not. Both are answered
//! when the same while is over, which is far longer than either takes.

use std::time::Duration;

/// The while.
const AFTER: Duration = Duration::from_millis(50);

/// The while for a refusal, which takes a few reads and nothing else.
const REFUSED_AFTER: Duration = Duration::from_millis(10);

/// What comes of the work, not before its time.
pub(super) async fn steady<T>(work: impl Future<Output = T>) -> T {
    tokio::join!(work, tokio::time::sleep(AFTER)).0
}

/// What comes of the work; a failure not before its time. Whatever the work held is given back before the wait.
pub(super) async fn steady_failure<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let over = tokio::time::sleep(REFUSED_AFTER);
    let outcome = work.await;
    if outcome.is_err() {
        over.await;
    }
    outcome
}
