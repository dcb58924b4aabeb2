//! What people say about themselves, and how they are administered: profiles, preferences, and the directory of users.
//!
//! Owns names, languages, time zones, free attributes, and preferences by namespace. Leaves out who somebody is and
//! whether he may log in: the address and the state of an account are auth's. Whoever reads one person asks auth; lists
//! and searches are made of the directory, a copy that auth's events keep up.

mod error;
mod events;
mod http;
mod model;
mod schema;
mod service;
mod settings;
mod store;

pub use events::{SUBSCRIPTIONS, subscribers};
pub use http::routes;
pub use service::{Parts, Service};
pub use settings::Settings;

/// The migrations of this module's tables.
pub const MIGRATIONS: platform::db::Migrations = platform::migrations!(
    "users",
    [
        "2026-11-22-000301_profiles",
        "2026-11-22-000302_removed_preferences",
        "2026-11-22-000303_directory",
        "2026-11-22-000304_imports",
        "2026-11-28-000305_purges",
    ]
);

/// What is in the databases of the tests in here.
#[cfg(test)]
fn migrations() -> Vec<platform::db::Migrations> {
    vec![platform::MIGRATIONS, MIGRATIONS]
}
