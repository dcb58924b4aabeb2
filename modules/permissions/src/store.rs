//! What this module keeps: the roles with their graph row, and the assignments.
//!
//! One query a function. Who may write and what must hold before is decided in `service`.

pub(crate) mod assignments;
pub(crate) mod graph;
pub(crate) mod roles;
