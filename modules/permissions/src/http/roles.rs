//! `/api/v1/roles`.

use super::answers::{created, one_more, page, send};
use super::{ReadRoles, WriteRoles};
use crate::Service;
use crate::model::{Role, RoleDraft, RoleName, RoleText};
use actix_web::{HttpResponse, Responder, delete, get, post, put, web};
use contracts::Time;
use platform::http::{
    Allowed, BodyProblems, ConflictProblem, Cursors, ETag, IdempotentJson, IfMatch, Json, NotFoundProblem,
    Page, PageQuery, Path, Problem, Query, RightProblems, StaleProblem,
};
use platform::idempotency::Answer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The name of the list in cursors.
const LIST: &str = "roles";

/// A role.
#[derive(Serialize, ToSchema)]
#[schema(as = Role)]
struct RoleView {
    /// Its name, which is also its address.
    #[schema(pattern = "^[a-z][a-z0-9_.-]{0,62}$", example = "editor")]
    name: String,
    /// What it is for.
    description: Option<String>,
    /// What it allows by itself: `resource:action`; each side may be `*`, and `own:` stands for the subject's own
    /// things.
    #[schema(example = json!(["documents:read", "documents:write"]))]
    permissions: Vec<String>,
    /// The roles whose permissions it has as well.
    inherits: Vec<String>,
    /// Whether it is part of the product and never changes.
    builtin: bool,
    /// When it was made.
    created_at: Time,
    /// When it was last changed.
    updated_at: Time,
}

impl From<&Role> for RoleView {
    fn from(role: &Role) -> Self {
        Self {
            name: role.name.to_string(),
            description: role.description.clone(),
            permissions: role.permissions.iter().map(ToString::to_string).collect(),
            inherits: role.inherits.iter().map(ToString::to_string).collect(),
            builtin: role.name.is_builtin(),
            created_at: role.created_at,
            updated_at: role.updated_at,
        }
    }
}

/// A role to be made.
#[derive(Deserialize, ToSchema)]
struct CreateRole {
    /// Its name: a lower-case letter, then at most 62 lower-case letters, digits, dots, `_` and `-`.
    #[schema(pattern = "^[a-z][a-z0-9_.-]{0,62}$", example = "editor")]
    name: String,
    /// What it is for: at most 500 characters, no control characters.
    #[schema(max_length = 500)]
    description: Option<String>,
    /// What it allows by itself; each is `resource:action`, at most 200, all different.
    #[schema(max_items = 200, example = json!(["documents:read", "documents:write"]))]
    permissions: Vec<String>,
    /// Roles that exist and whose permissions it has as well; at most 32, all different.
    #[serde(default)]
    #[schema(max_items = 32)]
    inherits: Vec<String>,
}

/// The state a role is to have.
#[derive(Deserialize, ToSchema)]
struct PutRole {
    /// The name, when it is repeated here: the same as in the path.
    name: Option<String>,
    /// What it is for: at most 500 characters, no control characters.
    #[schema(max_length = 500)]
    description: Option<String>,
    /// What it allows by itself; each is `resource:action`, at most 200, all different.
    #[schema(max_items = 200)]
    permissions: Vec<String>,
    /// Roles that exist and whose permissions it has as well; at most 32, all different.
    #[serde(default)]
    #[schema(max_items = 32)]
    inherits: Vec<String>,
}

impl CreateRole {
    fn draft(self) -> contracts::Result<RoleDraft> {
        let Self { name, description, permissions, inherits } = self;
        RoleDraft::parse(RoleText { name, repeated_name: None, description, permissions, inherits })
    }
}

impl PutRole {
    fn draft(self, of: &RoleName) -> contracts::Result<RoleDraft> {
        let Self { name: repeated_name, description, permissions, inherits } = self;
        RoleDraft::parse(RoleText { name: of.to_string(), repeated_name, description, permissions, inherits })
    }
}

fn made(role: &Role) -> contracts::Result<Answer> {
    created(format!("/api/v1/roles/{}", role.name), &RoleView::from(role))
}

fn current(role: &Role) -> HttpResponse {
    HttpResponse::Ok().insert_header(ETag::revision(role.revision)).json(RoleView::from(role))
}

/// Lists the roles by name.
///
/// For those with the right `roles:read`.
#[utoipa::path(
    tag = "permissions",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of roles.", body = Page<RoleView>,
            headers(("Link" = String, description = "The next page, as `rel=\"next\"`, unless this is the last."))),
        RightProblems,
    )
)]
#[get("/api/v1/roles")]
pub(super) async fn list_roles(
    _: Allowed<ReadRoles>,
    service: web::Data<Service>,
    cursors: web::Data<Cursors>,
    Query(query): Query<PageQuery>,
) -> Result<impl Responder, Problem> {
    let after: Option<RoleName> = query.cursor.map(|cursor| cursors.decode(LIST, &cursor)).transpose()?;
    let found = service.list_roles(after.as_ref(), one_more(query.limit)).await?;
    Ok(page::<_, RoleView, _>(&cursors, LIST, query.limit, found, |role| role.name.clone())?)
}

/// Makes a role.
///
/// For those with the right `roles:write`, who must hold everything the role allows.
#[utoipa::path(
    tag = "permissions",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send the request again.")),
    request_body = CreateRole,
    responses(
        (status = 201, description = "The role.", body = RoleView,
            headers(("Location" = String, description = "The address of the role."))),
        RightProblems, BodyProblems, ConflictProblem,
    )
)]
#[post("/api/v1/roles")]
pub(super) async fn create_role(
    allowed: Allowed<WriteRoles>,
    service: web::Data<Service>,
    body: IdempotentJson<CreateRole>,
) -> Result<HttpResponse, Problem> {
    let caller = allowed.user.caller;
    let (body, key) = body.into_parts(&caller);
    Ok(send(service.create_role(&caller, key.as_ref(), body.draft()?, made).await?))
}

/// One role.
///
/// For those with the right `roles:read`.
#[utoipa::path(
    tag = "permissions",
    params(("name" = String, Path, description = "The role's name.")),
    responses(
        (status = 200, description = "The role.", body = RoleView,
            headers(("ETag" = String, description = "Names this state, for `If-Match`."))),
        RightProblems, NotFoundProblem,
    )
)]
#[get("/api/v1/roles/{name}")]
pub(super) async fn get_role(
    _: Allowed<ReadRoles>,
    service: web::Data<Service>,
    Path(name): Path<RoleName>,
) -> Result<HttpResponse, Problem> {
    Ok(current(&service.get_role(&name).await?))
}

/// Gives a role a new state, for everybody who holds it at once.
///
/// For those with the right `roles:write`, who must hold everything the role allows until then and from then on.
#[utoipa::path(
    tag = "permissions",
    params(
        ("name" = String, Path, description = "The role's name."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the state that is meant."),
    ),
    request_body = PutRole,
    responses(
        (status = 200, description = "The role.", body = RoleView,
            headers(("ETag" = String, description = "Names the new state, for `If-Match`."))),
        RightProblems, BodyProblems, NotFoundProblem, ConflictProblem, StaleProblem,
    )
)]
#[put("/api/v1/roles/{name}")]
pub(super) async fn put_role(
    allowed: Allowed<WriteRoles>,
    service: web::Data<Service>,
    Path(name): Path<RoleName>,
    state: IfMatch,
    Json(body): Json<PutRole>,
) -> Result<HttpResponse, Problem> {
    let draft = body.draft(&name)?;
    Ok(current(&service.update_role(&allowed.user.caller, &state, draft).await?))
}

/// Deletes a role that nobody holds and no role inherits.
///
/// For those with the right `roles:write`, who must hold everything the role allows.
#[utoipa::path(
    tag = "permissions",
    params(
        ("name" = String, Path, description = "The role's name."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the state that is meant."),
    ),
    responses(
        (status = 204, description = "The role is gone."),
        RightProblems, NotFoundProblem, ConflictProblem, StaleProblem,
    )
)]
#[delete("/api/v1/roles/{name}")]
pub(super) async fn delete_role(
    allowed: Allowed<WriteRoles>,
    service: web::Data<Service>,
    Path(name): Path<RoleName>,
    state: IfMatch,
) -> Result<HttpResponse, Problem> {
    service.delete_role(&allowed.user.caller, &state, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}
