//! Logging in, and exchanging a refresh token.

use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use actix_web::{HttpResponse, post, web};
use platform::http::{Anyone, BodyProblems, Json, Problem, ProblemBody, Problems};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use contracts::SessionId;

use crate::Service;
use crate::model::Password;
use crate::service::{Login, Tokens};

/// What somebody logs in with.
#[derive(Deserialize, ToSchema)]
pub(super) struct LoginBody {
    /// The registered address.
    #[schema(format = Email, max_length = 254, example = "mia@example.org")]
    email: String,
    /// The password.
    #[schema(value_type = String, format = Password, max_length = 1024)]
    password: Password,
}

/// Tokens of a session (the shape of RFC 6749 section 5.1).
#[derive(Serialize, ToSchema)]
pub(super) struct TokenAnswer<'a> {
    /// A JWT (RFC 9068) for the `Authorization` header.
    access_token: &'a str,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until the access token is over.
    #[schema(example = 600)]
    expires_in: u64,
    /// Is exchanged for new tokens, once.
    refresh_token: &'a str,
    /// The session, which is also the family of its refresh tokens.
    session_id: SessionId,
}

/// Log in with a password.
///
/// Anyone may call it. Whatever does not fit (wrong password, unknown address, account disabled or not proven), the
/// answer is the same and takes the same time.
#[utoipa::path(
    tag = "auth",
    request_body = LoginBody,
    responses(
        (status = 200, description = "A new session and its tokens.", body = TokenAnswer),
        (
            status = 401, description = "`auth.invalid_credentials`: something does not fit.",
            body = ProblemBody, content_type = "application/problem+json"
        ),
        BodyProblems,
        Problems,
    )
)]
#[post("/api/v1/auth/logins")]
pub(super) async fn log_in(
    Anyone(caller): Anyone,
    Json(body): Json<LoginBody>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let ask = Login { email: body.email, password: body.password };
    Ok(answer(&service.login(&caller, ask).await?))
}

/// What is exchanged.
#[derive(Deserialize, ToSchema)]
pub(super) struct RefreshBody {
    /// The refresh token that was given out last.
    #[schema(example = "dwr_jHk2mX0oS4uVb1Yc7tQfWnZp9Lr3Ae5Gd6Ih8Jk0Nm2")]
    refresh_token: String,
}

/// Exchange a refresh token for new tokens.
///
/// Anyone who has the token may call it. Each token is exchanged once; when one comes back after the grace window,
/// the session ends.
#[utoipa::path(
    tag = "auth",
    request_body = RefreshBody,
    responses(
        (status = 200, description = "New tokens of the same session.", body = TokenAnswer),
        (
            status = 401, description = "`auth.invalid_refresh_token`: log in again.",
            body = ProblemBody, content_type = "application/problem+json"
        ),
        BodyProblems,
        Problems,
    )
)]
#[post("/api/v1/auth/tokens")]
pub(super) async fn refresh(
    Anyone(caller): Anyone,
    Json(body): Json<RefreshBody>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    Ok(answer(&service.refresh(&caller, &body.refresh_token).await?))
}

/// Tokens are nobody else's to keep (RFC 6749 section 5.1).
fn answer(tokens: &Tokens) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache")).json(
        TokenAnswer {
            access_token: &tokens.access_token,
            token_type: "Bearer",
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh_token.reveal(),
            session_id: tokens.session,
        },
    )
}
