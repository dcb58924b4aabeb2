//! Who holds which role, on what and until when.
//!
//! Whether an assignment may be made or removed is decided in `service`.

use crate::model::permission::is_word;
use crate::model::{Holder, Question, RoleName};
use contracts::{AssignmentId, Time};
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

impl Resource {
    /// The thing that is asked about, when a role can be given on it.
    pub(crate) fn of(question: Question<'_>) -> Option<Self> {
        let id = question.resource_id?;
        let fits = is_word(question.resource_type) && crate::model::id(id).is_ok();
        fits.then(|| Self { kind: question.resource_type.to_owned(), id: id.to_owned() })
    }
}

/// An assignment as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Assignment {
    /// Its id.
    pub(crate) id: AssignmentId,
    /// Who holds the role.
    pub(crate) subject: Holder,
    /// The role.
    pub(crate) role: RoleName,
    /// The one thing it is about; everywhere when absent.
    pub(crate) resource: Option<Resource>,
    /// When it stops counting; never when absent.
    pub(crate) expires_at: Option<Time>,
    /// When it was made.
    pub(crate) created_at: Time,
}

/// The part of an assignment that a decision and its explanation need; the kind of value that is kept in the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The assignment.
    pub(crate) id: AssignmentId,
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
            id: assignment.id,
            role: assignment.role.clone(),
            resource: assignment.resource.clone(),
            expires_at: assignment.expires_at,
        }
    }
}
