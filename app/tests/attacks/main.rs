//! What an attacker tries from outside, and sees: forged headers, floods, broken and slow requests, and secrets that he
//! hopes to find in logs and on the disk. All against the real binary.
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

mod broken;
mod canaries;
mod floods;
mod forged;
mod kept;
mod purged;
mod quotes;
mod races;
mod secrets;
mod slow;
mod start;
