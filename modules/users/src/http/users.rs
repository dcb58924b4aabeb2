//! `/api/v1/users` and `/api/v1/users/{id}`: for administrators.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, Responder, delete, get, patch, post, web};
use contracts::auth::AccountState;
use contracts::{Concealed, Error, UserId};
use platform::http::{
    Allowed, BodyProblems, ConflictProblem, Cursors, ETag, Gate, IdempotentJson, IfMatch, Limit, MergePatch,
    NotFoundProblem, Page, Path, Problem, Query, Right, RightProblems, StaleProblem, User,
};
use platform::idempotency::Answer;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::profile::{UserView, answer};
use crate::Service;
use crate::model::{Found, Listing, Object, Search, Sort};
use crate::service::{Me, NewUser};

platform::rights! {
    /// May see everybody.
    pub(super) ReadUsers = "users:read";
    /// May make, change, delete, restore and import users.
    pub(super) WriteUsers = "users:write";
}

/// Which users to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct UserQuery {
    /// At most so many.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: the `next_cursor` of the page before.
    cursor: Option<String>,
    /// Beginnings of words of a name or an address, all of which must be there: at most 8 words, 200 characters.
    #[param(value_type = Option<String>, max_length = 200, example = "zoe example.org")]
    q: Search,
    /// Only users in this state.
    #[param(inline)]
    state: Option<AccountState>,
    /// The order; `-` before a field turns it round.
    #[param(value_type = Option<String>, default = "-created_at", pattern = "^-?(created_at|email)$")]
    sort: Sort,
}

impl UserQuery {
    /// The list's name in cursors: a cursor is good for the same list only.
    fn list(&self) -> contracts::Result<String> {
        let same = serde_json::to_string(&(self.sort, self.state, &self.q)).map_err(Error::internal)?;
        Ok(format!("users {same}"))
    }

    fn listing(self, list: &str, cursors: &Cursors) -> contracts::Result<Listing> {
        let after = self.cursor.map(|cursor| cursors.decode(list, &cursor)).transpose()?;
        let limit = self.limit.get() as usize;
        Ok(Listing { sort: self.sort, state: self.state, search: self.q, after, limit })
    }
}

fn page(found: Found<Me>, list: &str, cursors: &Cursors) -> contracts::Result<Page<UserView>> {
    let next_cursor = found.next.map(|position| cursors.encode(list, &position)).transpose()?;
    Ok(Page { items: found.items.into_iter().map(UserView::from).collect(), next_cursor })
}

/// Lists users, those who registered last first.
///
/// Deleted users are listed until they are purged. A page of a search may hold fewer users than asked for, or none, and
/// still name the next one: go on until `next_cursor` is null. For those with the right `users:read`.
#[utoipa::path(
    tag = "users",
    params(UserQuery),
    responses(
        (status = 200, description = "A page of users.", body = Page<UserView>,
            headers(("Link" = String, description = "The next page, as `rel=\"next\"`, unless this is the last."))),
        RightProblems,
    )
)]
#[get("/api/v1/users")]
pub(super) async fn list_users(
    _: Allowed<ReadUsers>,
    service: web::Data<Service>,
    cursors: web::Data<Cursors>,
    Query(query): Query<UserQuery>,
) -> Result<impl Responder, Problem> {
    let list = query.list()?;
    let found = service.list_users(&query.listing(&list, &cursors)?).await?;
    Ok(page(found, &list, &cursors)?)
}

/// Somebody to be made.
#[derive(Deserialize, ToSchema)]
struct CreateUser {
    /// The login address.
    #[schema(max_length = 254, format = Email)]
    email: String,
    /// How the person is called: 1 to 200 characters in one line.
    display_name: Option<String>,
    /// A language tag (BCP 47); also the language of the invitation.
    locale: Option<String>,
    /// A password. Without one, the person chooses it by the link of the invitation or of a password reset.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Concealed>,
    /// Whether the person gets a message with a link, by which the address is proven and a password chosen.
    #[serde(default)]
    send_invitation: bool,
    /// `unverified`, `active` or `disabled`; without it `unverified` for who is invited, else `active`.
    #[schema(inline)]
    state: Option<AccountState>,
}

impl From<CreateUser> for NewUser {
    fn from(body: CreateUser) -> Self {
        Self {
            email: body.email,
            display_name: body.display_name,
            locale: body.locale,
            password: body.password,
            invite: body.send_invitation,
            state: body.state,
        }
    }
}

fn made(me: Me) -> contracts::Result<Answer> {
    let location = Some(format!("/api/v1/users/{}", me.account.id));
    let body = serde_json::to_value(UserView::from(me)).map_err(Error::internal)?;
    Ok(Answer { status: 201, location, body })
}

/// Makes a user.
///
/// For those with the right `users:write`.
#[utoipa::path(
    tag = "users",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = CreateUser,
    responses(
        (status = 201, description = "The user.", body = UserView,
            headers(("Location" = String, description = "Where the user is."))),
        RightProblems, BodyProblems, ConflictProblem,
    )
)]
#[post("/api/v1/users")]
pub(super) async fn create_user(
    allowed: Allowed<WriteUsers>,
    service: web::Data<Service>,
    body: IdempotentJson<CreateUser>,
) -> Result<Answer, Problem> {
    let caller = allowed.user.caller;
    let (body, key) = body.into_parts(&caller);
    Ok(service.create_user(&caller, key.as_ref(), body.into(), made).await?)
}

/// Tells who somebody is.
///
/// For those with the right `users:read`.
#[utoipa::path(
    tag = "users",
    params(("id" = String, Path, description = "The user's id.")),
    responses(
        (status = 200, description = "The account and the profile.", body = UserView,
            headers(("ETag" = String, description = "Names this state; send it as `If-Match` with a change."))),
        RightProblems, NotFoundProblem,
    )
)]
#[get("/api/v1/users/{id}")]
pub(super) async fn get_user(
    allowed: Allowed<ReadUsers>,
    service: web::Data<Service>,
    Path(id): Path<UserId>,
) -> Result<HttpResponse, Problem> {
    Ok(answer(service.find_user(&allowed.user.caller, id).await?))
}

/// What the caller of a change is shown of somebody.
#[derive(Clone, Copy)]
enum Shown {
    /// Everything.
    User,
    /// That it was done, and the name of the new state: who may write everybody need not see them.
    Nothing,
}

impl Shown {
    /// Asked before the change, so that nothing was done when it can't be answered.
    async fn to(gate: &Gate, user: &User) -> Result<Self, Problem> {
        match gate.permit(user, ReadUsers::NAME).await {
            Ok(()) => Ok(Self::User),
            Err(problem) if problem.status() == StatusCode::FORBIDDEN => Ok(Self::Nothing),
            Err(problem) => Err(problem),
        }
    }

    fn of(self, me: Me) -> HttpResponse {
        match self {
            Self::User => answer(me),
            Self::Nothing => HttpResponse::NoContent().insert_header(ETag::revision(me.revision())).finish(),
        }
    }
}

/// A patch of a user: only here for the document. It is read as any object, so that everything that is wrong with it
/// can be told at once.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only a schema")]
struct UserPatch {
    /// A new login address: it is unverified until its owner proves it, and the old one is told.
    email: Option<String>,
    /// `active` or `disabled`.
    state: Option<String>,
    /// How the person is called: 1 to 200 characters in one line.
    display_name: Option<String>,
    /// 1 to 200 characters in one line.
    given_name: Option<String>,
    /// 1 to 200 characters in one line.
    family_name: Option<String>,
    /// A telephone number as in E.164.
    phone: Option<String>,
    /// A language tag (BCP 47).
    locale: Option<String>,
    /// A name of the IANA time zone database.
    time_zone: Option<String>,
    /// Where a picture is.
    avatar_url: Option<String>,
    /// Free attributes, patched in the same way.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Object>,
}

/// Changes a user by a merge patch (RFC 7396): the profile, the address, the state.
///
/// For those with the right `users:write`; the changed user is shown to those who hold `users:read` as well. Nobody
/// changes his own address or state here: both would log him out. Of somebody who may do more than the caller, only
/// names are changed.
#[utoipa::path(
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-Match" = Option<String>, Header, description = "The state that the change is meant for."),
    ),
    request_body(content = UserPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The account and the profile, changed.", body = UserView,
            headers(("ETag" = String, description = "Names the new state."))),
        (status = 204, description = "Changed; the caller does not hold the right `users:read`.",
            headers(("ETag" = String, description = "Names the new state."))),
        RightProblems, BodyProblems, NotFoundProblem, ConflictProblem, StaleProblem,
    )
)]
#[patch("/api/v1/users/{id}")]
pub(super) async fn patch_user(
    allowed: Allowed<WriteUsers>,
    if_match: IfMatch,
    service: web::Data<Service>,
    gate: web::Data<Gate>,
    Path(id): Path<UserId>,
    MergePatch(patch): MergePatch<Object>,
) -> Result<HttpResponse, Problem> {
    let shown = Shown::to(&gate, &allowed.user).await?;
    Ok(shown.of(service.update_user(&allowed.user.caller, id, &patch, &if_match).await?))
}

/// Deletes a user: switched off at once everywhere, purged when the window to be restored is over.
///
/// For those with the right `users:write`. Nobody deletes himself here.
#[utoipa::path(
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-Match" = Option<String>, Header, description = "The state that is meant to go."),
    ),
    responses(
        (status = 204, description = "The user can do nothing any more."),
        RightProblems, NotFoundProblem, ConflictProblem, StaleProblem,
    )
)]
#[delete("/api/v1/users/{id}")]
pub(super) async fn delete_user(
    allowed: Allowed<WriteUsers>,
    if_match: IfMatch,
    service: web::Data<Service>,
    Path(id): Path<UserId>,
) -> Result<HttpResponse, Problem> {
    service.delete_user(&allowed.user.caller, id, &if_match).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Takes a deletion back: the user is active again, unverified when the address never was proven, or disabled when the
/// user was before the deletion.
///
/// For those with the right `users:write`; the user is shown to those who hold `users:read` as well.
#[utoipa::path(
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-Match" = Option<String>, Header, description = "The state that is meant to come back."),
    ),
    responses(
        (status = 200, description = "The account and the profile.", body = UserView,
            headers(("ETag" = String, description = "Names the new state."))),
        (status = 204, description = "Restored; the caller does not hold the right `users:read`.",
            headers(("ETag" = String, description = "Names the new state."))),
        RightProblems, NotFoundProblem, ConflictProblem, StaleProblem,
    )
)]
#[post("/api/v1/users/{id}/restore")]
pub(super) async fn restore_user(
    allowed: Allowed<WriteUsers>,
    if_match: IfMatch,
    service: web::Data<Service>,
    gate: web::Data<Gate>,
    Path(id): Path<UserId>,
) -> Result<HttpResponse, Problem> {
    let shown = Shown::to(&gate, &allowed.user).await?;
    Ok(shown.of(service.restore_user(&allowed.user.caller, id, &if_match).await?))
}
