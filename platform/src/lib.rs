//! The machinery that every module of Doorward stands on, without a business noun in it.
//!
//! A closed list of rooms: a new one needs a decision record. Modules use these and never each other.

pub mod audit;
pub mod bus;
pub mod cache;
pub mod clock;
pub mod db;
pub mod forgotten;
pub mod http;
pub mod idempotency;
pub mod inbox;
pub mod limits;
pub mod metrics;
pub mod outbox;
pub mod peers;
pub mod redis;
mod schema;
pub mod settings;
pub mod telemetry;
pub mod tokens;

/// The migrations of the platform's own tables.
pub const MIGRATIONS: db::Migrations = migrations!(
    @ "/../migrations/", "platform", [
        "2026-11-22-000101_outbox",
        "2026-11-22-000102_deliveries",
        "2026-11-22-000103_inbox",
        "2026-11-22-000104_audit",
        "2026-11-22-000105_limits",
        "2026-11-22-000106_idempotency",
        "2026-11-27-000121_replicas",
        "2026-11-28-000131_replica_leases",
        "2026-11-28-000141_forgotten"
    ]
);

/// How many rows a sweep forgets at most before it lets others write.
pub const SWEEP_BATCH: i64 = 1_000;
