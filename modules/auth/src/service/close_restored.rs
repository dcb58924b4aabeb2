//! What must not come back with a backup: sessions that were ended since, refresh tokens and links that were used up
//! since. Nobody can tell them from the others any more, so all of them end.
//!
//! No session is told of by a fact: whoever would hear is not running, and starts without anything remembered.

use contracts::{Caller, Time};
use platform::audit::{self, Entry, Outcome};
use platform::db::{self, Database, DbConn};
use serde_json::json;

use crate::store::{requests, sessions};

/// How many were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Sessions, each with its refresh tokens.
    pub sessions: usize,
    /// Requests for a one-time secret, each with its links.
    pub requests: usize,
}

/// Ends every session and every request for a one-time secret, for a database that was put back and that nobody serves
/// from yet.
///
/// # Errors
/// When the database does not answer; then nothing is ended.
pub async fn close_restored(db: &Database, caller: &Caller, now: Time) -> db::Result<Closed> {
    db.transaction(async |tx: &mut DbConn| {
        let closed = Closed {
            sessions: sessions::end_everywhere(tx, now).await?,
            requests: requests::close_everywhere(tx, now).await?,
        };
        let entry = Entry {
            action: "auth.backup.restored",
            outcome: Outcome::Succeeded,
            subject_type: "database",
            subject_id: "auth".to_owned(),
            before: None,
            after: Some(json!({ "sessions_ended": closed.sessions, "requests_closed": closed.requests })),
        };
        audit::record(tx, now, caller, entry).await?;
        Ok(closed)
    })
    .await
}
