//! What the audit trail is told about roles and assignments: the whole state before and after.

use crate::model::{Assignment, Role};
use contracts::{Caller, Time};
use platform::audit::{self, Entry, Outcome};
use platform::db::{self, DbConn};
use serde_json::{Value, json};

/// A role was made, changed or deleted.
pub(super) async fn role(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    action: &'static str,
    before: Option<&Role>,
    after: Option<&Role>,
) -> db::Result<()> {
    let name = before.or(after).map(|role| role.name.to_string());
    let entry = Entry {
        action,
        outcome: Outcome::Succeeded,
        subject_type: "role",
        subject_id: name.unwrap_or_default(),
        before: before.map(role_state),
        after: after.map(role_state),
    };
    audit::record(tx, now, caller, entry).await
}

/// An assignment was made or removed.
pub(super) async fn assignment(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    action: &'static str,
    before: Option<&Assignment>,
    after: Option<&Assignment>,
) -> db::Result<()> {
    let id = before.or(after).map(|assignment| assignment.id.to_string());
    let entry = Entry {
        action,
        outcome: Outcome::Succeeded,
        subject_type: "role_assignment",
        subject_id: id.unwrap_or_default(),
        before: before.map(assignment_state),
        after: after.map(assignment_state),
    };
    audit::record(tx, now, caller, entry).await
}

fn role_state(role: &Role) -> Value {
    json!({ "description": role.description, "permissions": role.permissions, "inherits": role.inherits })
}

fn assignment_state(assignment: &Assignment) -> Value {
    json!({
        "subject": { "type": "user", "id": assignment.subject },
        "role": assignment.role,
        "resource": assignment.resource,
        "expires_at": assignment.expires_at,
    })
}
