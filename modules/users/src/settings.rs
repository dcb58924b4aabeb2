//! What an operator may choose about users.

use serde::{Deserialize, Serialize};

/// The section `users`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many namespaces of preferences one person may have.
    pub max_preference_namespaces: u32,
    /// Imports.
    pub import: ImportSettings,
}

/// The section `users.import`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImportSettings {
    /// How many bytes one import may have: 1 KiB to 1 TiB.
    pub max_bytes: u64,
}

impl Default for ImportSettings {
    fn default() -> Self {
        Self { max_bytes: 1024 * 1024 * 1024 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_preference_namespaces: 100, import: ImportSettings::default() }
    }
}

impl Settings {
    /// What is wrong with them, a sentence each; empty when they are fit for use.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(1..=10_000).contains(&self.max_preference_namespaces) {
            problems.push("users.max_preference_namespaces must be between 1 and 10000.".to_owned());
        }
        if !(1024..=1024_u64.pow(4)).contains(&self.import.max_bytes) {
            problems.push(
                "users.import.max_bytes must be between 1024 (1 KiB) and 1099511627776 (1 TiB).".to_owned(),
            );
        }
        problems
    }
}
