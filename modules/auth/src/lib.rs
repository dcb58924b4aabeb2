//! Accounts and how their owners prove who they are: registration, verification, login, sessions and tokens.
//!
//! This crate owns the `auth_*` tables and nothing else. Other modules ask it through `contracts::auth::Auth` and hear
//! of it through the facts there. Its rooms: `http` parses and answers, `service` decides, one use case a file,
//! `model` holds the nouns and rules, `store` the queries, `events` what is heard from others. `README.md` lists what
//! it owns, asks, answers, tells and hears.

mod error;
mod events;
mod http;
mod model;
mod schema;
mod service;
mod settings;
mod store;

pub use events::{SUBSCRIPTIONS, subscribers};
pub use http::{PAGES, routes};
pub use service::{
    Appointed, Appointment, Closed, Dependencies, FirstAccess, RotatedKeys, Service, SetupLink, TunedHash,
    close_restored, tune_hash,
};
pub use settings::{
    DeletionSettings, DeviceSettings, HashPriority, HashSettings, LimitSettings, LinkSettings,
    PasswordSettings, SessionSettings, Settings, SigningAlgorithm, TokenSettings,
};

/// The migrations of this module's tables.
pub const MIGRATIONS: platform::db::Migrations = platform::migrations!(
    "auth",
    [
        "2026-11-22-000201_accounts",
        "2026-11-22-000202_one_time_requests",
        "2026-11-22-000203_sessions",
        "2026-11-22-000204_signing_keys",
        "2026-11-22-000205_setup",
        "2026-11-22-000211_devices",
        "2026-11-28-000212_restoring",
        "2026-11-28-000213_purged_accounts",
    ]
);
