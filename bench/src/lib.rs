//! Measures and torments the real binary, from outside: over HTTP, as a process, and in its database.
//!
//! A tool for developers and no part of the product. It knows no module: what it needs to know of the tables is in
//! `growth/fill.rs` and `chaos/audit.rs`. It may panic where product code may not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a developer's tool ends by panicking"
)]

pub mod chaos;
pub mod floors;
pub mod growth;
pub mod load;
pub mod shapes;

mod asks;
mod books;
mod drive;
mod fleet;
mod folder;
mod house;
mod http;
mod people;
mod proxy;
mod report;
mod services;
mod sql;

/// Which database Doorward runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// Built in.
    Sqlite,
    /// A private server of this run alone.
    Postgres,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// How many processes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// One with everything.
    One,
    /// Two with everything on one PostgreSQL, Redis and RabbitMQ, behind HAProxy.
    Replicas,
    /// One for each module with a database of its own, RabbitMQ between them, behind HAProxy.
    Services,
}

/// A runtime for everything but the measured load.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
