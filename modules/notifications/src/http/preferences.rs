//! `/api/v1/notification-preferences`: which messages one wants, by category and channel.

use actix_web::{HttpResponse, get, put, web};
use platform::http::{BodyProblems, ETag, IfMatch, Json, Problem, StaleProblem, User, UserProblems};

use crate::Service;
use crate::model::category::Choices;
use crate::store::preferences::Decided;

fn answer(decided: Decided) -> HttpResponse {
    HttpResponse::Ok().insert_header(ETag::revision(decided.revision)).json(decided.choices)
}

/// Tells which messages one wants: `{category: {channel: bool}}`, for every category and channel that there is.
///
/// For anybody who is logged in.
#[utoipa::path(
    tag = "notifications",
    responses(
        (status = 200, description = "What was decided; what was not is on.", body = Choices,
            headers(("ETag" = String, description = "Names this state; send it as `If-Match` with a change."))),
        UserProblems,
    ),
    security(("bearer" = [])),
)]
#[get("/api/v1/notification-preferences")]
pub(super) async fn get_notification_preferences(
    user: User,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    Ok(answer(service.read_preferences(user.id).await?))
}

/// Decides anew which messages one wants. What is not named is on; `security` can't be switched off.
///
/// For anybody who is logged in.
#[utoipa::path(
    tag = "notifications",
    params(("If-Match" = Option<String>, Header, description = "The state that the change is meant for.")),
    request_body = Choices,
    responses(
        (status = 200, description = "What is decided now.", body = Choices,
            headers(("ETag" = String, description = "Names the new state."))),
        UserProblems, BodyProblems, StaleProblem,
    ),
    security(("bearer" = [])),
)]
#[put("/api/v1/notification-preferences")]
pub(super) async fn put_notification_preferences(
    user: User,
    if_match: IfMatch,
    service: web::Data<Service>,
    Json(choices): Json<Choices>,
) -> Result<HttpResponse, Problem> {
    Ok(answer(service.decide(&user.caller, user.id, choices, &if_match).await?))
}
