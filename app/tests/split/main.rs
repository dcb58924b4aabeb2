//! Four processes, one for each module: what they answer together, what is refused between them, and what still works
//! when one of them is gone. All against the real binary.
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

mod certificates;
mod fleet;
mod forged;
mod gone;
mod proxies;
mod start;
mod stops;
mod whole;
