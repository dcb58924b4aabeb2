//! Roles, permissions and the rule that decides, without any I/O.
//!
//! A value that exists here is valid: names, permissions and resources are parsed once, at the edge. What is
//! stored and who may change it is left to `store` and `service`; time always arrives as an argument.

mod assignment;
mod decision;
mod draft;
mod effective;
mod explain;
mod graph;
mod group;
mod holder;
mod permission;
mod policy;
mod reverse;
mod role;

#[cfg(test)]
mod tests;

pub(crate) use assignment::{Assignment, Held, Resource};
pub(crate) use decision::{Decision, Question, Reason, missing};
pub(crate) use draft::{AssignmentDraft, AssignmentText, RoleDraft, RoleText, id};
pub(crate) use effective::Effective;
pub(crate) use explain::{Change, Step, changes, proof};
pub(crate) use graph::{GraphError, MAX_DEPTH, RoleGraph};
pub(crate) use group::{Group, GroupDraft, GroupGraph, MAX_GROUP_DEPTH, NestingError};
pub(crate) use holder::Holder;
pub(crate) use permission::Permission;
pub(crate) use policy::{Holding, Own, Policy};
pub(crate) use reverse::{Actions, Resources, Words, actions, granting_groups, granting_roles, resources};
pub(crate) use role::{ADMIN, MEMBER, Role, RoleName};
