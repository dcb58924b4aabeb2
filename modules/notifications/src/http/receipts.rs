//! `/api/v1/notifications/receipts/{provider}`: what a provider says became of a short message.

use actix_web::web;
use actix_web::{HttpRequest, HttpResponse, post};
use platform::http::{Anyone, NotFoundProblem, Path, Problem, Problems, Query, Raw};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

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

/// What a provider that is not Twilio reports: only here for the document. It is read after its signature.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only a schema")]
struct PlainReceipt {
    /// Our id of the message, as the provider was given it.
    #[schema(format = Uuid)]
    reference: String,
    /// In upper or lower case: `delivered` or `read` when it arrived, `undelivered`, `failed`, `rejected` or `expired` when
    /// it will not. Any other word says that it is still on its way.
    #[schema(example = "delivered")]
    status: String,
    /// What the provider calls the message.
    #[schema(min_length = 1, max_length = 128)]
    id: Option<String>,
    /// The provider's error code: kept when it is a short word.
    code: Option<String>,
}

/// Takes what a provider says became of a short message.
///
/// Anybody may call, and is refused whose signature is not the provider's: `X-Twilio-Signature` over address and form, or
/// `X-Signature` with the HMAC-SHA256 of the body in hexadecimal digits. The same receipt again changes nothing.
#[utoipa::path(
    tag = "notifications",
    params(("provider" = String, Path, description = "`primary` or `fallback`."), ReceiptQuery),
    request_body(
        content((String = "application/x-www-form-urlencoded"), (PlainReceipt = "application/json")),
        description = "Twilio's form, or a plain receipt: as the provider's kind is set.",
    ),
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
    body: Raw<LIMIT>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let received = received(&provider.0, query.0.delivery, &request, &body.0);
    service.take_receipt(&caller, &received).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn received<'a>(
    provider: &'a str,
    delivery: Option<DeliveryId>,
    request: &'a HttpRequest,
    body: &'a [u8],
) -> Received<'a> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let signature = header("x-twilio-signature").or_else(|| header("x-signature")).unwrap_or_default();
    Received { provider, delivery, query: request.query_string(), signature, body }
}
