//! What notifications does, seen from outside: over HTTP, through its contract, and at the other end of the wire.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod attacks;
mod contract;
mod delivery;
mod facts;
mod forget;
mod http;
mod inbox;
mod killed;
mod limits;
mod mailbox;
mod preferences;
mod providers;
mod queue;
mod receipts;
mod smtp;
mod store;
mod world;

use platform::db::Migrations;

fn migrations() -> Vec<Migrations> {
    vec![platform::MIGRATIONS, notifications::MIGRATIONS]
}
