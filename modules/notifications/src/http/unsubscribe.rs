//! `/api/v1/notifications/unsubscribe`: the link of mails that may be switched off (RFC 8058).
//!
//! Mail programs post to it in one click; people open it, read a sentence and press a button. Opening it changes
//! nothing, because programs open links ahead of people.

use actix_web::http::header::ContentType;
use actix_web::web;
use actix_web::{HttpResponse, get, post};
use contracts::Error;
use minijinja::{AutoEscape, Environment, context};
use platform::http::{Anyone, Problem, Problems, Query, Raw};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::Service;
use crate::service::Unwanted;

const PAGE: &str = include_str!("unsubscribe/page.html");

/// The page's own style and its one button; nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// The link of a mail.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenQuery {
    /// From the mail.
    token: String,
}

/// Shows a page that asks whether such mails are really not wanted any more. Changes nothing.
///
/// Anybody may open it who has the link of a mail.
#[utoipa::path(
    tag = "notifications",
    params(TokenQuery),
    responses(
        (status = 200, description = "A page with one button.", body = String, content_type = "text/html"),
        (status = 422, description = "The link was not made here."),
        Problems,
    ),
)]
#[get("/api/v1/notifications/unsubscribe")]
pub(super) async fn show_unsubscribe(
    query: Query<TokenQuery>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let unwanted = service.read_unsubscribe(&query.0.token)?;
    Ok(page(&service, &unwanted, Some(&query.0.token))?)
}

/// Switches off mails of a category, by the link of one (RFC 8058). Once more changes nothing.
///
/// Anybody may call it who has the link of a mail; there is no login. The body is `List-Unsubscribe=One-Click`.
#[utoipa::path(
    tag = "notifications",
    params(TokenQuery),
    request_body(content = String, content_type = "application/x-www-form-urlencoded",
        description = "`List-Unsubscribe=One-Click`."),
    responses(
        (status = 200, description = "Such mails don't come any more.", body = String, content_type = "text/html"),
        (status = 422, description = "The link was not made here, or the body is another one."),
        Problems,
    ),
)]
#[post("/api/v1/notifications/unsubscribe")]
pub(super) async fn unsubscribe(
    Anyone(caller): Anyone,
    query: Query<TokenQuery>,
    body: Raw,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    check_one_click(&body.0)?;
    let unwanted = service.unsubscribe(&caller, &query.0.token).await?;
    Ok(page(&service, &unwanted, None)?)
}

/// RFC 8058 section 3.2: nothing but this may be in the form, so that no other form of somebody's browser does it.
fn check_one_click(body: &[u8]) -> contracts::Result<()> {
    let mut fields = url::form_urlencoded::parse(body);
    let one_click =
        fields.next().is_some_and(|(name, value)| name == "List-Unsubscribe" && value == "One-Click");
    if one_click && fields.next().is_none() {
        return Ok(());
    }
    let text = "The body must be the form List-Unsubscribe=One-Click.";
    Err(Error::invalid("notifications.invalid_unsubscribe", text))
}

fn page(service: &Service, unwanted: &Unwanted, token: Option<&str>) -> contracts::Result<HttpResponse> {
    let mut environment = Environment::new();
    environment.set_debug(false);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let category = unwanted.category.replace('_', " ");
    let (product, locale) = (service.product_name(), service.default_language());
    let html = environment
        .render_str(PAGE, context! { category, token, product, locale })
        .map_err(Error::internal)?;
    Ok(HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header(("content-security-policy", POLICY))
        .body(html))
}
