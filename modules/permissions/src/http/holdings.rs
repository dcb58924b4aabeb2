//! What a user holds: `/api/v1/users/{id}/roles`, `/api/v1/users/{id}/permissions` and `/api/v1/users/me/permissions`.

use super::assignments::resource;
use crate::Service;
use crate::model::MEMBER;
use crate::service::{HeldRole, Holding, Through};
use actix_web::{get, web};
use contracts::permissions::ResourceRef;
use contracts::{AssignmentId, GroupId, Time, UserId};
use platform::http::{Json, NotFoundProblem, Path, Problem, RightProblems, User, UserProblems};
use serde::Serialize;
use utoipa::ToSchema;

/// A group, by id and name.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupReference)]
pub(super) struct GroupView {
    /// Its id.
    pub(super) id: GroupId,
    /// Its name.
    pub(super) name: String,
}

impl From<&Through> for GroupView {
    fn from(group: &Through) -> Self {
        Self { id: group.id, name: group.name.to_string() }
    }
}

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
    /// The group that it was given to; null when it was given to the user himself.
    group: Option<GroupView>,
    /// When it stops counting; never when null.
    expires_at: Option<Time>,
}

/// The roles that a user holds now.
#[derive(Serialize, ToSchema)]
struct RolesOfUser {
    /// The implicit one first, then his own in the order they were given, then those of his groups, near ones first.
    items: Vec<RoleView>,
}

impl RolesOfUser {
    fn new(held: &[HeldRole]) -> Self {
        let member = RoleView {
            role: MEMBER.to_owned(),
            implicit: true,
            assignment_id: None,
            resource: None,
            group: None,
            expires_at: None,
        };
        let given = held.iter().map(|held| RoleView {
            role: held.role.to_string(),
            implicit: false,
            assignment_id: Some(held.id),
            resource: held.resource.as_ref().map(resource),
            group: held.group.as_ref().map(GroupView::from),
            expires_at: held.expires_at,
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
    /// The group that the role was given to; null when it was given to the user himself, or to everybody.
    group: Option<GroupView>,
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
            group: source.group.as_ref().map(GroupView::from),
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
    Ok(Json(EffectivePermissions::new(&service.list_permissions_of(&user.caller, user.id).await?)))
}

/// What a user may do now, and why.
///
/// For the user himself, and those with the right `role-assignments:read`. About somebody who doesn't exist the
/// answer is that of somebody who was given nothing.
#[utoipa::path(
    tag = "permissions",
    params(("id" = String, Path, description = "The user's id.")),
    responses(
        (status = 200, description = "The permissions.", body = EffectivePermissions),
        RightProblems, NotFoundProblem,
    )
)]
#[get("/api/v1/users/{id}/permissions")]
pub(super) async fn list_permissions_of_user(
    user: User,
    service: web::Data<Service>,
    Path(id): Path<UserId>,
) -> Result<Json<EffectivePermissions>, Problem> {
    Ok(Json(EffectivePermissions::new(&service.list_permissions_of(&user.caller, id).await?)))
}
