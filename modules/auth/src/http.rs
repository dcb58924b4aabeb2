//! The paths of this module: parse, ask one use case, shape the answer.
//!
//! Left out: every decision. Who may call is a type in a handler's signature; what is refused and why is the
//! service's business.

mod invitations;
mod keys;
mod logins;
mod pages;
mod passwords;
mod registrations;
mod sessions;
mod setup;

use utoipa_actix_web::service_config::ServiceConfig;

pub use pages::PAGES;

/// Adds the routes. The application must hold this module's [`crate::Service`] and a `platform::http::Gate` as
/// `web::Data`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(registrations::register)
        .service(registrations::verify)
        .service(registrations::resend)
        .service(invitations::accept)
        .service(logins::log_in)
        .service(logins::refresh)
        .service(sessions::list)
        .service(sessions::revoke_others)
        .service(sessions::sign_out)
        .service(sessions::revoke)
        .service(passwords::request_reset)
        .service(passwords::reset)
        .service(passwords::change)
        .service(sessions::report)
        .service(setup::set_up)
        .service(keys::jwks)
        .service(keys::openid_configuration)
        .service(keys::authorization_server)
        .map(pages::routes);
}
