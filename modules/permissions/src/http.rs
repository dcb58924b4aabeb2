//! The module's endpoints: parse, ask the service, shape the answer.
//!
//! Who may call is in each handler's first argument. What is asked about others than oneself is decided in the
//! service, because it depends on the path or the body.

mod answers;
mod assignments;
mod evaluation;
mod evaluations;
mod explanation;
mod groups;
mod holdings;
mod members;
mod question;
mod roles;
mod search;

use platform::rights;
use utoipa_actix_web::service_config::ServiceConfig;

rights! {
    pub(crate) ReadRoles = "roles:read";
    pub(crate) WriteRoles = "roles:write";
    pub(crate) ReadGroups = "groups:read";
    pub(crate) WriteGroups = "groups:write";
    pub(crate) ReadAssignments = "role-assignments:read";
    pub(crate) WriteAssignments = "role-assignments:write";
}

/// Adds the endpoints to an application that carries `web::Data` of [`crate::Service`],
/// [`platform::http::Cursors`] and [`platform::http::Gate`].
pub fn routes(cfg: &mut ServiceConfig<'_>) {
    cfg.service(roles::list_roles)
        .service(roles::create_role)
        .service(roles::get_role)
        .service(roles::put_role)
        .service(roles::delete_role)
        .service(assignments::list_role_assignments)
        .service(assignments::create_role_assignment)
        .service(assignments::get_role_assignment)
        .service(assignments::delete_role_assignment)
        .service(groups::list_groups)
        .service(groups::create_group)
        .service(groups::get_group)
        .service(groups::put_group)
        .service(groups::delete_group)
        .service(members::list_group_members)
        .service(members::put_group_member)
        .service(members::delete_group_member)
        .service(holdings::list_own_permissions)
        .service(holdings::list_permissions_of_user)
        .service(holdings::list_roles_of_user)
        .service(evaluation::evaluate)
        .service(evaluations::evaluate_all)
        .service(search::search_subjects)
        .service(search::search_resources)
        .service(search::search_actions);
}
