//! The mailbox of development: every message that was "sent", as a page to read and as JSON for programs.
//!
//! Mounted only with the development profile; it shows secrets to whoever asks. The page loads nothing from elsewhere,
//! and a message is shown in a frame that may run no script and load nothing at all.

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, get, web};
use contracts::Error;
use minijinja::{AutoEscape, Environment, context};
use platform::http::{Json, Path, Problem};
use serde::Serialize;

use super::views::Mail;
use crate::Service;
use crate::model::DeliveryId;

const PAGE: &str = include_str!("mailbox/page.html");
const STYLE: &str = include_str!("mailbox/style.css");
const SCRIPT: &str = include_str!("mailbox/script.js");

/// The page's own style and script, its own frames, its own questions; nothing else.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                           frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The message may style itself and open links in a new window.
const MESSAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                              frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox";

/// Where it is, for whoever stands in front of several services.
pub const DEV_PAGES: [&str; 3] = ["/dev/mailbox.json", "/dev/mailbox", "/dev/mailbox/{page:.*}"];

/// The mailbox of development. It shows secrets to whoever asks: mount it with the development profile only.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(json).service(style).service(script).service(page).service(message).service(opened);
}

#[derive(Serialize)]
struct Items {
    items: Vec<Mail>,
}

#[get("/dev/mailbox.json")]
async fn json(service: web::Data<Service>) -> Result<Json<Items>, Problem> {
    Ok(Json(Items { items: mails(&service).await? }))
}

#[get("/dev/mailbox")]
async fn page(service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    let mails = mails(&service).await?;
    rendered(&mails, mails.first())
}

#[get("/dev/mailbox/{id}")]
async fn opened(id: Path<DeliveryId>, service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    let mail = Mail::from(service.read_mail(id.0).await?);
    rendered(&mails(&service).await?, Some(&mail))
}

#[get("/dev/mailbox/{id}/html")]
async fn message(id: Path<DeliveryId>, service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    let mail = Mail::from(service.read_mail(id.0).await?);
    Ok(HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header(("content-security-policy", MESSAGE_POLICY))
        .insert_header(("x-frame-options", "SAMEORIGIN"))
        .body(mail.html))
}

#[get("/dev/mailbox/style.css")]
async fn style() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(STYLE)
}

#[get("/dev/mailbox/script.js")]
async fn script() -> HttpResponse {
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(SCRIPT)
}

async fn mails(service: &Service) -> Result<Vec<Mail>, Problem> {
    Ok(service.read_mailbox().await?.into_iter().map(Mail::from).collect())
}

fn rendered(mails: &[Mail], open: Option<&Mail>) -> Result<HttpResponse, Problem> {
    let mut environment = Environment::new();
    environment.set_debug(false);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let html = environment.render_str(PAGE, context! { mails, open }).map_err(Error::internal)?;
    Ok(HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header(("content-security-policy", PAGE_POLICY))
        .body(html))
}
