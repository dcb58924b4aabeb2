//! The module from outside, on both databases: over HTTP, through its contract, and by the events it hears.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod agreement;
mod contract;
mod http;
mod outranking;
mod proofs;
mod store;
mod world;

/// What is in the databases of these tests.
fn migrations() -> Vec<platform::db::Migrations> {
    vec![platform::MIGRATIONS, permissions::MIGRATIONS]
}
