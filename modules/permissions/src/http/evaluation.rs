//! `/access/v1/evaluation`, as in the OpenID AuthZEN Authorization API 1.0, section 6.
//!
//! What that standard says a decision point does with a request it can't read is answered here too: 400, whatever is
//! wrong with it, where the rest of the interface says 422.

use crate::Service;
use crate::model::{Decision, id};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, post, web};
use contracts::permissions::{Evaluate, Subject};
use contracts::{Error, Field, Fields};
use platform::http::{Json, Problem, RightProblems, User};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::pin::Pin;
use utoipa::ToSchema;

type Properties = Map<String, Value>;

/// Somebody or something, with what the asking side knows about it.
#[derive(Deserialize, ToSchema)]
struct Entity {
    /// Its type.
    #[serde(rename = "type")]
    kind: String,
    /// Its id within the type.
    id: String,
    /// What the asking side knows about it. Of a resource, `owner` is looked at: the id of the user who owns it.
    #[serde(default)]
    #[schema(value_type = Object)]
    properties: Properties,
}

/// What the subject wants to do.
#[derive(Deserialize, ToSchema)]
struct Action {
    /// The second half of a permission.
    #[schema(example = "read")]
    name: String,
    /// Not looked at.
    #[serde(default, rename = "properties")]
    #[schema(value_type = Object)]
    _properties: Properties,
}

/// A question (AuthZEN 1.0 section 6.1).
#[derive(Deserialize, ToSchema)]
struct EvaluationRequest {
    /// Who wants it.
    subject: Entity,
    /// What is wanted.
    action: Action,
    /// On what.
    resource: Entity,
    /// Not looked at.
    #[serde(default, rename = "context")]
    #[schema(value_type = Object)]
    _context: Properties,
}

/// An answer (AuthZEN 1.0 section 6.2).
#[derive(Serialize, ToSchema)]
struct EvaluationResponse {
    /// Whether it is allowed.
    decision: bool,
    /// Why.
    context: EvaluationContext,
}

/// Why it was decided so.
#[derive(Serialize, ToSchema)]
struct EvaluationContext {
    /// `permission_held`, or `no_matching_permission`.
    reason: &'static str,
    /// The role that the subject holds, when it is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// The permission that matched, when it is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
}

impl From<Decision> for EvaluationResponse {
    fn from(decision: Decision) -> Self {
        let (decision, reason, why) = match decision {
            Decision::Refused => (false, "no_matching_permission", None),
            Decision::Allowed(why) => (true, "permission_held", Some(why)),
        };
        let (role, permission) = why.map(|why| (why.role.to_string(), why.permission.to_string())).unzip();
        Self { decision, context: EvaluationContext { reason, role, permission } }
    }
}

impl EvaluationRequest {
    fn ask(self) -> Result<Evaluate, Error> {
        let mut fields = Fields::default();
        let subject_type = fields.take("/subject/type", id(self.subject.kind));
        let subject_id = fields.take("/subject/id", id(self.subject.id));
        let action = fields.take("/action/name", id(self.action.name));
        let resource_type = fields.take("/resource/type", id(self.resource.kind));
        let resource_id = fields.take("/resource/id", id(self.resource.id));
        fields.finish()?;
        Ok(Evaluate {
            subject: Subject {
                subject_type: subject_type.unwrap_or_default(),
                id: subject_id.unwrap_or_default(),
            },
            action: action.unwrap_or_default(),
            resource_type: resource_type.unwrap_or_default(),
            resource_id,
            resource_properties: self.resource.properties,
        })
    }
}

/// A question that could be read.
pub(super) struct Question(Evaluate);

impl FromRequest for Question {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Json::<EvaluationRequest>::from_request(request, payload);
        Box::pin(async move {
            let Json(body) = body.await.map_err(unreadable)?;
            Ok(Self(body.ask().map_err(|error| unreadable(error.into()))?))
        })
    }
}

/// 400 in the place of 422, with every field that is to blame in the sentence.
fn unreadable(problem: Problem) -> Problem {
    let blame = |field: &Field| format!("{}: {}", field.pointer, field.message);
    let fields: Vec<String> = problem.error().fields.iter().map(blame).collect();
    if fields.is_empty() {
        return problem;
    }
    Problem::malformed("permissions.malformed_evaluation", fields.join(" "))
}

/// Decides whether a subject may do an action on a resource (AuthZEN 1.0).
///
/// For everybody who is logged in, about himself; about others for those with the right `permissions:evaluate`. What
/// the asking side says about the resource is believed: whoever enforces the decision asks, and knows.
#[utoipa::path(
    tag = "permissions",
    request_body = EvaluationRequest,
    responses(
        (status = 200, description = "The decision.", body = EvaluationResponse),
        RightProblems,
        (status = 413, description = "The body is too large.", body = inline(platform::http::ProblemBody<'static>), content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = inline(platform::http::ProblemBody<'static>), content_type = "application/problem+json"),
    )
)]
#[post("/access/v1/evaluation")]
pub(super) async fn evaluate(
    user: User,
    service: web::Data<Service>,
    question: Question,
) -> Result<Json<EvaluationResponse>, Problem> {
    let decision = service.evaluate_for(&user.caller, &question.0).await?;
    Ok(Json(EvaluationResponse::from(decision)))
}
