//! What this module keeps: a row for each profile, and one for each namespace of somebody's preferences.
//!
//! One query a function. Revisions are compared here, in the statement that writes: nothing is read and then written.

pub(crate) mod preferences;
pub(crate) mod profiles;
