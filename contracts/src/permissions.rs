//! What permissions answers and tells: decisions and role assignments.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::facts;
use crate::wire::contract;
use crate::{AssignmentId, ExportPerson, GroupId, Module, PersonalData, Time, UserId};

/// Who wants something: a type and an id, as in AuthZEN.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// `user` or `group`.
    #[serde(rename = "type")]
    pub subject_type: String,
    /// The id within its type.
    pub id: String,
}

impl Subject {
    /// A group.
    #[must_use]
    pub fn group(id: GroupId) -> Self {
        Self { subject_type: "group".to_owned(), id: id.to_string() }
    }

    /// A person.
    #[must_use]
    pub fn user(id: UserId) -> Self {
        Self { subject_type: "user".to_owned(), id: id.to_string() }
    }
}

/// One thing, named by type and id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceRef {
    /// Such as `document`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The id within its type.
    pub id: String,
}

/// Asks for a decision: may the subject do the action on the resource?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluate {
    /// Who.
    pub subject: Subject,
    /// What: the second half of a permission, such as `read`.
    pub action: String,
    /// On what type: the first half of a permission, such as `users`.
    pub resource_type: String,
    /// On which one; none asks about the whole type.
    pub resource_id: Option<String>,
    /// What the asking side knows about the resource; `owner` is looked at.
    #[serde(default)]
    pub resource_properties: Map<String, Value>,
}

/// A decision, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The role and the permission that allowed it.
    pub reason: Option<Reason>,
}

/// What allowed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The role that was assigned.
    pub role: String,
    /// The permission that matched, found in the role or in one it inherits.
    pub permission: String,
}

/// Asks to give a role to a subject. Asking twice changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignRole {
    /// Who gets it.
    pub subject: Subject,
    /// The role's name.
    pub role: String,
    /// On one resource only.
    pub resource: Option<ResourceRef>,
    /// Until when.
    pub expires_at: Option<Time>,
}

/// The assignment that is now there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedRole {
    /// Its id.
    pub assignment: AssignmentId,
}

/// Says whether a person's account can be used, before it is switched off and after it is switched on: who can't log
/// in does not count as administrator. Asking twice changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetStanding {
    /// Whose.
    pub user: UserId,
    /// Whether the account can be used.
    pub active: bool,
}

/// The standing that is now kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// As it was asked for.
    pub active: bool,
}

/// Asks whom of these people somebody may not have at his disposal, because they may do something that he may not: who
/// could change their address would soon be them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindOutranking {
    /// Who wants to change their accounts.
    pub actor: UserId,
    /// Whose accounts; at most a thousand.
    pub users: Vec<UserId>,
}

/// Those who may do something that the actor may not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outranking {
    /// In no order.
    pub users: Vec<UserId>,
}

contract! {
    /// What other modules may ask of permissions.
    "permissions" Permissions / RemotePermissions / permissions_routes {
        /// A decision. Never an error because the subject or resource is unknown: that is a refusal.
        repeatable evaluate(Evaluate) -> Decision, by &Module::ALL;
        /// Gives a role. `NotFound` when there is no such role, or no such group.
        repeatable assign_role(AssignRole) -> AssignedRole, by &[Module::Auth];
        /// Notes whether a person's account can be used. `Conflict` when no administrator would be left.
        repeatable set_standing(SetStanding) -> Standing, by &[Module::Auth];
        /// Who of these people holds something that the actor does not hold, everywhere and as long. People that nobody
        /// knows may hold roles as well.
        repeatable find_outranking(FindOutranking) -> Outranking, by &[Module::Users];
        /// Everything permissions knows about a person: `role_assignments`, `groups`.
        repeatable export_person(ExportPerson) -> PersonalData, by &[Module::Users];
    }
}

facts! {
    /// A role came into being.
    RoleCreated = "permissions.role.created", about role {
        /// Its name.
        role: String,
    }

    /// A role changed.
    RoleUpdated = "permissions.role.updated", about role {
        /// Its name.
        role: String,
    }

    /// A role is gone.
    RoleDeleted = "permissions.role.deleted", about role {
        /// Its name.
        role: String,
    }

    /// A subject got a role.
    AssignmentCreated = "permissions.assignment.created", about assignment {
        /// Which assignment.
        assignment: AssignmentId,
        /// Who got it.
        subject: Subject,
        /// The role.
        role: String,
    }

    /// A subject lost a role.
    AssignmentDeleted = "permissions.assignment.deleted", about assignment {
        /// Which assignment.
        assignment: AssignmentId,
        /// Who lost it.
        subject: Subject,
        /// The role.
        role: String,
    }
    /// A group came into being.
    GroupCreated = "permissions.group.created", about group {
        /// Which group.
        group: GroupId,
        /// Its name.
        name: String,
    }

    /// A group got another name or description.
    GroupUpdated = "permissions.group.updated", about group {
        /// Which group.
        group: GroupId,
        /// Its name now.
        name: String,
    }

    /// A group is gone, and with it every membership in it and of it. Its role assignments are told one by one.
    GroupDeleted = "permissions.group.deleted", about group {
        /// Which group.
        group: GroupId,
        /// The name it had.
        name: String,
    }

    /// A group got a member.
    GroupMemberAdded = "permissions.group.member_added", about group {
        /// Which group.
        group: GroupId,
        /// Who is in it now: a user or a group.
        member: Subject,
    }

    /// A group lost a member.
    GroupMemberRemoved = "permissions.group.member_removed", about group {
        /// Which group.
        group: GroupId,
        /// Who is no longer in it.
        member: Subject,
    }
}
