//! What stands in a person's inbox.

use contracts::{NotificationId, Time};

platform::id_type! {
    /// One thing in an inbox.
    pub struct InboxItemId;
}

/// One thing in somebody's inbox. Its number is the next of that person, without gaps, in the order of commits.
#[derive(Clone, Debug)]
pub(crate) struct InboxItem {
    pub(crate) id: InboxItemId,
    pub(crate) sequence: i64,
    pub(crate) message: NotificationId,
    pub(crate) template: String,
    pub(crate) category: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) links: Vec<String>,
    pub(crate) created_at: Time,
    pub(crate) read_at: Option<Time>,
}
