//! `/api/v1/notifications/receipts/{provider}`: what a provider says became of a short message.

use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse, post};
use platform::http::{Anyone, NotFoundProblem, Path, Problem, Problems, Query, too_large};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::Service;
use crate::model::DeliveryId;
use crate::service::Received;

/// How long a receipt may be, in bytes.
const LIMIT: usize = 16 * 1024;

/// What a receipt is about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptQuery {
    /// Our id of the message, as the address says that a provider like Twilio was given.
    #[param(value_type = Option<String>, format = Uuid)]
    delivery: Option<DeliveryId>,
}

/// Takes what a provider says became of a short message.
///
/// Anybody may call, and is refused whose signature is not the provider's: `X-Twilio-Signature` over address and form, or
/// `X-Signature` with the HMAC-SHA256 of the body in hexadecimal digits. The same receipt again changes nothing.
#[utoipa::path(
    tag = "notifications",
    params(("provider" = String, Path, description = "`primary` or `fallback`."), ReceiptQuery),
    request_body(content = String, content_type = "application/x-www-form-urlencoded",
        description = "Twilio's form, or JSON: `{reference, status, id?, code?}`."),
    responses(
        (status = 204, description = "It is noted, or was before."),
        (status = 401, description = "The signature is not the provider's."),
        (status = 413, description = "It is too large."),
        (status = 422, description = "It is no receipt."),
        Problems, NotFoundProblem,
    ),
)]
#[post("/api/v1/notifications/receipts/{provider}")]
pub(super) async fn take_receipt(
    Anyone(caller): Anyone,
    provider: Path<String>,
    query: Query<ReceiptQuery>,
    request: HttpRequest,
    body: Bytes,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let received = received(&provider.0, query.0.delivery, &request, &body)?;
    service.take_receipt(&caller, &received).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn received<'a>(
    provider: &'a str,
    delivery: Option<DeliveryId>,
    request: &'a HttpRequest,
    body: &'a [u8],
) -> contracts::Result<Received<'a>> {
    if body.len() > LIMIT {
        return Err(too_large(LIMIT));
    }
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let signature = header("x-twilio-signature").or_else(|| header("x-signature")).unwrap_or_default();
    Ok(Received { provider, delivery, query: request.query_string(), signature, body })
}
