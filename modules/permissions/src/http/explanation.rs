//! Why it was decided so, as it is told: the shape of `context.explanation`.

use super::assignments::resource;
use super::holdings::GroupView;
use crate::model::{Change, Holder, Policy, Step};
use crate::service::Explanation;
use contracts::permissions::{ResourceRef, Subject};
use contracts::{AssignmentId, GroupId, Time};
use serde::Serialize;
use utoipa::ToSchema;

/// Why it was decided so: a way to a yes, or what would make one.
#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(super) struct ExplanationView {
    /// Counts the changes of roles and groups; the same number is the same state of them.
    model_revision: i64,
    /// The shortest way from the subject to a permission that matches; null when it is refused. Take any step away and
    /// this way is broken.
    path: Option<Vec<StepView>>,
    /// The change that would allow it and gives least; null when it is allowed, when nothing would help, or when the
    /// caller may not know.
    change: Option<ChangeView>,
    /// Other single changes, each of which would allow it as well.
    alternatives: Vec<ChangeView>,
    /// Whether changes are left out because the caller has no right `permissions:evaluate`.
    changes_withheld: bool,
}

/// One step of a way.
#[derive(Serialize, ToSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
#[schema(as = ExplanationStep)]
enum StepView {
    /// The member is in the group.
    MemberOf {
        /// A user, or a group.
        member: Subject,
        /// In which.
        group: GroupView,
    },
    /// Every user holds the role.
    Everybody {
        /// Which.
        role: String,
    },
    /// The subject, or one of the groups it is in, was given the role.
    Assigned {
        /// Who was given it.
        subject: Subject,
        /// By which assignment.
        assignment_id: AssignmentId,
        /// Which.
        role: String,
        /// On this only; on everything when null.
        resource: Option<ResourceRef>,
        /// Until then; for ever when null.
        expires_at: Option<Time>,
    },
    /// The role inherits another.
    Inherits {
        /// The role.
        role: String,
        /// The other.
        inherited: String,
    },
    /// The role lists a permission that matches.
    Grants {
        /// The role.
        role: String,
        /// The permission.
        permission: String,
    },
}

/// One change that would allow it.
#[derive(Serialize, ToSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
#[schema(as = ExplanationChange)]
enum ChangeView {
    /// An assignment has ended: give it again, for longer.
    ExtendAssignment {
        /// Which.
        assignment_id: AssignmentId,
        /// Whose.
        subject: Subject,
        /// Of which role.
        role: String,
    },
    /// Give the role to the subject.
    AssignRole {
        /// Which.
        role: String,
        /// On this only; on everything when null.
        resource: Option<ResourceRef>,
    },
    /// Put the subject into the group.
    AddToGroup {
        /// Which.
        group: GroupView,
    },
    /// Add the permission to a role that the subject holds. All others who hold it get it too.
    AddPermission {
        /// Which role.
        role: String,
        /// Which permission.
        permission: String,
    },
}

impl From<&Explanation> for ExplanationView {
    fn from(explanation: &Explanation) -> Self {
        let policy = &explanation.policy;
        let view = |step: &Step| step_view(policy, step);
        let changes = explanation.changes.as_deref().unwrap_or_default();
        let mut changes = changes.iter().map(|change| change_view(policy, change));
        Self {
            model_revision: policy.revision,
            path: explanation.proof.as_ref().map(|way| way.iter().map(view).collect()),
            change: changes.next(),
            alternatives: changes.collect(),
            changes_withheld: explanation.proof.is_none() && explanation.changes.is_none(),
        }
    }
}

fn group(policy: &Policy, id: GroupId) -> GroupView {
    GroupView { id, name: policy.groups.name(id).map(ToString::to_string).unwrap_or_default() }
}

fn step_view(policy: &Policy, step: &Step) -> StepView {
    match step {
        Step::MemberOf { member, group: id } => {
            StepView::MemberOf { member: member.subject(), group: group(policy, *id) }
        }
        Step::Everybody { role } => StepView::Everybody { role: role.to_string() },
        Step::Assigned { holder, held } => StepView::Assigned {
            subject: holder.subject(),
            assignment_id: held.id,
            role: held.role.to_string(),
            resource: held.resource.as_ref().map(resource),
            expires_at: held.expires_at,
        },
        Step::Inherits { role, inherited } => {
            StepView::Inherits { role: role.to_string(), inherited: inherited.to_string() }
        }
        Step::Grants { role, permission } => {
            StepView::Grants { role: role.to_string(), permission: permission.to_string() }
        }
    }
}

fn change_view(policy: &Policy, change: &Change) -> ChangeView {
    match change {
        Change::ExtendAssignment { id, holder, role } => ChangeView::ExtendAssignment {
            assignment_id: *id,
            subject: Holder::subject(*holder),
            role: role.to_string(),
        },
        Change::AssignRole { role, resource: only } => {
            ChangeView::AssignRole { role: role.to_string(), resource: only.as_ref().map(resource) }
        }
        Change::AddToGroup { group: id } => ChangeView::AddToGroup { group: group(policy, *id) },
        Change::AddPermission { role, permission } => {
            ChangeView::AddPermission { role: role.to_string(), permission: permission.to_string() }
        }
    }
}
