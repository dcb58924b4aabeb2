//! What this module keeps: profiles, preferences, the directory that users are listed and searched by, who was
//! purged, and how far imports are.
//!
//! One query a function. Revisions are compared here, in the statement that writes: nothing is read and then written.

pub(crate) mod backfills;
pub(crate) mod directory;
pub(crate) mod imports;
pub(crate) mod preferences;
pub(crate) mod profiles;
pub(crate) mod purges;
pub(crate) mod search;
