//! `/api/v1/groups`.

use super::answers::{created, one_more, page, send};
use super::{ReadGroups, WriteGroups};
use crate::Service;
use crate::model::{Group, GroupDraft, RoleName};
use actix_web::{HttpResponse, Responder, delete, get, post, put, web};
use contracts::{GroupId, Time};
use platform::http::{
    Allowed, BodyProblems, ConflictProblem, Cursors, ETag, IdempotentJson, IfMatch, Json, NotFoundProblem,
    Page, PageQuery, Path, Problem, Query, RightProblems, StaleProblem,
};
use platform::idempotency::Answer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The name of the list in cursors.
const LIST: &str = "groups";

/// A group.
#[derive(Serialize, ToSchema)]
#[schema(as = Group)]
struct GroupView {
    /// Its id, which is also its address.
    id: GroupId,
    /// Its name.
    #[schema(pattern = "^[a-z][a-z0-9_.-]{0,62}$", example = "sales")]
    name: String,
    /// What it is for.
    description: Option<String>,
    /// When it was made.
    created_at: Time,
    /// When its name or description was last changed.
    updated_at: Time,
}

impl From<&Group> for GroupView {
    fn from(group: &Group) -> Self {
        Self {
            id: group.id,
            name: group.name.to_string(),
            description: group.description.clone(),
            created_at: group.created_at,
            updated_at: group.updated_at,
        }
    }
}

/// A group to be made, or the state that one is to have.
#[derive(Deserialize, ToSchema)]
struct WriteGroup {
    /// Its name, which no other group has: a lower-case letter, then at most 62 lower-case letters, digits, dots, `_`
    /// and `-`.
    #[schema(pattern = "^[a-z][a-z0-9_.-]{0,62}$", example = "sales")]
    name: String,
    /// What it is for: at most 500 characters, no control characters.
    #[schema(max_length = 500)]
    description: Option<String>,
}

impl WriteGroup {
    fn draft(self) -> contracts::Result<GroupDraft> {
        GroupDraft::parse(&self.name, self.description)
    }
}

fn made(group: &Group) -> contracts::Result<Answer> {
    created(format!("/api/v1/groups/{}", group.id), &GroupView::from(group))
}

fn current(group: &Group) -> HttpResponse {
    HttpResponse::Ok().insert_header(ETag::revision(group.revision)).json(GroupView::from(group))
}

/// Lists the groups by name.
///
/// For those with the right `groups:read`.
#[utoipa::path(
    tag = "permissions",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of groups.", body = Page<GroupView>,
            headers(("Link" = String, description = "The next page, as `rel=\"next\"`, unless this is the last."))),
        RightProblems,
    )
)]
#[get("/api/v1/groups")]
pub(super) async fn list_groups(
    _: Allowed<ReadGroups>,
    service: web::Data<Service>,
    cursors: web::Data<Cursors>,
    Query(query): Query<PageQuery>,
) -> Result<impl Responder, Problem> {
    let after: Option<RoleName> = query.cursor.map(|cursor| cursors.decode(LIST, &cursor)).transpose()?;
    let found = service.list_groups(after.as_ref(), one_more(query.limit)).await?;
    Ok(page::<_, GroupView, _>(&cursors, LIST, query.limit, found, |group| group.name.clone())?)
}

/// Makes a group.
///
/// It holds nothing and nobody is in it. For those with the right `groups:write`.
#[utoipa::path(
    tag = "permissions",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send the request again.")),
    request_body = WriteGroup,
    responses(
        (status = 201, description = "The group.", body = GroupView,
            headers(("Location" = String, description = "The address of the group."))),
        RightProblems, BodyProblems, ConflictProblem,
    )
)]
#[post("/api/v1/groups")]
pub(super) async fn create_group(
    allowed: Allowed<WriteGroups>,
    service: web::Data<Service>,
    body: IdempotentJson<WriteGroup>,
) -> Result<HttpResponse, Problem> {
    let caller = allowed.user.caller;
    let (body, key) = body.into_parts(&caller);
    Ok(send(service.create_group(&caller, key.as_ref(), body.draft()?, made).await?))
}

/// One group.
///
/// For those with the right `groups:read`.
#[utoipa::path(
    tag = "permissions",
    params(("id" = String, Path, description = "The group's id.")),
    responses(
        (status = 200, description = "The group.", body = GroupView,
            headers(("ETag" = String, description = "The state it is in, for `If-Match`."))),
        RightProblems, NotFoundProblem,
    )
)]
#[get("/api/v1/groups/{id}")]
pub(super) async fn get_group(
    _: Allowed<ReadGroups>,
    service: web::Data<Service>,
    Path(id): Path<GroupId>,
) -> Result<HttpResponse, Problem> {
    Ok(current(&service.get_group(id).await?))
}

/// Gives a group another name and description.
///
/// For those with the right `groups:write`, who must hold everything that being in the group brings, everywhere and as
/// long.
#[utoipa::path(
    tag = "permissions",
    params(
        ("id" = String, Path, description = "The group's id."),
        ("If-Match" = Option<String>, Header, description = "The state that the caller means."),
    ),
    request_body = WriteGroup,
    responses(
        (status = 200, description = "The group.", body = GroupView,
            headers(("ETag" = String, description = "The state it is in, for `If-Match`."))),
        RightProblems, BodyProblems, NotFoundProblem, ConflictProblem, StaleProblem,
    )
)]
#[put("/api/v1/groups/{id}")]
pub(super) async fn put_group(
    allowed: Allowed<WriteGroups>,
    service: web::Data<Service>,
    Path(id): Path<GroupId>,
    state: IfMatch,
    Json(body): Json<WriteGroup>,
) -> Result<HttpResponse, Problem> {
    let group = service.update_group(&allowed.user.caller, &state, id, body.draft()?).await?;
    Ok(current(&group))
}

/// Deletes a group, with what it holds and who is in it: the very next decision knows.
///
/// The last administrator stays. For those with the right `groups:write`, who must hold everything that being in the
/// group brings, everywhere and as long.
#[utoipa::path(
    tag = "permissions",
    params(
        ("id" = String, Path, description = "The group's id."),
        ("If-Match" = Option<String>, Header, description = "The state that the caller means."),
    ),
    responses(
        (status = 204, description = "The group is gone."),
        RightProblems, NotFoundProblem, ConflictProblem, StaleProblem,
    )
)]
#[delete("/api/v1/groups/{id}")]
pub(super) async fn delete_group(
    allowed: Allowed<WriteGroups>,
    service: web::Data<Service>,
    Path(id): Path<GroupId>,
    state: IfMatch,
) -> Result<HttpResponse, Problem> {
    service.delete_group(&allowed.user.caller, &state, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
