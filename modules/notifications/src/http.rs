//! The HTTP interface: sending messages, looking what became of them, trying again; one's own inbox and preferences; and
//! what readers and providers say.
//!
//! Who may call is in each handler's signature. The mailbox of development is beside, and mounted only there.

mod inbox;
mod mailbox;
mod preferences;
mod receipts;
mod unsubscribe;
mod views;

use actix_web::http::StatusCode;
use actix_web::{get, post, web};
use contracts::NotificationId;
use platform::http::{
    Allowed, BodyProblems, ConflictProblem, Cursors, Gate, IdempotentJson, Json, NotFoundProblem, Page, Path,
    Problem, Query, Right, RightProblems, User,
};
use platform::idempotency::Answer;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::Service;
use crate::error::Error;
use crate::service::Asked;
use views::{ListQuery, Notification, NotificationDetails, Queued, SendRequest};

pub use mailbox::{DEV_PAGES, routes as dev_routes};

platform::rights! {
    pub(crate) SendNotifications = "notifications:send";
    pub(crate) SendAsSecurity = "notifications:send-security";
    pub(crate) ReadNotifications = "notifications:read";
}

/// The routes of the public interface. They need a [`Service`], a gate and cursors as application data.
pub fn routes(cfg: &mut ServiceConfig<'_>) {
    cfg.service(unsubscribe::show_unsubscribe)
        .service(unsubscribe::unsubscribe)
        .service(receipts::take_receipt)
        .service(send_notification)
        .service(list_notifications)
        .service(get_notification)
        .service(retry_notification)
        .service(inbox::list_inbox)
        .service(inbox::read_inbox)
        .service(inbox::stream_inbox)
        .service(inbox::read_inbox_item)
        .service(preferences::get_notification_preferences)
        .service(preferences::put_notification_preferences);
}

/// Sends a message. Needs the right `notifications:send`.
///
/// The category `security` for a template of another one needs the right `notifications:send-security` too: such messages
/// come whatever people switched off. Exactly one of `to.user_id`, `to.email` and `to.phone` says who gets it. With an
/// `Idempotency-Key`, asking again brings the same answer and no second message.
#[utoipa::path(
    tag = "notifications",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters.")),
    request_body = SendRequest,
    responses(
        (status = 202, description = "Accepted; it leaves soon.", body = Queued, headers(
            ("Location" = String, description = "Where its state is shown."),
        )),
        RightProblems, BodyProblems, ConflictProblem,
    ),
    security(("bearer" = [])),
)]
#[post("/api/v1/notifications")]
async fn send_notification(
    caller: Allowed<SendNotifications>,
    body: IdempotentJson<SendRequest>,
    service: web::Data<Service>,
    gate: web::Data<Gate>,
) -> Result<Answer, Problem> {
    let user = caller.user;
    let (ask, key) = body.into_parts(&user.caller);
    let asked = ask.into();
    permit(&gate, &user, &asked).await?;
    Ok(service.send_for_person(&user.caller, key.as_ref(), &asked).await?)
}

/// Passes what needs no further right, and whoever has it.
async fn permit(gate: &Gate, user: &User, asked: &Asked) -> Result<(), Problem> {
    if !asked.overrides_wishes() {
        return Ok(());
    }
    match gate.permit(user, SendAsSecurity::NAME).await {
        Err(problem) if problem.status() == StatusCode::FORBIDDEN => Err(Error::SecurityDenied.into()),
        answer => answer,
    }
}

/// Lists messages, newest first. Needs the right `notifications:read`.
#[utoipa::path(
    tag = "notifications",
    params(ListQuery),
    responses((status = 200, description = "One page.", body = Page<Notification>), RightProblems),
    security(("bearer" = [])),
)]
#[get("/api/v1/notifications")]
async fn list_notifications(
    _caller: Allowed<ReadNotifications>,
    query: Query<ListQuery>,
    service: web::Data<Service>,
    cursors: web::Data<Cursors>,
) -> Result<Page<Notification>, Problem> {
    let Query(query) = query;
    let found = service.list_messages(query.filter(&cursors)?, query.rows()).await?;
    Ok(query.page(&cursors, found)?)
}

/// Shows one message with every delivery and every try: also why it was not sent. Needs the right `notifications:read`.
#[utoipa::path(
    tag = "notifications",
    params(("id" = NotificationId, Path, description = "The message.")),
    responses(
        (status = 200, description = "The message.", body = NotificationDetails),
        RightProblems, NotFoundProblem,
    ),
    security(("bearer" = [])),
)]
#[get("/api/v1/notifications/{id}")]
async fn get_notification(
    _caller: Allowed<ReadNotifications>,
    id: Path<NotificationId>,
    service: web::Data<Service>,
) -> Result<Json<NotificationDetails>, Problem> {
    Ok(Json(service.get_message(id.0).await?.into()))
}

/// Tries again what was given up, did not arrive, or was over a limit. Needs the right `notifications:send`.
///
/// What may have left before counts against the limits again, a short message always.
#[utoipa::path(
    tag = "notifications",
    params(("id" = NotificationId, Path, description = "The message.")),
    responses(
        (status = 202, description = "Queued again.", body = Queued),
        RightProblems, NotFoundProblem, ConflictProblem,
    ),
    security(("bearer" = [])),
)]
#[post("/api/v1/notifications/{id}/retry")]
async fn retry_notification(
    caller: Allowed<SendNotifications>,
    id: Path<NotificationId>,
    service: web::Data<Service>,
) -> Result<(Json<Queued>, StatusCode), Problem> {
    let id = service.retry_message(&caller.user.caller, id.0).await?;
    Ok((Json(Queued { id }), StatusCode::ACCEPTED))
}
