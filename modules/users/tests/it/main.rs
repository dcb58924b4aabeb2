//! The module from outside, on both databases: over HTTP, through its contract, and by the events it hears.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod admin;
mod attacks;
mod contract;
mod directory;
mod freshness;
mod http;
mod imports;
mod million;
mod rank;
mod store;
mod world;

/// What is in the databases of these tests.
fn migrations() -> Vec<platform::db::Migrations> {
    vec![platform::MIGRATIONS, users::MIGRATIONS]
}
