//! The pages that links lead to: proving an address, making the first administrator, choosing another password,
//! disowning a login, and accepting an invitation.
//!
//! They are embedded files and do nothing by being opened, because mail programs open links ahead of people: the
//! token stays behind the `#` until somebody presses the button, and then goes to the API. Nothing is loaded from
//! elsewhere, nothing runs inline, and nobody may frame them.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use actix_web::web::ServiceConfig;
use actix_web::{HttpResponse, get};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where the pages and what they load are, for whoever stands in front of several services.
pub const PAGES: [&str; 7] = [
    "/verify",
    "/setup",
    "/password-reset",
    "/session-report",
    "/invitation",
    "/assets/auth.css",
    "/assets/auth.js",
];

/// The pages, which are for people and so no part of the interface's document.
pub(super) fn routes(config: &mut ServiceConfig) -> &mut ServiceConfig {
    config
        .service(verify)
        .service(setup)
        .service(password_reset)
        .service(session_report)
        .service(invitation)
        .service(style)
        .service(script)
}

/// The page behind a verification link.
/// Anyone may open it; opening it changes nothing.
#[get("/verify")]
async fn verify() -> HttpResponse {
    page(include_str!("pages/verify.html"))
}

/// The page behind the set-up link.
/// Anyone may open it; opening it changes nothing.
#[get("/setup")]
async fn setup() -> HttpResponse {
    page(include_str!("pages/setup.html"))
}

/// The page behind the link of a password reset.
/// Anyone may open it; opening it changes nothing.
#[get("/password-reset")]
async fn password_reset() -> HttpResponse {
    page(include_str!("pages/password-reset.html"))
}

/// The page behind the link of a sign-in notice.
/// Anyone may open it; opening it changes nothing.
#[get("/session-report")]
async fn session_report() -> HttpResponse {
    page(include_str!("pages/session-report.html"))
}

/// The page behind the link of an invitation.
/// Anyone may open it; opening it changes nothing.
#[get("/invitation")]
async fn invitation() -> HttpResponse {
    page(include_str!("pages/invitation.html"))
}

/// The pages' style.
/// Anyone may load it.
#[get("/assets/auth.css")]
async fn style() -> HttpResponse {
    asset("text/css; charset=utf-8", include_str!("pages/auth.css"))
}

/// The pages' script.
/// Anyone may load it.
#[get("/assets/auth.js")]
async fn script() -> HttpResponse {
    asset("text/javascript; charset=utf-8", include_str!("pages/auth.js"))
}

fn page(html: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(html)
}

/// Assets have fixed names, so browsers ask again soon.
fn asset(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .body(text)
}
