//! `/api/v1/groups/{id}/members`.

use super::answers::{one_more, page};
use super::{ReadGroups, WriteGroups};
use crate::Service;
use crate::model::Holder;
use crate::store::members::Member;
use actix_web::{HttpResponse, Responder, delete, get, put, web};
use contracts::permissions::Subject;
use contracts::{Error, GroupId, Time};
use platform::http::{
    Allowed, ConflictProblem, Cursors, NotFoundProblem, Page, PageQuery, Path, Problem, Query, RightProblems,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Somebody who is in a group.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupMember)]
struct MemberView {
    /// `user` or `group`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The id of the user or group.
    id: String,
    /// Since when.
    added_at: Time,
}

impl From<&Member> for MemberView {
    fn from(member: &Member) -> Self {
        let (kind, id) = (member.member.kind(), member.member.subject().id);
        Self { kind, id, added_at: member.added_at }
    }
}

/// Who is meant by a path.
#[derive(Deserialize)]
struct MemberPath {
    id: GroupId,
    #[serde(rename = "type")]
    kind: String,
    member: String,
}

impl MemberPath {
    fn read(self) -> Result<(GroupId, Holder), Problem> {
        let who = Holder::parse(&self.kind, &self.member).ok().flatten().ok_or_else(Problem::not_found)?;
        Ok((self.id, who))
    }
}

fn list_of(group: GroupId) -> String {
    format!("group-members {group}")
}

/// Where a page of members ended.
#[derive(Serialize, Deserialize)]
struct Position(Subject);

impl Position {
    fn holder(self) -> Result<Holder, Error> {
        Holder::find(&self.0).ok_or_else(|| Error::internal("a cursor of ours names nobody"))
    }
}

/// Lists who is directly in a group: groups first, each by id.
///
/// For those with the right `groups:read`.
#[utoipa::path(
    tag = "permissions",
    params(("id" = String, Path, description = "The group's id."), PageQuery),
    responses(
        (status = 200, description = "A page of members.", body = Page<MemberView>,
            headers(("Link" = String, description = "The next page, as `rel=\"next\"`, unless this is the last."))),
        RightProblems, NotFoundProblem,
    )
)]
#[get("/api/v1/groups/{id}/members")]
pub(super) async fn list_group_members(
    _: Allowed<ReadGroups>,
    service: web::Data<Service>,
    cursors: web::Data<Cursors>,
    Path(id): Path<GroupId>,
    Query(query): Query<PageQuery>,
) -> Result<impl Responder, Problem> {
    let (list, limit) = (list_of(id), query.limit);
    let after: Option<Position> = query.cursor.map(|cursor| cursors.decode(&list, &cursor)).transpose()?;
    let after = after.map(Position::holder).transpose()?;
    let found = service.list_members(id, after, one_more(limit)).await?;
    Ok(page::<_, MemberView, _>(&cursors, &list, limit, found, |one| Position(one.member.subject()))?)
}

/// Puts a user or a group into a group. Doing it twice changes nothing.
///
/// For those with the right `groups:write`, who must hold everything that being in the group brings, everywhere and
/// as long.
#[utoipa::path(
    tag = "permissions",
    params(
        ("id" = String, Path, description = "The group's id."),
        ("type" = String, Path, description = "`user` or `group`."),
        ("member" = String, Path, description = "The id of the user or group."),
    ),
    responses(
        (status = 204, description = "It is in the group."),
        RightProblems, NotFoundProblem, ConflictProblem,
    )
)]
#[put("/api/v1/groups/{id}/members/{type}/{member}")]
pub(super) async fn put_group_member(
    allowed: Allowed<WriteGroups>,
    service: web::Data<Service>,
    Path(path): Path<MemberPath>,
) -> Result<HttpResponse, Problem> {
    let (group, who) = path.read()?;
    service.add_member(&allowed.user.caller, group, who).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Takes a user or a group out of a group: the very next decision knows. Doing it twice changes nothing.
///
/// The last administrator stays. For those with the right `groups:write`, who must hold everything that being in the
/// group brings, everywhere and as long, unless it is themselves whom they take out.
#[utoipa::path(
    tag = "permissions",
    params(
        ("id" = String, Path, description = "The group's id."),
        ("type" = String, Path, description = "`user` or `group`."),
        ("member" = String, Path, description = "The id of the user or group."),
    ),
    responses(
        (status = 204, description = "It is not in the group."),
        RightProblems, NotFoundProblem, ConflictProblem,
    )
)]
#[delete("/api/v1/groups/{id}/members/{type}/{member}")]
pub(super) async fn delete_group_member(
    allowed: Allowed<WriteGroups>,
    service: web::Data<Service>,
    Path(path): Path<MemberPath>,
) -> Result<HttpResponse, Problem> {
    let (group, who) = path.read()?;
    service.remove_member(&allowed.user.caller, group, who).await?;
    Ok(HttpResponse::NoContent().finish())
}
