//! Accepting an invitation.

use actix_web::{HttpResponse, post, web};
use platform::http::{Anyone, BodyProblems, GoneProblem, Json, Problem, Problems};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Service;
use crate::model::Password;
use crate::service::AcceptInvitation;

/// What somebody accepts an invitation with.
#[derive(Deserialize, ToSchema)]
pub(super) struct Acceptance {
    /// What stands behind `#token=` in the link.
    #[schema(example = "dwi_jHk2mX0oS4uVb1Yc7tQfWnZp9Lr3Ae5Gd6Ih8Jk0Nm2")]
    token: String,
    /// At least 8 characters (the operator may ask for more), at most 1024 bytes, and not one that everybody tries.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 1024)]
    password: Password,
}

/// Accept an invitation: prove the address and choose a password.
///
/// Anyone who has the token of the link may call it, once. A password that breaks a rule does not spend it.
#[utoipa::path(
    tag = "auth",
    request_body = Acceptance,
    responses(
        (status = 204, description = "The account is in use; its owner can log in."),
        GoneProblem,
        BodyProblems,
        Problems,
    )
)]
#[post("/api/v1/auth/invitations/accept")]
pub(super) async fn accept(
    Anyone(caller): Anyone,
    Json(body): Json<Acceptance>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let Acceptance { token, password } = body;
    service.accept(&caller, AcceptInvitation { token, password }).await?;
    Ok(HttpResponse::NoContent().finish())
}
