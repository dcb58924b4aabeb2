//! What is known about one person, as each module tells it: for the person's own copy of everything (GDPR art. 15
//! and 20). Left out: who may ask; that is decided where the parts are put together.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::UserId;

/// Asks for everything that a module knows about one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPerson {
    /// About whom.
    pub user: UserId,
}

/// Everything that a module knows about one person, by section, such as `sessions`. Holds no secret and no hash of
/// one. `Debug` shows the names of the sections only.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PersonalData {
    /// The sections; their names are the same in every export.
    pub sections: BTreeMap<String, Value>,
}

impl fmt::Debug for PersonalData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.sections.keys()).finish()
    }
}
