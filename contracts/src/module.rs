//! The parts that Doorward is made of, by name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of Doorward that can live in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Module {
    /// Accounts, sessions and tokens.
    Auth,
    /// Profiles and the directory.
    Users,
    /// Roles and decisions.
    Permissions,
    /// Messages.
    Notifications,
}

impl Module {
    /// Every part.
    pub const ALL: [Self; 4] = [Self::Auth, Self::Users, Self::Permissions, Self::Notifications];

    /// Its name in settings, paths and tokens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Users => "users",
            Self::Permissions => "permissions",
            Self::Notifications => "notifications",
        }
    }

    /// The part of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|module| module.as_str() == name)
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
