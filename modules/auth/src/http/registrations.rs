//! Registering, proving the address, and asking for the message again.

use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, post, web};
use platform::http::{Anyone, BodyProblems, GoneProblem, Json, Problem, Problems};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Service;
use crate::model::Password;
use crate::service::Register;

/// What somebody registers with.
#[derive(Deserialize, ToSchema)]
pub(super) struct Registration {
    /// The address that the link goes to.
    #[schema(format = Email, max_length = 254, example = "mia@example.org")]
    email: String,
    /// At least 8 characters (the operator may ask for more), at most 1024 bytes, and not one that everybody tries.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 1024)]
    password: Password,
    /// How the person wants to be called: at most 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    display_name: Option<String>,
    /// The language of messages (BCP 47); without it the one that `Accept-Language` likes best.
    #[schema(max_length = 35, example = "de-AT")]
    locale: Option<String>,
}

/// The same for every address.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RegistrationAnswer {
    /// Always `verification_sent`.
    #[schema(example = "verification_sent")]
    status: &'static str,
}

/// Register an address.
///
/// Anyone may call it. The answer is the same whether the address is new, waiting to be proven, or somebody's: the
/// owner learns the difference by e-mail.
#[utoipa::path(
    tag = "auth",
    request_body = Registration,
    responses(
        (status = 202, description = "A message is on its way to the address.", body = RegistrationAnswer),
        BodyProblems,
        Problems,
    )
)]
#[post("/api/v1/auth/registrations")]
pub(super) async fn register(
    Anyone(caller): Anyone,
    Json(body): Json<Registration>,
    request: HttpRequest,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let Registration { email, password, display_name, locale } = body;
    let accept_language = accept_language(request.headers());
    service.register(&caller, Register { email, password, display_name, locale, accept_language }).await?;
    Ok(HttpResponse::Accepted().json(RegistrationAnswer { status: "verification_sent" }))
}

/// All that the client says about languages, as one list (RFC 9110 section 5.3).
fn accept_language(headers: &HeaderMap) -> String {
    let lists = headers.get_all(ACCEPT_LANGUAGE).filter_map(|value| value.to_str().ok());
    lists.collect::<Vec<_>>().join(",")
}

/// The token of a link.
#[derive(Deserialize, ToSchema)]
pub(super) struct VerificationToken {
    /// What stands behind `#token=` in the link.
    #[schema(example = "dwv_jHk2mX0oS4uVb1Yc7tQfWnZp9Lr3Ae5Gd6Ih8Jk0Nm2")]
    token: String,
}

/// Prove an address with the token of the link that was sent to it.
///
/// Anyone who has the token may call it, once.
#[utoipa::path(
    tag = "auth",
    request_body = VerificationToken,
    responses(
        (status = 204, description = "The address is proven; its owner can log in."),
        GoneProblem,
        BodyProblems,
        Problems,
    )
)]
#[post("/api/v1/auth/verifications")]
pub(super) async fn verify(
    Anyone(caller): Anyone,
    Json(body): Json<VerificationToken>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    service.verify(&caller, &body.token).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Whom to write to again.
#[derive(Deserialize, ToSchema)]
pub(super) struct Resend {
    /// The address that was registered. Whatever else is written here has no account, and the answer is the same.
    #[schema(example = "mia@example.org")]
    email: String,
}

/// Ask for the verification message again.
///
/// Anyone may call it. The answer is the same for every address; a message is sent only to one that waits to be
/// proven.
#[utoipa::path(
    tag = "auth",
    request_body = Resend,
    responses(
        (status = 202, description = "Accepted, whatever the address.", body = RegistrationAnswer),
        BodyProblems,
        Problems,
    )
)]
#[post("/api/v1/auth/verifications/resend")]
pub(super) async fn resend(
    Anyone(caller): Anyone,
    Json(body): Json<Resend>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    service.resend(&caller, &body.email).await?;
    Ok(HttpResponse::Accepted().json(RegistrationAnswer { status: "verification_sent" }))
}
