//! The module's endpoints: parse, ask the service, shape the answer. All of them are about the caller himself.

mod preferences;
mod profile;

use utoipa_actix_web::service_config::ServiceConfig;

/// Adds the endpoints to an application that carries `web::Data` of [`crate::Service`] and [`platform::http::Gate`].
pub fn routes(cfg: &mut ServiceConfig<'_>) {
    cfg.service(profile::get_me)
        .service(profile::patch_me)
        .service(preferences::list_preferences)
        .service(preferences::get_preference)
        .service(preferences::put_preference)
        .service(preferences::patch_preference)
        .service(preferences::delete_preference);
}
