//! `/access/v1/evaluations`, as in the OpenID AuthZEN Authorization API 1.0, section 7: several questions at once.

use super::evaluation::{EvaluationResponse, ExplainQuery, answer};
use super::question::{Action, Entity, Properties, Question, blame, read, unreadable};
use crate::Service;
use crate::service::Semantic;
use actix_web::{post, web};
use contracts::permissions::Evaluate;
use contracts::{Caller, Error};
use platform::http::{Json, Problem, Query, RightProblems, User};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most questions of one request.
const MOST: usize = 1_000;

/// The most questions of one request that are explained: what would turn a no into a yes is sought among all roles and
/// groups, for each question anew.
const MOST_EXPLAINED: usize = 50;

/// One question of several. What it leaves out is taken from the request.
#[derive(Deserialize, ToSchema)]
struct EvaluationItem {
    /// Who wants it.
    subject: Option<Entity>,
    /// What is wanted.
    action: Option<Action>,
    /// On what.
    resource: Option<Entity>,
    /// Not looked at.
    #[serde(default, rename = "context")]
    #[schema(value_type = Object)]
    _context: Properties,
}

/// Several questions (AuthZEN 1.0 section 7.1). Without `evaluations`, or with none in it, it is one question.
#[derive(Deserialize, ToSchema)]
struct EvaluationsRequest {
    /// Who wants it, where a question does not say.
    subject: Option<Entity>,
    /// What is wanted, where a question does not say.
    action: Option<Action>,
    /// On what, where a question does not say.
    resource: Option<Entity>,
    /// Not looked at.
    #[serde(default, rename = "context")]
    #[schema(value_type = Object)]
    _context: Properties,
    /// The questions; at most 1000, and 50 with `explain=true`.
    #[serde(default)]
    #[schema(max_items = 1000)]
    evaluations: Vec<EvaluationItem>,
    /// How to answer them.
    #[serde(default)]
    options: EvaluationsOptions,
}

/// How several questions are answered.
#[derive(Default, Deserialize, ToSchema)]
struct EvaluationsOptions {
    /// When to stop.
    #[serde(default)]
    evaluations_semantic: EvaluationsSemantic,
}

/// When to stop answering (AuthZEN 1.0 section 7.1.2.1).
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EvaluationsSemantic {
    /// Never.
    #[default]
    ExecuteAll,
    /// After the first no.
    DenyOnFirstDeny,
    /// After the first yes.
    PermitOnFirstPermit,
}

impl From<EvaluationsSemantic> for Semantic {
    fn from(semantic: EvaluationsSemantic) -> Self {
        match semantic {
            EvaluationsSemantic::ExecuteAll => Self::ExecuteAll,
            EvaluationsSemantic::DenyOnFirstDeny => Self::DenyOnFirstDeny,
            EvaluationsSemantic::PermitOnFirstPermit => Self::PermitOnFirstPermit,
        }
    }
}

/// Answers to several questions, in their order; or the one answer to one question.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum EvaluationsResponse {
    /// To several questions (AuthZEN 1.0 section 7.2).
    Several {
        /// The answers. Fewer than questions when it was to stop early.
        evaluations: Vec<EvaluationResponse>,
    },
    /// To one question.
    One(Box<EvaluationResponse>),
}

/// What is asked.
enum Asked {
    One(Evaluate),
    Several(Vec<Result<Evaluate, Error>>, Semantic),
}

impl TryFrom<EvaluationsRequest> for Asked {
    type Error = Error;

    fn try_from(body: EvaluationsRequest) -> Result<Self, Error> {
        let EvaluationsRequest { subject, action, resource, evaluations, options, .. } = body;
        if evaluations.is_empty() {
            return Ok(Self::One(read(subject.as_ref(), action.as_ref(), resource.as_ref())?));
        }
        if evaluations.len() > MOST {
            return Err(too_many(format!("At most {MOST} questions.")));
        }
        let one = |item: &EvaluationItem| {
            let subject = item.subject.as_ref().or(subject.as_ref());
            let action = item.action.as_ref().or(action.as_ref());
            read(subject, action, item.resource.as_ref().or(resource.as_ref()))
                .map_err(|error| Error::invalid("permissions.malformed_evaluation", blame(&error)))
        };
        let asks = evaluations.iter().map(one).collect();
        Ok(Self::Several(asks, options.evaluations_semantic.into()))
    }
}

fn too_many(rule: String) -> Error {
    let error = Error::invalid("platform.invalid_input", "Too many questions.");
    error.at("/evaluations", "too_many", rule)
}

async fn respond(
    service: &Service,
    caller: &Caller,
    asked: Asked,
    explain: bool,
) -> Result<EvaluationsResponse, Problem> {
    Ok(match asked {
        Asked::Several(asks, _) if explain && asks.len() > MOST_EXPLAINED => {
            let rule = format!("At most {MOST_EXPLAINED} questions are explained at once.");
            return Err(unreadable(too_many(rule).into()));
        }
        Asked::One(ask) => EvaluationsResponse::One(Box::new(answer(service, caller, ask, explain).await?)),
        Asked::Several(asks, semantic) => {
            let answers = service.evaluate_all(caller, asks, semantic, explain).await?;
            EvaluationsResponse::Several { evaluations: answers.into_iter().map(Into::into).collect() }
        }
    })
}

/// Decides about several actions, subjects or resources at once, all from the same state of things (AuthZEN 1.0).
///
/// For everybody who is logged in, about himself; about others for those with the right `permissions:evaluate`. A
/// question that can't be read or may not be asked is refused alone, with an `error` in its `context`. With
/// `explain=true` at most 50 questions are answered at once.
#[utoipa::path(
    tag = "permissions",
    params(ExplainQuery),
    request_body = EvaluationsRequest,
    responses(
        (status = 200, description = "The decisions.", body = EvaluationsResponse),
        RightProblems,
        (status = 413, description = "The body is too large.", body = inline(platform::http::ProblemBody<'static>), content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = inline(platform::http::ProblemBody<'static>), content_type = "application/problem+json"),
    )
)]
#[post("/access/v1/evaluations")]
pub(super) async fn evaluate_all(
    user: User,
    service: web::Data<Service>,
    Query(query): Query<ExplainQuery>,
    question: Question<EvaluationsRequest, Asked>,
) -> Result<Json<EvaluationsResponse>, Problem> {
    Ok(Json(respond(&service, &user.caller, question.0, query.explain).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn asks(body: &Value) -> Vec<Evaluate> {
        let body: EvaluationsRequest = serde_json::from_value(body.clone()).unwrap();
        match Asked::try_from(body).unwrap() {
            Asked::One(ask) => vec![ask],
            Asked::Several(asks, _) => asks.into_iter().map(Result::unwrap).collect(),
        }
    }

    #[test]
    fn what_is_not_looked_at_does_not_travel_with_every_question() {
        let (big, owner) = ("x".repeat(100_000), "0196a0b4-7c1e-7d3a-9d2b-3f1a2b3c4d5e");
        let entity =
            |owner: Value| json!({ "type": "t", "id": "1", "properties": { "owner": owner, "big": big } });
        let body = |owner: Value, items: Value| {
            let action = json!({ "name": "read", "properties": { "big": big } });
            json!({ "subject": entity(json!("me")), "action": action, "resource": entity(owner), "evaluations": items })
        };
        for items in [json!([{}, {}, { "resource": entity(json!(owner)) }]), json!([])] {
            let asks = asks(&body(json!(owner), items));
            assert!(asks.iter().all(|ask| json!(ask.resource_properties) == json!({ "owner": owner })));
            assert!(serde_json::to_string(&asks).unwrap().len() < 1_000);
        }
        for nobody in [json!(big), json!({ "big": big }), json!([owner]), json!(1), json!(null), json!("")] {
            let asks = asks(&body(nobody, json!([{}, {}])));
            assert!(asks.len() == 2 && asks.iter().all(|ask| ask.resource_properties.is_empty()));
        }
    }
}
