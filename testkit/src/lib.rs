//! What tests share: databases on both engines, fakes that keep their contract's promises, and the other end of a
//! wire. Only ever a dev-dependency; it may panic where product code may not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "a test helper fails by panicking"
)]

pub mod brokers;
pub mod cable;
mod certificates;
pub mod conforms;
pub mod databases;
pub mod fakes;
pub mod far;
pub mod gate;
pub mod mail_trap;
pub mod ports;
pub mod postgres_front;
pub mod redis;
pub mod scan;
pub mod sms_gateway;
pub mod store;
