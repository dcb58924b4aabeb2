//! What anybody may read about this issuer: the keys that access tokens are signed with, and where its doors are.
//! Answered from memory, and not at all to whoever has it already.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, get, web};

use crate::Service;
use crate::service::Document;

/// List the public keys (RFC 7517).
///
/// Anyone may call it.
#[utoipa::path(
    tag = "auth",
    responses(
        (status = 200, description = "A JWK set.", body = Object, content_type = "application/json"),
        (status = 304, description = "It is what `If-None-Match` says that you have."),
    )
)]
#[get("/.well-known/jwks.json")]
pub(super) async fn jwks(request: HttpRequest, service: web::Data<Service>) -> HttpResponse {
    answer(&request, &service.published().await.jwks, service.jwks_max_age_seconds())
}

/// Tell what this OpenID provider has (OpenID Connect Discovery 1.0 section 4).
///
/// Anyone may call it. It names what is there, and nothing else.
#[utoipa::path(
    tag = "auth",
    responses(
        (status = 200, description = "The provider's metadata.", body = Object, content_type = "application/json"),
        (status = 304, description = "It is what `If-None-Match` says that you have."),
    )
)]
#[get("/.well-known/openid-configuration")]
pub(super) async fn openid_configuration(request: HttpRequest, service: web::Data<Service>) -> HttpResponse {
    answer(&request, &service.published().await.openid, service.jwks_max_age_seconds())
}

/// Tell what this authorization server has (RFC 8414).
///
/// Anyone may call it. It names what is there, and nothing else.
#[utoipa::path(
    tag = "auth",
    responses(
        (status = 200, description = "The server's metadata.", body = Object, content_type = "application/json"),
        (status = 304, description = "It is what `If-None-Match` says that you have."),
    )
)]
#[get("/.well-known/oauth-authorization-server")]
pub(super) async fn authorization_server(request: HttpRequest, service: web::Data<Service>) -> HttpResponse {
    answer(&request, &service.published().await.oauth, service.jwks_max_age_seconds())
}

fn answer(request: &HttpRequest, document: &Document, max_age: u64) -> HttpResponse {
    let known = has(request, &document.etag);
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((ETAG, document.etag.as_str()))
        .insert_header((CACHE_CONTROL, format!("public, max-age={max_age}")));
    if known {
        return answer.finish();
    }
    answer.insert_header((CONTENT_TYPE, "application/json")).body(document.text.clone())
}

/// Whether the caller has the document already (RFC 9110 section 13.1.2, which compares weakly).
fn has(request: &HttpRequest, etag: &str) -> bool {
    let values = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim_matches([' ', '\t']))
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
