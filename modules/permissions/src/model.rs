//! Roles, permissions and the rule that decides, without any I/O.
//!
//! A value that exists here is valid: names, permissions and resources are parsed once, at the edge. What is
//! stored and who may change it is left to `store` and `service`; time always arrives as an argument.

mod assignment;
mod decision;
mod draft;
mod graph;
mod permission;
mod role;

#[cfg(test)]
mod tests;

pub(crate) use assignment::{Assignment, Held, Resource};
pub(crate) use decision::{Decision, Question, Reason, decide, missing};
pub(crate) use draft::{AssignmentDraft, AssignmentText, RoleDraft, RoleText, id};
pub(crate) use graph::{GraphError, MAX_DEPTH, RoleGraph};
pub(crate) use permission::Permission;
pub(crate) use role::{ADMIN, MEMBER, Role, RoleName};
