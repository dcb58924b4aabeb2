//! The endpoints, as clients see them.

mod access;
mod assignments;
mod evaluation;
mod grants;
mod roles;
