//! A role: a named set of permissions that may build on other roles.
//!
//! Whether a role fits among the others (nothing unknown inherited, no circle, not too deep) is asked of the
//! graph, not of the role.

use crate::model::Permission;
use contracts::Time;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The built-in role that may do everything.
pub(crate) const ADMIN: &str = "admin";

/// The built-in role that every user holds without an assignment.
pub(crate) const MEMBER: &str = "member";

/// The longest name of a role, in characters.
const MAX_NAME: usize = 63;

/// `[a-z][a-z0-9_.-]{0,62}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct RoleName(Arc<str>);

/// The text is no role name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "A role name starts with a lower-case letter and has at most 63 lower-case letters, digits, dots, _ and -."
)]
pub(crate) struct NotARoleName;

impl RoleName {
    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names a role that ships with the product and never changes.
    pub(crate) fn is_builtin(&self) -> bool {
        matches!(self.as_str(), ADMIN | MEMBER)
    }
}

impl FromStr for RoleName {
    type Err = NotARoleName;

    fn from_str(text: &str) -> Result<Self, NotARoleName> {
        let fits = text.len() <= MAX_NAME
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.' || c == '-');
        fits.then(|| Self(text.into())).ok_or(NotARoleName)
    }
}

impl TryFrom<String> for RoleName {
    type Error = NotARoleName;

    fn try_from(text: String) -> Result<Self, NotARoleName> {
        text.parse()
    }
}

impl From<RoleName> for String {
    fn from(name: RoleName) -> Self {
        name.as_str().to_owned()
    }
}

impl Borrow<str> for RoleName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A role as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Role {
    /// Its name, which is also its address.
    pub(crate) name: RoleName,
    /// What it is for, in the words of whoever made it.
    pub(crate) description: Option<String>,
    /// What it allows by itself.
    pub(crate) permissions: Vec<Permission>,
    /// The roles whose permissions it has as well.
    pub(crate) inherits: Vec<RoleName>,
    /// Counts the changes of this role, from 1.
    pub(crate) revision: i64,
    /// When it was made.
    pub(crate) created_at: Time,
    /// When it was last changed.
    pub(crate) updated_at: Time,
}
