//! Forgetting a password, and changing it.

use actix_web::{HttpResponse, post, put, web};
use platform::http::{Anyone, BodyProblems, GoneProblem, Json, Problem, ProblemBody, Problems, User};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Service;
use crate::model::Password;
use crate::service::{ChangePassword, ResetPassword};

/// Who forgot a password.
#[derive(Deserialize, ToSchema)]
pub(super) struct ResetRequest {
    /// The address of the account.
    #[schema(format = Email, max_length = 254, example = "mia@example.org")]
    email: String,
}

/// The same for every address.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResetAnswer {
    /// Always `reset_sent`.
    #[schema(example = "reset_sent")]
    status: &'static str,
}

/// Ask for a link to choose a new password.
///
/// Anyone may call it. The answer is the same and takes the same time for every address, known or not; a message goes
/// to the stored address only.
#[utoipa::path(
    tag = "auth",
    request_body = ResetRequest,
    responses(
        (status = 202, description = "Accepted, whatever the address.", body = ResetAnswer),
        BodyProblems,
        Problems,
    )
)]
#[post("/api/v1/auth/password-resets")]
pub(super) async fn request_reset(
    Anyone(caller): Anyone,
    Json(body): Json<ResetRequest>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    service.request_reset(&caller, &body.email).await?;
    Ok(HttpResponse::Accepted().json(ResetAnswer { status: "reset_sent" }))
}

/// The token of a link, and what was chosen behind it.
#[derive(Deserialize, ToSchema)]
pub(super) struct ResetConfirmation {
    /// What stands behind `#token=` in the link.
    #[schema(example = "dwp_jHk2mX0oS4uVb1Yc7tQfWnZp9Lr3Ae5Gd6Ih8Jk0Nm2")]
    token: String,
    /// At least 8 characters (the operator may ask for more), at most 1024 bytes, and not one that everybody tries.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 1024)]
    new_password: Password,
}

/// Choose a new password with the token of the link that was sent.
///
/// Anyone who has the token may call it, once. Every session of the account ends, and its owner is told. A password
/// that breaks a rule leaves the token good.
#[utoipa::path(
    tag = "auth",
    request_body = ResetConfirmation,
    responses(
        (status = 204, description = "The password is the new one; everybody has to log in again."),
        GoneProblem,
        BodyProblems,
        Problems,
    )
)]
#[post("/api/v1/auth/password-resets/confirm")]
pub(super) async fn reset(
    Anyone(caller): Anyone,
    Json(body): Json<ResetConfirmation>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let ask = ResetPassword { token: body.token, new_password: body.new_password };
    service.reset_password(&caller, ask).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The old password and the new one.
#[derive(Deserialize, ToSchema)]
pub(super) struct PasswordChange {
    /// The password as it is.
    #[schema(value_type = String, format = Password, max_length = 1024)]
    current_password: Password,
    /// At least 8 characters (the operator may ask for more), at most 1024 bytes, and not one that everybody tries.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 1024)]
    new_password: Password,
    /// Whether the other sessions go on; they end unless this is true.
    #[serde(default)]
    #[schema(default = false)]
    keep_other_sessions: bool,
}

/// Change the caller's password.
///
/// Anyone who is logged in and knows the current password may call it. This session goes on. Wrong passwords count like
/// failed logins.
#[utoipa::path(
    tag = "auth",
    security(("bearer" = [])),
    request_body = PasswordChange,
    responses(
        (status = 204, description = "The password is the new one."),
        (
            status = 401, description = "`auth.invalid_credentials`: the current password is wrong; or not logged in.",
            body = ProblemBody, content_type = "application/problem+json"
        ),
        BodyProblems,
        Problems,
    )
)]
#[put("/api/v1/auth/password")]
pub(super) async fn change(
    user: User,
    Json(body): Json<PasswordChange>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let PasswordChange { current_password, new_password, keep_other_sessions } = body;
    let ask = ChangePassword { current_password, new_password, keep_other_sessions };
    service.change_password(&user.caller, user.id, user.session, ask).await?;
    Ok(HttpResponse::NoContent().finish())
}
