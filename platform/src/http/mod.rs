//! The room in front of every handler: what a request must look like, who may send it, and how it is answered.
//!
//! A handler names what it needs as arguments, identity first: [`Anyone`], [`User`] or [`Allowed`], then [`Json`],
//! [`Query`], [`Path`], [`MergePatch`], [`IfMatch`] or [`IdempotentJson`]. It answers a value, or an error that `?`
//! turns into a [`Problem`]. Left out: listeners, routes and the list of who may call what; see the application.

mod body;
mod client_address;
mod conditional;
mod context;
mod document;
mod headers;
mod identity;
mod internal;
mod json;
mod limited;
mod objects;
mod order;
mod paging;
mod problem;
mod query;
mod route;
mod trace;

pub use body::{
    BODY_LIMIT, BodyDeadline, Fingerprints, IdempotentJson, Interrupted, Json, MergePatch, Raw, Upload,
    present,
};
pub use client_address::{ForwardedHeader, Proxies};
pub use conditional::{ETag, IfMatch};
pub use context::{InContext, RequestContext};
pub use document::{
    BodyProblems, ConflictProblem, GoneProblem, NotFoundProblem, PreconditionProblem, Problems,
    RightProblems, StaleProblem, UserProblems, add_to,
};
pub use identity::{Allowed, Anyone, Gate, Right, User, is_right};
pub use internal::{Admission, CertificateShown, admit_service};
pub(crate) use json::in_plain_words;
pub use json::parse as read_json;
pub use limited::{LimitClass, Limits};
pub use paging::{Cursors, Limit, Page, PageQuery};
pub use problem::{
    Methods, PROBLEM_JSON, Problem, ProblemBody, ProblemField, fallback, precondition_failed, too_large,
};
pub use query::{Path, Query};

pub use crate::idempotency::IdempotencyKey;
