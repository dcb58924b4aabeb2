//! The signals that ask for a stop: SIGTERM and SIGINT.
//!
//! They are listened for before anything else is begun. The first process of a container gets none that it does not listen
//! for, so a long start, or a long command, would otherwise be deaf until it is killed.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::StartError;

/// Both signals.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, StartError> {
        let deaf = |error| StartError::because("Signals can't be listened for", error);
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(deaf)?,
            interrupt: signal(SignalKind::interrupt()).map_err(deaf)?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Works to the end, or until a stop is asked for. What is dropped then must leave nothing half done.
pub(crate) async fn unless_stopped(
    work: impl Future<Output = Result<(), StartError>>,
) -> Result<(), StartError> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        done = work => done,
        () = signals.received() => {
            Err(StartError("It was asked to stop before its end; what was not finished was not done.".to_owned()))
        }
    }
}
