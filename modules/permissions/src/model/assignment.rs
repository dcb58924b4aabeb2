//! Who holds which role, on what and until when.
//!
//! Only users hold roles today. Whether an assignment may be made or removed is decided in `service`.

use crate::model::RoleName;
use contracts::{AssignmentId, Time, UserId};
use serde::{Deserialize, Serialize};

/// One thing, named by its type and its id. The two are compared apart and never joined: `a:b` + `c` is not
/// `a` + `b:c`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Resource {
    /// Its type, a word.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Its id, any text without control characters.
    pub(crate) id: String,
}

/// An assignment as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Assignment {
    /// Its id.
    pub(crate) id: AssignmentId,
    /// The user who holds the role.
    pub(crate) subject: UserId,
    /// The role.
    pub(crate) role: RoleName,
    /// The one thing it is about; everywhere when absent.
    pub(crate) resource: Option<Resource>,
    /// When it stops counting; never when absent.
    pub(crate) expires_at: Option<Time>,
    /// When it was made.
    pub(crate) created_at: Time,
}

/// The part of an assignment that a decision needs; the kind of value that is kept in the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The role.
    pub(crate) role: RoleName,
    /// The one thing it is about; everywhere when absent.
    pub(crate) resource: Option<Resource>,
    /// When it stops counting; never when absent.
    pub(crate) expires_at: Option<Time>,
}

impl Assignment {
    /// Whether it still counts at that moment. At the very instant of its end it no longer does.
    pub(crate) fn lasts_beyond(&self, moment: Time) -> bool {
        lasts_beyond(self.expires_at, moment)
    }
}

impl Held {
    /// A role that counts for everything and for ever.
    pub(crate) fn everywhere(role: RoleName) -> Self {
        Self { role, resource: None, expires_at: None }
    }

    /// Whether it still counts at that moment. At the very instant of its end it no longer does.
    pub(crate) fn lasts_beyond(&self, moment: Time) -> bool {
        lasts_beyond(self.expires_at, moment)
    }
}

fn lasts_beyond(end: Option<Time>, moment: Time) -> bool {
    end.is_none_or(|end| end > moment)
}

impl From<&Assignment> for Held {
    fn from(assignment: &Assignment) -> Self {
        Self {
            role: assignment.role.clone(),
            resource: assignment.resource.clone(),
            expires_at: assignment.expires_at,
        }
    }
}
