//! What people say about themselves: profiles and preferences.
//!
//! Owns names, languages, time zones, free attributes, and preferences by namespace. Leaves out who somebody is and
//! whether he may log in: the address and the state of an account are auth's, asked for with every read and never
//! copied.

mod error;
mod events;
mod http;
mod model;
mod schema;
mod service;
mod settings;
mod store;

pub use events::subscribers;
pub use http::routes;
pub use service::Service;
pub use settings::Settings;

/// The migrations of this module's tables.
pub const MIGRATIONS: platform::db::Migrations =
    platform::migrations!("users", ["2026-11-22-000301_profiles", "2026-11-22-000302_removed_preferences"]);
