//! Settings: where they come from, how mistakes in them are told, and the types that keep secrets out of sight.
//!
//! Left out: the settings themselves. Every crate owns its struct; the application joins them and reads the
//! environment and the files, and hands both in here as plain text.

mod load;
mod master_key;
mod secret;
mod sources;

pub use load::{Loaded, load, load_with_sources};
pub use master_key::{BadMasterKey, MasterKey};
pub use secret::Secret;
pub use sources::{SettingsError, Source};
