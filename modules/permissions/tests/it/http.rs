//! The endpoints, as clients see them.

mod access;
mod administrators;
mod assignments;
mod evaluation;
mod evaluations;
mod grants;
mod groups;
mod removals;
mod roles;
mod search;
