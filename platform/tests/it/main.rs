//! The platform's rooms on both databases, as modules use them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody calls it"
)]

mod audit;
mod bus;
mod cache;
mod cache_checker;
mod cache_shared;
mod cache_world;
mod db_groups;
mod db_migrations;
mod db_pools;
mod db_postgres;
mod db_queries;
mod db_snapshot;
mod db_support;
mod db_transactions;
mod db_transfer;
mod forgotten;
mod http_bodies;
mod http_identity;
mod http_limits;
mod http_lists;
mod http_requests;
mod http_support;
mod idempotency;
mod inbox;
mod limits;
mod outbox;
mod peers;
mod rabbit;
mod rabbit_faults;
mod rabbit_support;
mod redis;
mod settings;
mod stage;
mod tokens;

/// What is in the database of a test.
fn migrations() -> Vec<platform::db::Migrations> {
    vec![platform::MIGRATIONS, db_support::TABLES]
}
