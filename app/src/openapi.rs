//! The OpenAPI document: what the modules say about their routes, put together. It is made of the routes themselves,
//! so none can be missing.

mod tidy;

use actix_web::App;
use contracts::Module;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContactBuilder, HttpMethod, InfoBuilder, License, OpenApi, OpenApiBuilder, PathItem};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of the public listener that are part of the document, in a process that has these modules.
pub(crate) fn routes(here: &[Module]) -> impl FnOnce(&mut ServiceConfig<'_>) {
    move |routes| {
        every_process(routes);
        here.iter().for_each(|module| routes_of(*module, routes));
    }
}

/// What every process answers.
pub(crate) fn every_process(routes: &mut ServiceConfig<'_>) {
    routes
        .service(crate::server::livez)
        .service(crate::server::readyz)
        .service(crate::audit::list_audit_events);
}

/// What a module answers, wherever it is.
pub(crate) fn routes_of(module: Module, routes: &mut ServiceConfig<'_>) {
    match module {
        Module::Auth => routes.configure(auth::routes),
        Module::Users => routes.service(crate::export::export_me).configure(users::routes),
        Module::Permissions => routes.configure(permissions::routes),
        Module::Notifications => routes.configure(notifications::routes),
    };
}

/// The document before the routes are in it.
pub(crate) fn empty() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Doorward")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Accounts, profiles, permissions and notifications. Errors are problem details (RFC 9457) with a stable \
             `code`; ids are UUIDs (version 7), times are RFC 3339 in UTC, unknown fields are refused.",
        ))
        .license(Some({
            let mut license = License::new("Apache-2.0");
            license.identifier = Some("Apache-2.0".to_owned());
            license
        }))
        .contact(Some(ContactBuilder::new().name(Some("Whoever runs this service")).build()))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// What anybody may call: path and method. Everything else wants an access token.
const PUBLIC: &[(&str, HttpMethod)] = &[
    ("/livez", HttpMethod::Get),
    ("/readyz", HttpMethod::Get),
    ("/.well-known/jwks.json", HttpMethod::Get),
    ("/.well-known/openid-configuration", HttpMethod::Get),
    ("/.well-known/oauth-authorization-server", HttpMethod::Get),
    ("/api/v1/setup", HttpMethod::Post),
    ("/api/v1/auth/registrations", HttpMethod::Post),
    ("/api/v1/auth/verifications", HttpMethod::Post),
    ("/api/v1/auth/verifications/resend", HttpMethod::Post),
    ("/api/v1/auth/invitations/accept", HttpMethod::Post),
    ("/api/v1/auth/logins", HttpMethod::Post),
    ("/api/v1/auth/tokens", HttpMethod::Post),
    ("/api/v1/auth/password-resets", HttpMethod::Post),
    ("/api/v1/auth/password-resets/confirm", HttpMethod::Post),
    ("/api/v1/auth/session-reports", HttpMethod::Post),
    ("/api/v1/notifications/unsubscribe", HttpMethod::Get),
    ("/api/v1/notifications/unsubscribe", HttpMethod::Post),
    ("/api/v1/notifications/receipts/{provider}", HttpMethod::Post),
];

/// What is the same for all of them: how one logs in, and what a problem looks like.
fn finish(mut document: OpenApi) -> OpenApi {
    document.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            if PUBLIC.contains(&(path.as_str(), method)) {
                operation.security = Some(Vec::new());
            }
        }
    }
    platform::http::add_to(&mut document);
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token, as a login returns it (RFC 9068)."))
        .build();
    document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document
}

/// The whole document, wherever the modules are.
pub(crate) fn document() -> OpenApi {
    let app = App::new().into_utoipa_app().openapi(empty()).configure(routes(&Module::ALL));
    let (_, document) = app.split_for_parts();
    finish(document)
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let PathItem { get, put, post, patch, delete, .. } = item;
    [
        (HttpMethod::Get, get),
        (HttpMethod::Put, put),
        (HttpMethod::Post, post),
        (HttpMethod::Patch, patch),
        (HttpMethod::Delete, delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The whole document as text.
pub(crate) fn text(document: &OpenApi) -> Result<String, serde_json::Error> {
    let mut document = serde_json::to_value(document)?;
    tidy::tidy(&mut document);
    serde_json::to_string_pretty(&document)
}
