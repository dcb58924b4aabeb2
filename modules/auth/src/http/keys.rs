//! The keys that access tokens are signed with, for everybody who verifies them.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, get, web};
use platform::http::{Problem, Problems};

use crate::Service;

/// List the public keys (RFC 7517).
///
/// Anyone may call it.
#[utoipa::path(
    tag = "auth",
    responses(
        (status = 200, description = "A JWK set.", body = Object, content_type = "application/json"),
        Problems,
    )
)]
#[get("/.well-known/jwks.json")]
pub(super) async fn jwks(service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    let keys = service.published_keys().await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "public, max-age=60"))
        .body(keys))
}
