//! What an operator may choose about permissions.

use serde::{Deserialize, Serialize};

/// The section `permissions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// For how many days an assignment that has ended can still be seen before it is cleared away: 0 to 3650.
    pub keep_ended_days: u16,
    /// How often ended assignments are cleared away, and auth is asked about administrators who are not known to have proved
    /// their address, in seconds: 1 to 86400.
    pub sweep_interval_seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep_ended_days: 30, sweep_interval_seconds: 3600 }
    }
}

impl Settings {
    /// What is wrong with them, a sentence each; empty when they are fit for use.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.keep_ended_days > 3_650 {
            problems.push("permissions.keep_ended_days must be from 0 to 3650.".to_owned());
        }
        if !(1..=86_400).contains(&self.sweep_interval_seconds) {
            problems.push("permissions.sweep_interval_seconds must be from 1 to 86400.".to_owned());
        }
        problems
    }
}
