//! What an operator may choose about users.

use serde::{Deserialize, Serialize};

/// The section `users`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many namespaces of preferences one person may have.
    pub max_preference_namespaces: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_preference_namespaces: 100 }
    }
}

impl Settings {
    /// What is wrong with them, a sentence each; empty when they are fit for use.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let good = (1..=10_000).contains(&self.max_preference_namespaces);
        let told = || "users.max_preference_namespaces must be between 1 and 10000.".to_owned();
        (!good).then(told).into_iter().collect()
    }
}
