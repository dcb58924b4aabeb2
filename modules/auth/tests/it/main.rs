//! The module from outside, on both databases: over HTTP, through its contract, and by what it leaves in its tables.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod accounts;
mod appoint;
mod contract;
mod http;
mod keys;
mod purge;
mod store;
mod world;

/// What is in the databases of these tests.
fn migrations() -> Vec<platform::db::Migrations> {
    vec![platform::MIGRATIONS, auth::MIGRATIONS]
}
