//! The module's endpoints: parse, ask the service, shape the answer. Those below `/users/me` are about the caller
//! himself, all others are for administrators.

mod preferences;
mod profile;
mod transfer;
mod users;

use utoipa_actix_web::service_config::ServiceConfig;

/// Adds the endpoints to an application that carries `web::Data` of [`crate::Service`] and [`platform::http::Gate`].
pub fn routes(cfg: &mut ServiceConfig<'_>) {
    cfg.service(profile::get_me)
        .service(profile::patch_me)
        .service(preferences::list_preferences)
        .service(preferences::get_preference)
        .service(preferences::put_preference)
        .service(preferences::patch_preference)
        .service(preferences::delete_preference)
        .service(transfer::create_import)
        .service(transfer::list_imports)
        .service(transfer::get_import)
        .service(transfer::export_users)
        .service(users::list_users)
        .service(users::create_user)
        .service(users::get_user)
        .service(users::patch_user)
        .service(users::delete_user)
        .service(users::restore_user);
}
