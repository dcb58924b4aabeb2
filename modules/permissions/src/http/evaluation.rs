//! `/access/v1/evaluation`, as in the OpenID AuthZEN Authorization API 1.0, section 6.
//!
//! What that standard says a decision point does with a request it can't read is answered here too: 400, whatever is
//! wrong with it, where the rest of the interface says 422.

use super::explanation::ExplanationView;
use super::question::{Action, Entity, Properties, Question, read};
use crate::Service;
use crate::model::Decision;
use crate::service::Answer;
use actix_web::{post, web};
use contracts::permissions::Evaluate;
use contracts::{Caller, Error};
use platform::http::{Json, Problem, Query, RightProblems, User};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A question (AuthZEN 1.0 section 6.1).
#[derive(Deserialize, ToSchema)]
pub(super) struct EvaluationRequest {
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

/// What else is wanted.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ExplainQuery {
    /// Whether to tell why.
    #[serde(default)]
    #[param(value_type = Option<bool>, default = false)]
    pub(super) explain: bool,
}

/// An answer (AuthZEN 1.0 section 6.2).
#[derive(Serialize, ToSchema)]
pub(super) struct EvaluationResponse {
    /// Whether it is allowed.
    decision: bool,
    /// Why.
    context: EvaluationContext,
}

/// Why it was decided so.
#[derive(Serialize, ToSchema)]
struct EvaluationContext {
    /// `permission_held`, `no_matching_permission`, or, in a batch, `not_evaluated`.
    reason: &'static str,
    /// The role that the subject holds, when it is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// The permission that matched, when it is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
    /// What was wrong with this question of a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<EvaluationError>,
    /// The way to the decision, when `explain=true` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<ExplanationView>,
}

/// Why a question of a batch was not evaluated (AuthZEN 1.0 section 7.2.1).
#[derive(Serialize, ToSchema)]
struct EvaluationError {
    /// The status that the question would have had alone.
    status: u16,
    /// A stable word.
    code: String,
    /// A sentence.
    message: String,
}

impl From<Decision> for EvaluationResponse {
    fn from(decision: Decision) -> Self {
        let (decision, reason, why) = match decision {
            Decision::Refused => (false, "no_matching_permission", None),
            Decision::Allowed(why) => (true, "permission_held", Some(why)),
        };
        let (role, permission) = why.map(|why| (why.role.to_string(), why.permission.to_string())).unzip();
        let context = EvaluationContext { reason, role, permission, error: None, explanation: None };
        Self { decision, context }
    }
}

impl From<Error> for EvaluationResponse {
    fn from(error: Error) -> Self {
        let status = Problem::from(error.clone()).status().as_u16();
        let (code, message) = (error.code.into_owned(), error.message.into_owned());
        let error = Some(EvaluationError { status, code, message });
        let reason = "not_evaluated";
        let context = EvaluationContext { reason, role: None, permission: None, error, explanation: None };
        Self { decision: false, context }
    }
}

impl From<Answer> for EvaluationResponse {
    fn from(answer: Answer) -> Self {
        let mut response = match answer.decision {
            Ok(decision) => Self::from(decision),
            Err(error) => Self::from(error),
        };
        response.context.explanation = answer.explanation.as_ref().map(ExplanationView::from);
        response
    }
}

impl TryFrom<EvaluationRequest> for Evaluate {
    type Error = Error;

    fn try_from(body: EvaluationRequest) -> Result<Self, Error> {
        read(Some(&body.subject), Some(&body.action), Some(&body.resource))
    }
}

/// Answers one question, with its explanation if that is wanted.
pub(super) async fn answer(
    service: &Service,
    caller: &Caller,
    ask: Evaluate,
    explain: bool,
) -> Result<EvaluationResponse, Error> {
    if explain {
        return Ok(service.explain(caller, ask).await?.into());
    }
    Ok(service.evaluate_for(caller, &ask).await?.into())
}

/// Decides whether a subject may do an action on a resource (AuthZEN 1.0).
///
/// For everybody who is logged in, about himself; about others for those with the right `permissions:evaluate`. What
/// the asking side says about the resource is believed: whoever enforces the decision asks, and knows. With
/// `explain=true` the answer holds the shortest way to a yes; what would turn a no into a yes is told only to those
/// with the right.
#[utoipa::path(
    tag = "permissions",
    params(ExplainQuery),
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
    Query(query): Query<ExplainQuery>,
    question: Question<EvaluationRequest, Evaluate>,
) -> Result<Json<EvaluationResponse>, Problem> {
    Ok(Json(answer(&service, &user.caller, question.0, query.explain).await?))
}
