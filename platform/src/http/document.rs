//! The error answers of an endpoint, for the OpenAPI document: list these types beside the good answer in
//! `#[utoipa::path(responses(…, RightProblems, NotFoundProblem))]`.
//!
//! The schema they refer to is [`super::problem::ProblemBody`]; the application adds it to the document once, by
//! [`add_to`].

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema};

use super::problem::{PROBLEM_JSON, ProblemBody, ProblemField};

/// Adds the schemas of a problem to a document.
pub fn add_to(document: &mut OpenApi) {
    let schemas = &mut document.components.get_or_insert_default().schemas;
    schemas.insert("Problem".to_owned(), ProblemBody::schema());
    schemas.insert("ProblemField".to_owned(), ProblemField::schema());
}

type Responses = BTreeMap<String, RefOr<Response>>;

fn problem(description: &str) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build().into()
}

fn problems(listed: &[(&str, &str)]) -> Responses {
    listed.iter().map(|(status, description)| ((*status).to_owned(), problem(description))).collect()
}

const ANYONE: [(&str, &str); 4] = [
    ("400", "The request can't be read."),
    ("429", "Too many requests; `Retry-After` says when to try again."),
    ("500", "A mistake of ours."),
    ("503", "Something needed does not answer; `Retry-After` says when to try again."),
];

/// What any endpoint may answer.
#[derive(Clone, Copy, Debug)]
pub enum Problems {}

impl IntoResponses for Problems {
    fn responses() -> Responses {
        problems(&ANYONE)
    }
}

/// What an endpoint for somebody who is logged in may answer: also 401.
#[derive(Clone, Copy, Debug)]
pub enum UserProblems {}

impl IntoResponses for UserProblems {
    fn responses() -> Responses {
        let mut all = Problems::responses();
        all.extend(problems(&[("401", "Nobody is logged in, or the login is over.")]));
        all
    }
}

/// What an endpoint that needs a right may answer: also 401 and 403.
#[derive(Clone, Copy, Debug)]
pub enum RightProblems {}

impl IntoResponses for RightProblems {
    fn responses() -> Responses {
        let mut all = UserProblems::responses();
        all.extend(problems(&[("403", "The caller does not have the right.")]));
        all
    }
}

/// What an endpoint with a body may answer: also 413, 415 and 422.
#[derive(Clone, Copy, Debug)]
pub enum BodyProblems {}

impl IntoResponses for BodyProblems {
    fn responses() -> Responses {
        problems(&[
            ("413", "The body is too large."),
            ("415", "The body is not JSON."),
            ("422", "The body breaks at least one rule; `errors` lists all of them."),
        ])
    }
}

macro_rules! single {
    ($($(#[$meta:meta])* $name:ident = $status:literal $description:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl IntoResponses for $name {
            fn responses() -> Responses {
                problems(&[($status, $description)])
            }
        }
    )*};
}

single! {
    /// 404.
    NotFoundProblem = "404" "There is no such thing, or none that the caller may see.";
    /// 409.
    ConflictProblem = "409" "It contradicts what is there.";
    /// 410.
    GoneProblem = "410" "Used or expired.";
    /// 412.
    StaleProblem = "412" "It was changed in between.";
    /// 428.
    PreconditionProblem = "428" "`If-Match` is required here.";
}
