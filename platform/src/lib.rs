//! The machinery that every module of Doorward stands on, without a business noun in it.
//!
//! A closed list of rooms: a new one needs a decision record. Modules use these and never each other.

pub mod db;

/// The migrations of the platform's own tables.
pub const MIGRATIONS: db::Migrations = migrations!(@ "/../migrations/", "platform", []);
