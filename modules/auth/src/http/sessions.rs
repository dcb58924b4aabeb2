//! Where the caller is logged in, and ending it; also by the link of a notice.

use actix_web::{HttpResponse, delete, get, post, web};
use contracts::{SessionId, Time};
use platform::http::{
    Anyone, BodyProblems, GoneProblem, Json, NotFoundProblem, Path, Problem, Problems, User, UserProblems,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Service;
use crate::model::Session;

/// The live sessions of the caller.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionList {
    /// The one used last first; at most 1000.
    items: Vec<SessionView>,
}

/// One session.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionView {
    /// Its id.
    id: SessionId,
    /// When it was logged in.
    created_at: Time,
    /// When it was last refreshed.
    last_used_at: Time,
    /// Where the login came from.
    ip: Option<String>,
    /// What the client said it is.
    user_agent: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

impl SessionView {
    fn of(session: Session, current: SessionId) -> Self {
        Self {
            id: session.id,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            ip: session.client_address,
            user_agent: session.user_agent,
            current: session.id == current,
        }
    }
}

/// List the caller's live sessions.
///
/// Anyone who is logged in may call it.
#[utoipa::path(
    tag = "auth",
    security(("bearer" = [])),
    responses((status = 200, description = "The live sessions.", body = SessionList), UserProblems)
)]
#[get("/api/v1/auth/sessions")]
pub(super) async fn list(user: User, service: web::Data<Service>) -> Result<Json<SessionList>, Problem> {
    let sessions = service.sessions(user.id).await?;
    let items = sessions.into_iter().map(|session| SessionView::of(session, user.session)).collect();
    Ok(Json(SessionList { items }))
}

/// End all sessions of the caller but this one.
///
/// Anyone who is logged in may call it. They are refused on their very next request.
#[utoipa::path(
    tag = "auth",
    security(("bearer" = [])),
    responses((status = 204, description = "They are over."), UserProblems)
)]
#[delete("/api/v1/auth/sessions")]
pub(super) async fn revoke_others(user: User, service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    service.revoke_others(&user.caller, user.id, user.session).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Log out: end this session.
///
/// Anyone who is logged in may call it.
#[utoipa::path(
    tag = "auth",
    security(("bearer" = [])),
    responses((status = 204, description = "It is over."), UserProblems)
)]
#[delete("/api/v1/auth/sessions/current")]
pub(super) async fn sign_out(user: User, service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    service.sign_out(&user.caller, user.id, user.session).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// End one session of the caller.
///
/// Anyone who is logged in may call it; somebody else's session is not found.
#[utoipa::path(
    tag = "auth",
    security(("bearer" = [])),
    params(("id" = SessionId, Path, description = "The session.")),
    responses((status = 204, description = "It is over."), UserProblems, NotFoundProblem)
)]
#[delete("/api/v1/auth/sessions/{id}")]
pub(super) async fn revoke(
    user: User,
    Path(id): Path<SessionId>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    service.revoke(&user.caller, user.id, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The token of a link.
#[derive(Deserialize, ToSchema)]
pub(super) struct ReportToken {
    /// What stands behind `#token=` in the link.
    #[schema(example = "dwe_jHk2mX0oS4uVb1Yc7tQfWnZp9Lr3Ae5Gd6Ih8Jk0Nm2")]
    token: String,
}

/// Disown a login with the token of the link in its notice.
///
/// Anyone who has the token may call it, once. Every session of the account ends, its password can't be used any more,
/// and a message with a link to choose another one goes out.
#[utoipa::path(
    tag = "auth",
    request_body = ReportToken,
    responses(
        (status = 204, description = "Whoever logged in is out."),
        GoneProblem,
        BodyProblems,
        Problems,
    )
)]
#[post("/api/v1/auth/session-reports")]
pub(super) async fn report(
    Anyone(caller): Anyone,
    Json(body): Json<ReportToken>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    service.report_session(&caller, &body.token).await?;
    Ok(HttpResponse::NoContent().finish())
}
