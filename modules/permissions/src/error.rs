//! What can go wrong here, in this module's own words, and what the caller is told about it.

use crate::model::{GraphError, MAX_DEPTH, MAX_GROUP_DEPTH, NestingError, Permission};
use contracts::Error as Told;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no role of that name.
    #[error("there is no such role")]
    RoleNotFound,
    /// An assignment names a role that is not there.
    #[error("the named role is not there")]
    RoleUnknown,
    /// There is a role of that name already.
    #[error("there is such a role already")]
    RoleExists,
    /// The role ships with the product.
    #[error("the role is built in")]
    RoleBuiltin,
    /// Somebody holds the role, or another role inherits it.
    #[error("the role is in use")]
    RoleInUse,
    /// The role doesn't fit among the others.
    #[error("the role does not fit among the others")]
    Graph(GraphError),
    /// The subject holds that role there already.
    #[error("there is such an assignment already")]
    AssignmentExists,
    /// There is no such assignment.
    #[error("there is no such assignment")]
    AssignmentNotFound,
    /// There is no such group.
    #[error("there is no such group")]
    GroupNotFound,
    /// An assignment names a group that is not there.
    #[error("the named group is not there")]
    GroupUnknown,
    /// There is a group of that name already.
    #[error("there is such a group already")]
    GroupExists,
    /// The group can't be put into the other one.
    #[error("the group does not fit into the other")]
    Nesting(NestingError),
    /// Without this nobody would be administrator everywhere and for ever.
    #[error("it is the last administrator")]
    LastAdministrator,
    /// The caller would give or take away what he does not hold; among it, of what he named himself, these.
    #[error("the caller does not hold what he gives or takes away")]
    GrantExceedsOwn(Vec<Permission>),
    /// The caller may not do this.
    #[error("the caller may not")]
    Denied,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] platform::db::Error),
    /// Said already in the words of the house.
    #[error(transparent)]
    Told(#[from] Told),
}

/// How many missing permissions are told; the rest is counted.
const TOLD: usize = 20;

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        match error {
            Error::RoleNotFound => Self::not_found("permissions.role_not_found", "There is no such role."),
            Error::RoleUnknown => Self::not_found("permissions.role_unknown", "There is no such role."),
            Error::RoleExists => {
                Self::conflict("permissions.role_exists", "There is a role of this name already.")
            }
            Error::RoleBuiltin => Self::conflict(
                "permissions.role_builtin",
                "This role is part of the product and can't be made, changed or deleted.",
            ),
            Error::RoleInUse => Self::conflict(
                "permissions.role_in_use",
                "The role is assigned to somebody or inherited by another role.",
            ),
            Error::Graph(error) => from_graph(error),
            Error::AssignmentExists => {
                Self::conflict("permissions.assignment_exists", "The subject holds this role there already.")
            }
            Error::AssignmentNotFound => {
                Self::not_found("permissions.assignment_not_found", "There is no such assignment.")
            }
            Error::GroupNotFound => Self::not_found("permissions.group_not_found", "There is no such group."),
            Error::GroupUnknown => Self::not_found("permissions.group_unknown", "There is no such group."),
            Error::GroupExists => {
                Self::conflict("permissions.group_exists", "There is a group of this name already.")
            }
            Error::Nesting(NestingError::Cycle) => Self::conflict(
                "permissions.group_cycle",
                "A group can't be inside of itself, not even through others.",
            ),
            Error::Nesting(NestingError::TooDeep) => Self::conflict(
                "permissions.group_too_deep",
                format!("A chain of groups inside of groups has at most {MAX_GROUP_DEPTH} groups."),
            ),
            Error::LastAdministrator => Self::conflict(
                "permissions.last_administrator",
                "The last administrator can't be removed. Appoint another one first.",
            ),
            Error::GrantExceedsOwn(missing) => from_missing(&missing),
            Error::Denied => Self::denied("platform.denied", "You may not do this."),
            Error::Database(error) => error.into(),
            Error::Told(error) => error,
        }
    }
}

fn from_graph(error: GraphError) -> Told {
    let at = |mut told: Told, positions: &[usize], code, message: &'static str| {
        for position in positions {
            told = told.at(format!("/inherits/{position}"), code, message);
        }
        told
    };
    match error {
        GraphError::Unknown(positions) => {
            let told = Told::invalid("permissions.role_unknown", "An inherited role does not exist.");
            at(told, &positions, "unknown", "There is no such role.")
        }
        GraphError::Cycle(positions) => {
            let told = Told::invalid(
                "permissions.role_cycle",
                "A role can't inherit itself, not even through others.",
            );
            at(
                told,
                &positions,
                "cycle",
                "This role inherits, directly or through others, the one being written.",
            )
        }
        GraphError::TooDeep => {
            let rule = format!("A chain of inherited roles has at most {MAX_DEPTH} roles.");
            Told::invalid("permissions.role_too_deep", rule.clone()).at("/inherits", "too_deep", rule)
        }
    }
}

/// Names only what the caller wrote down himself: what roles and groups hold is for those who may read them.
fn from_missing(missing: &[Permission]) -> Told {
    let told: Vec<String> = missing.iter().take(TOLD).map(ToString::to_string).collect();
    let more = missing.len().saturating_sub(TOLD);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let rule = "You can only give or take away what you hold yourself, everywhere and as long";
    let text = if told.is_empty() {
        format!("{rule}.")
    } else {
        format!("{rule}; you lack {}{rest}.", told.join(", "))
    };
    Told::denied("permissions.grant_exceeds_own", text)
}
