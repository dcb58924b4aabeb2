//! What this module keeps. One query a function; who may ask and what must hold before is decided in `service`.
//!
//! The order in which rows are locked is the same everywhere, so that no two transactions wait for each other:
//! setup, account, request, refresh token, session.

pub(crate) mod accounts;
pub(crate) mod devices;
pub(crate) mod purges;
pub(crate) mod refresh_tokens;
pub(crate) mod requests;
pub(crate) mod sessions;
pub(crate) mod setup;
pub(crate) mod signing_keys;
