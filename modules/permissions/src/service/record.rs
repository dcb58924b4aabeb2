//! What the audit trail is told about roles, assignments and groups: the whole state before and after.

use crate::model::{Assignment, Group, Role};
use crate::store::members::Member;
use contracts::{Caller, Time, UserId};
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

/// A group was made, changed or deleted.
pub(super) async fn group(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    action: &'static str,
    before: Option<&Group>,
    after: Option<&Group>,
) -> db::Result<()> {
    let id = before.or(after).map(|group| group.id.to_string());
    let entry = Entry {
        action,
        outcome: Outcome::Succeeded,
        subject_type: "group",
        subject_id: id.unwrap_or_default(),
        before: before.map(group_state),
        after: after.map(group_state),
    };
    audit::record(tx, now, caller, entry).await
}

/// Somebody was put into a group or taken out of it.
pub(super) async fn member(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    action: &'static str,
    before: Option<&Member>,
    after: Option<&Member>,
) -> db::Result<()> {
    let id = before.or(after).map(|member| member.group.to_string());
    let state = |member: &Member| json!({ "member": member.member });
    let entry = Entry {
        action,
        outcome: Outcome::Succeeded,
        subject_type: "group",
        subject_id: id.unwrap_or_default(),
        before: before.map(state),
        after: after.map(state),
    };
    audit::record(tx, now, caller, entry).await
}

/// An account can be used, or no longer.
pub(super) async fn standing(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    user: UserId,
    active: bool,
) -> db::Result<()> {
    let state = |active: bool| Some(json!({ "active": active }));
    let entry = Entry {
        action: "permissions.standing.changed",
        outcome: Outcome::Succeeded,
        subject_type: "user",
        subject_id: user.to_string(),
        before: state(!active),
        after: state(active),
    };
    audit::record(tx, now, caller, entry).await
}

fn group_state(group: &Group) -> Value {
    json!({ "name": group.name, "description": group.description })
}

fn role_state(role: &Role) -> Value {
    json!({ "description": role.description, "permissions": role.permissions, "inherits": role.inherits })
}

fn assignment_state(assignment: &Assignment) -> Value {
    json!({
        "subject": assignment.subject,
        "role": assignment.role,
        "resource": assignment.resource,
        "expires_at": assignment.expires_at,
    })
}
