//! Every query of this module, one a function. The transactions around them are the services' business.
//!
//! Messages and what became of them; deliveries, their leases and tries; inboxes; what people and addresses don't want;
//! the mailbox of development.

pub(crate) mod deliveries;
pub(crate) mod inbox;
pub(crate) mod mailbox;
pub(crate) mod messages;
pub(crate) mod preferences;
pub(crate) mod suppressions;
