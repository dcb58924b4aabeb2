//! What this module keeps: the roles with their graph row, the groups with their members, the assignments, and who can
//! log in.
//!
//! One query a function. Who may write and what must hold before is decided in `service`.

pub(crate) mod administrators;
pub(crate) mod assignments;
pub(crate) mod graph;
pub(crate) mod groups;
pub(crate) mod holders;
pub(crate) mod members;
pub(crate) mod roles;
pub(crate) mod standings;

#[cfg(test)]
mod tests;

use crate::model::Holder;
use contracts::{GroupId, UserId};

platform::id_type! {
    /// The id of a user or of a group, as a column holds it beside the type.
    pub(crate) struct HolderId;
}

impl From<Holder> for HolderId {
    fn from(holder: Holder) -> Self {
        Self::from_uuid(match holder {
            Holder::User(id) => id.uuid(),
            Holder::Group(id) => id.uuid(),
        })
    }
}

/// Who is meant by the two columns; the tables allow no other types.
fn holder(kind: &str, id: HolderId) -> Holder {
    match kind {
        "group" => Holder::Group(GroupId::from_uuid(id.uuid())),
        _ => Holder::User(UserId::from_uuid(id.uuid())),
    }
}
