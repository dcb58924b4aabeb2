//! What an operator does with Doorward, and what it does for him: commands beside a running server, backups, the audit
//! trail, and what happens when the disk is full. All with the real binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    unreachable_pub,
    missing_docs,
    dead_code,
    reason = "a test fails by panicking, and borrows the house of the journeys without needing all its rooms"
)]

#[path = "../journeys/client.rs"]
mod client;
#[path = "../journeys/house.rs"]
mod house;
#[path = "../journeys/plan.rs"]
mod plan;
#[path = "../journeys/transcript.rs"]
mod transcript;

mod backups;
mod commands;
mod disk;
mod everywhere;
mod faults;
mod lost;
mod moves;
mod moving;
mod numbers;
mod recipes;
mod replicas;
mod starting;
mod syncs;
mod trail;

use platform::db::Migrations;

/// Everybody's tables, as the program makes them.
const TABLES: [Migrations; 5] = [
    platform::MIGRATIONS,
    auth::MIGRATIONS,
    users::MIGRATIONS,
    permissions::MIGRATIONS,
    notifications::MIGRATIONS,
];
