//! `/api/v1/role-assignments`.

use super::answers::{created, one_more, page, send};
use super::{ReadAssignments, WriteAssignments};
use crate::Service;
use crate::model::{Assignment, AssignmentText, Resource, RoleName};
use crate::store::HolderId;
use crate::store::assignments::Filter;
use actix_web::{HttpResponse, Responder, delete, get, post, web};
use contracts::permissions::{ResourceRef, Subject};
use contracts::{AssignmentId, Error, Time, UserId};
use platform::http::{
    Allowed, BodyProblems, ConflictProblem, Cursors, IdempotentJson, Json, Limit, NotFoundProblem, Page,
    Path, Problem, Query, RightProblems,
};
use platform::idempotency::Answer;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A role that somebody holds.
#[derive(Serialize, ToSchema)]
#[schema(as = RoleAssignment)]
pub(super) struct AssignmentView {
    /// Its id.
    id: AssignmentId,
    /// Who holds the role.
    subject: Subject,
    /// The role.
    role: String,
    /// The one thing it is about; everything when null.
    resource: Option<ResourceRef>,
    /// When it stops counting; never when null.
    expires_at: Option<Time>,
    /// When it was made.
    created_at: Time,
}

impl From<&Assignment> for AssignmentView {
    fn from(assignment: &Assignment) -> Self {
        Self {
            id: assignment.id,
            subject: assignment.subject.subject(),
            role: assignment.role.to_string(),
            resource: assignment.resource.as_ref().map(resource),
            expires_at: assignment.expires_at,
            created_at: assignment.created_at,
        }
    }
}

pub(super) fn resource(resource: &Resource) -> ResourceRef {
    ResourceRef { resource_type: resource.kind.clone(), id: resource.id.clone() }
}

/// A role to be given.
#[derive(Deserialize, ToSchema)]
struct CreateRoleAssignment {
    /// Who gets it: `{"type": "user", "id": …}`, or a group, for all who are in it.
    subject: Subject,
    /// The role's name.
    #[schema(example = "editor")]
    role: String,
    /// On this one thing only: its type is a word as in permissions, its id 1 to 255 characters.
    resource: Option<ResourceRef>,
    /// Until when; in the future.
    expires_at: Option<Time>,
}

impl From<CreateRoleAssignment> for AssignmentText {
    fn from(body: CreateRoleAssignment) -> Self {
        let CreateRoleAssignment { subject, role, resource, expires_at } = body;
        Self { subject, role, resource, expires_at }
    }
}

/// Which assignments to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AssignmentQuery {
    /// At most so many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: the `next_cursor` of the page before.
    cursor: Option<String>,
    /// The id of a user or group: only what was given to it.
    #[param(value_type = Option<String>, format = Uuid)]
    subject: Option<UserId>,
    /// Only what was given to users, or only what was given to groups.
    #[param(inline)]
    subject_type: Option<SubjectType>,
    /// The name of a role: only its assignments.
    #[param(value_type = Option<String>)]
    role: Option<RoleName>,
    /// A type: only what is about one thing of it.
    resource_type: Option<String>,
    /// An id: only what is about one thing of that id. Of which type is said with `resource_type`.
    resource_id: Option<String>,
    /// Only what counts now, or only what has ended.
    #[param(inline)]
    state: Option<State>,
}

/// The types of subject.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AssignmentSubjectType)]
enum SubjectType {
    User,
    Group,
}

/// Whether an assignment counts.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AssignmentState)]
enum State {
    Active,
    Ended,
}

impl SubjectType {
    fn word(self) -> String {
        match self {
            Self::User => "user".to_owned(),
            Self::Group => "group".to_owned(),
        }
    }
}

impl AssignmentQuery {
    /// The list's name in cursors: a cursor is good for the same filters only.
    fn list(&self) -> contracts::Result<String> {
        let thing = (&self.resource_type, &self.resource_id);
        let filters = (self.subject, self.subject_type, &self.role, thing, self.state);
        let filters = serde_json::to_string(&filters).map_err(Error::internal)?;
        Ok(format!("role-assignments {filters}"))
    }

    fn filter(self, list: &str, cursors: &Cursors, now: Time) -> contracts::Result<Filter> {
        let after = self.cursor.map(|cursor| cursors.decode(list, &cursor)).transpose()?;
        Ok(Filter {
            subject_type: self.subject_type.map(SubjectType::word),
            subject: self.subject.map(|id| HolderId::from_uuid(id.uuid())),
            role: self.role,
            resource_type: self.resource_type,
            resource_id: self.resource_id,
            counting: self.state.map(|state| (matches!(state, State::Active), now)),
            after,
            limit: one_more(self.limit),
        })
    }
}

fn made(assignment: &Assignment) -> contracts::Result<Answer> {
    created(format!("/api/v1/role-assignments/{}", assignment.id), &AssignmentView::from(assignment))
}

/// Lists who holds which role, in the order they were given.
///
/// What has ended is listed until it is cleared away. For those with the right `role-assignments:read`.
#[utoipa::path(
    tag = "permissions",
    params(AssignmentQuery),
    responses(
        (status = 200, description = "A page of assignments.", body = Page<AssignmentView>,
            headers(("Link" = String, description = "The next page, as `rel=\"next\"`, unless this is the last."))),
        RightProblems,
    )
)]
#[get("/api/v1/role-assignments")]
pub(super) async fn list_role_assignments(
    _: Allowed<ReadAssignments>,
    service: web::Data<Service>,
    cursors: web::Data<Cursors>,
    Query(query): Query<AssignmentQuery>,
) -> Result<impl Responder, Problem> {
    let (list, limit) = (query.list()?, query.limit);
    let found = service.list_assignments(&query.filter(&list, &cursors, service.clock.now())?).await?;
    Ok(page::<_, AssignmentView, _>(&cursors, &list, limit, found, |assignment| assignment.id)?)
}

/// Gives a role to a user or a group, everywhere or on one thing, for ever or until a time.
///
/// For those with the right `role-assignments:write`, who must hold everything the role allows, everywhere and as
/// long.
#[utoipa::path(
    tag = "permissions",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send the request again.")),
    request_body = CreateRoleAssignment,
    responses(
        (status = 201, description = "The assignment.", body = AssignmentView,
            headers(("Location" = String, description = "The address of the assignment."))),
        RightProblems, BodyProblems, ConflictProblem,
    )
)]
#[post("/api/v1/role-assignments")]
pub(super) async fn create_role_assignment(
    allowed: Allowed<WriteAssignments>,
    service: web::Data<Service>,
    body: IdempotentJson<CreateRoleAssignment>,
) -> Result<HttpResponse, Problem> {
    let caller = allowed.user.caller;
    let (body, key) = body.into_parts(&caller);
    Ok(send(service.create_assignment(&caller, key.as_ref(), body.into(), made).await?))
}

/// One assignment.
///
/// For those with the right `role-assignments:read`.
#[utoipa::path(
    tag = "permissions",
    params(("id" = String, Path, description = "The assignment's id.")),
    responses(
        (status = 200, description = "The assignment.", body = AssignmentView),
        RightProblems, NotFoundProblem,
    )
)]
#[get("/api/v1/role-assignments/{id}")]
pub(super) async fn get_role_assignment(
    _: Allowed<ReadAssignments>,
    service: web::Data<Service>,
    Path(id): Path<AssignmentId>,
) -> Result<Json<AssignmentView>, Problem> {
    Ok(Json(AssignmentView::from(&service.get_assignment(id).await?)))
}

/// Takes a role away: the very next decision knows.
///
/// The last administrator stays. For those with the right `role-assignments:write`, who must hold everything the role
/// allows, everywhere and as long, unless it is their own assignment or one that has ended.
#[utoipa::path(
    tag = "permissions",
    params(("id" = String, Path, description = "The assignment's id.")),
    responses(
        (status = 204, description = "The assignment is gone."),
        RightProblems, NotFoundProblem, ConflictProblem,
    )
)]
#[delete("/api/v1/role-assignments/{id}")]
pub(super) async fn delete_role_assignment(
    allowed: Allowed<WriteAssignments>,
    service: web::Data<Service>,
    Path(id): Path<AssignmentId>,
) -> Result<HttpResponse, Problem> {
    service.remove_assignment(&allowed.user.caller, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
