//! Every query of this module, one a function. The transactions around them are the services' business.
//!
//! Messages and what became of them; deliveries, their leases and tries; the mailbox of development.

pub(crate) mod deliveries;
pub(crate) mod mailbox;
pub(crate) mod messages;
