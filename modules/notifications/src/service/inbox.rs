//! A person's own inbox: looking, and marking as read.

use contracts::{Caller, UserId};
use platform::audit::{self, Entry, Outcome};
use platform::db::DbConn;
use serde_json::json;

use super::Service;
use crate::error::Error;
use crate::model::inbox::{InboxItem, InboxItemId};
use crate::store;

/// A piece of an inbox, and what is known of the whole.
pub(crate) struct Looked {
    pub(crate) items: Vec<InboxItem>,
    pub(crate) unread: i64,
    /// The last number that was given out: where a stream can go on.
    pub(crate) last_sequence: i64,
}

impl Service {
    /// At most `limit` items, newest first.
    pub(crate) async fn look_into_inbox(
        &self,
        user: UserId,
        only_unread: bool,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Looked, Error> {
        let mut c = self.db.read().await?;
        // Read first: an item that comes in between is then in the list and in the stream, and not in neither.
        let last_sequence = store::inbox::last_sequence(&mut c, user).await?;
        let items = store::inbox::page(&mut c, user, only_unread, before, limit).await?;
        let unread = store::inbox::unread(&mut c, user).await?;
        Ok(Looked { items, unread, last_sequence })
    }

    /// Marks one item as read; once more changes nothing.
    ///
    /// # Errors
    /// When the person has no such item.
    pub(crate) async fn read_item(
        &self,
        caller: &Caller,
        user: UserId,
        id: InboxItemId,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            if store::inbox::mark_read(tx, user, Some(id), now).await? > 0 {
                return Ok(audit::record(tx, now, caller, entry("inbox_item", id.to_string(), 1)).await?);
            }
            if store::inbox::has(tx, user, id).await? { Ok(()) } else { Err(Error::ItemNotFound) }
        };
        self.db.transaction(work).await
    }

    /// Marks everything as read that is there now.
    pub(crate) async fn read_all(&self, caller: &Caller, user: UserId) -> Result<(), Error> {
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            let marked = store::inbox::mark_read(tx, user, None, now).await?;
            if marked > 0 {
                audit::record(tx, now, caller, entry("inbox", user.to_string(), marked)).await?;
            }
            Ok(())
        };
        self.db.transaction(work).await
    }
}

fn entry(subject_type: &'static str, subject_id: String, count: usize) -> Entry {
    Entry {
        action: "notifications.inbox.read",
        outcome: Outcome::Succeeded,
        subject_type,
        subject_id,
        before: Some(json!({ "unread": count })),
        after: Some(json!({ "unread": 0 })),
    }
}
