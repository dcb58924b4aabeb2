//! A group of SQLite transactions that are committed together: one sync of the disk for all of them.
//!
//! Whoever has the writer begins a group or joins the one that is open, works behind a savepoint of its own, and
//! leaves the commit to the next one who waits for the writer; the last one commits. Nobody hears of its own success
//! before the commit that holds it is on the disk. Left out: who waits for whom, which is `database.rs`.

use std::borrow::Cow;

use tokio::sync::watch;

use super::error::{Error, Result};

/// At most so many transactions share a commit, so that the first one does not wait for ever while others keep coming.
const FULL: u32 = 64;

/// Why a commit failed, for the log.
type Failure = Cow<'static, str>;

/// A group that is open. When it is dropped without an end, its members hear that the connection was lost.
pub(super) struct Group {
    ended: watch::Sender<Option<Result<(), Failure>>>,
    members: u32,
}

impl Group {
    pub(super) fn new() -> Self {
        Self { ended: watch::Sender::new(None), members: 0 }
    }

    /// One transaction more.
    pub(super) fn join(&mut self) -> Membership {
        self.members = self.members.saturating_add(1);
        Membership(self.ended.subscribe())
    }

    pub(super) fn is_full(&self) -> bool {
        self.members >= FULL
    }

    /// Tells every member what became of the commit.
    pub(super) fn end(self, commit: Result<()>) {
        metrics::counter!("doorward_sqlite_commits_total").increment(1);
        metrics::counter!("doorward_sqlite_transactions_total").increment(u64::from(self.members));
        self.ended.send_replace(Some(commit.map_err(|error| match error {
            Error::Unavailable(text) | Error::Timeout(text) => text,
            error => {
                tracing::error!(%error, source = ?std::error::Error::source(&error), "a commit was refused");
                "the commit was refused".into()
            }
        })));
    }
}

/// One transaction's part in a group.
pub(super) struct Membership(watch::Receiver<Option<Result<(), Failure>>>);

impl Membership {
    /// Waits for the commit.
    pub(super) async fn ended(mut self) -> Result<()> {
        let lost = || Error::Unavailable("the connection was lost before the commit".into());
        let end = self.0.wait_for(Option::is_some).await.map_err(|_| lost())?;
        match &*end {
            Some(Err(text)) => Err(Error::Unavailable(text.clone())),
            Some(Ok(())) | None => Ok(()),
        }
    }
}
