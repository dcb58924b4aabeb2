//! Roles, who holds them, and the decisions that follow.
//!
//! Owns roles with inheritance, groups, role assignments and the answer to "may this subject do this action on this
//! resource?". Leaves out: who somebody is (auth), and what is done with a decision (whoever asked).

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
pub use service::Service;
pub use settings::Settings;

/// The migrations of this module's tables.
pub const MIGRATIONS: platform::db::Migrations = platform::migrations!(
    "permissions",
    ["2026-11-22-000401_roles", "2026-11-22-000402_groups", "2026-11-28-000403_proven_subjects"]
);

/// What is in the databases of this crate's own tests.
#[cfg(test)]
fn migrations() -> Vec<platform::db::Migrations> {
    vec![platform::MIGRATIONS, MIGRATIONS]
}
