//! What an operator may choose about permissions.

use serde::{Deserialize, Serialize};

/// The section `permissions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// For how many days an assignment that has ended can still be seen before it is cleared away.
    pub keep_ended_days: u16,
    /// How often ended assignments are cleared away, in seconds, at least 1.
    pub sweep_interval_seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep_ended_days: 30, sweep_interval_seconds: 3600 }
    }
}
