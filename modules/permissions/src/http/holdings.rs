//! What a user holds: `/api/v1/users/{id}/roles` and `/api/v1/users/me/permissions`.

use super::assignments::resource;
use crate::Service;
use crate::model::{Assignment, MEMBER};
use crate::service::Holding;
use actix_web::{get, web};
use contracts::permissions::ResourceRef;
use contracts::{AssignmentId, Time, UserId};
use platform::http::{Json, NotFoundProblem, Path, Problem, RightProblems, User, UserProblems};
use serde::Serialize;
use utoipa::ToSchema;

/// A role that a user holds now.
#[derive(Serialize, ToSchema)]
#[schema(as = RoleOfUser)]
struct RoleView {
    /// The role.
    role: String,
    /// Whether every user holds it, without an assignment.
    implicit: bool,
    /// The assignment it comes from; null when it is implicit.
    assignment_id: Option<AssignmentId>,
    /// The one thing it is about; everything when null.
    resource: Option<ResourceRef>,
    /// When it stops counting; never when null.
    expires_at: Option<Time>,
}

/// The roles that a user holds now.
#[derive(Serialize, ToSchema)]
struct RolesOfUser {
    /// The implicit one first, then in the order they were given.
    items: Vec<RoleView>,
}

impl RolesOfUser {
    fn new(assigned: &[Assignment]) -> Self {
        let member = RoleView {
            role: MEMBER.to_owned(),
            implicit: true,
            assignment_id: None,
            resource: None,
            expires_at: None,
        };
        let given = assigned.iter().map(|assignment| RoleView {
            role: assignment.role.to_string(),
            implicit: false,
            assignment_id: Some(assignment.id),
            resource: assignment.resource.as_ref().map(resource),
            expires_at: assignment.expires_at,
        });
        Self { items: std::iter::once(member).chain(given).collect() }
    }
}

/// Why somebody holds a permission.
#[derive(Serialize, ToSchema)]
#[schema(as = PermissionSource)]
struct SourceView {
    /// The role that is held.
    role: String,
    /// The role that lists the permission: the same, or one that it inherits.
    listed_by: String,
    /// When that ends; never when null.
    expires_at: Option<Time>,
}

/// A permission that somebody holds now.
#[derive(Serialize, ToSchema)]
#[schema(as = EffectivePermission)]
struct PermissionView {
    /// `resource:action`; each side may be `*`, and `own:` stands for the user's own things.
    #[schema(example = "documents:read")]
    permission: String,
    /// The one thing it is good for; everything when null.
    resource: Option<ResourceRef>,
    /// Where it comes from: at least one.
    sources: Vec<SourceView>,
}

/// The permissions that somebody holds now.
#[derive(Serialize, ToSchema)]
struct EffectivePermissions {
    /// Those for everything first.
    items: Vec<PermissionView>,
}

impl EffectivePermissions {
    fn new(holdings: &[Holding]) -> Self {
        let source = |source: &crate::service::Source| SourceView {
            role: source.role.to_string(),
            listed_by: source.listed_by.to_string(),
            expires_at: source.expires_at,
        };
        let view = |holding: &Holding| PermissionView {
            permission: holding.permission.to_string(),
            resource: holding.resource.as_ref().map(resource),
            sources: holding.sources.iter().map(source).collect(),
        };
        Self { items: holdings.iter().map(view).collect() }
    }
}

/// The roles that a user holds now.
///
/// For the user himself, and those with the right `role-assignments:read`. About somebody who doesn't exist the
/// answer is that of somebody who was given nothing.
#[utoipa::path(
    tag = "permissions",
    params(("id" = String, Path, description = "The user's id.")),
    responses(
        (status = 200, description = "The roles.", body = RolesOfUser),
        RightProblems, NotFoundProblem,
    )
)]
#[get("/api/v1/users/{id}/roles")]
pub(super) async fn list_roles_of_user(
    user: User,
    service: web::Data<Service>,
    Path(id): Path<UserId>,
) -> Result<Json<RolesOfUser>, Problem> {
    Ok(Json(RolesOfUser::new(&service.list_roles_of(&user.caller, id).await?)))
}

/// What the caller may do now, and why.
///
/// For everybody who is logged in.
#[utoipa::path(
    tag = "permissions",
    responses(
        (status = 200, description = "The permissions.", body = EffectivePermissions),
        UserProblems,
    )
)]
#[get("/api/v1/users/me/permissions")]
pub(super) async fn list_own_permissions(
    user: User,
    service: web::Data<Service>,
) -> Result<Json<EffectivePermissions>, Problem> {
    Ok(Json(EffectivePermissions::new(&service.list_permissions_of(user.id).await?)))
}
