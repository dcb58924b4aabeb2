//! `/access/v1/search/…`, as in the OpenID AuthZEN Authorization API 1.0, section 8: the questions the other way round.
//!
//! What can't be listed is said in `context`: that every thing of a type is meant, or every action.

use super::question::{Action, Entity, Properties, Question, read};
use crate::Service;
use crate::model::{Actions, Holder, Resources};
use actix_web::{post, web};
use contracts::permissions::{Evaluate, Subject};
use contracts::{Caller, Error, GroupId, UserId};
use platform::http::{Cursors, Json, Problem, RightProblems, User};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// How many results a page holds when nothing is said.
const USUAL: u32 = 50;

/// The most results of a page; who asks for more gets so many.
const MOST: u32 = 200;

/// Somebody or something of which the id is not looked at.
#[derive(Clone, Debug, Deserialize, ToSchema)]
struct Sort {
    /// Its type.
    #[serde(rename = "type")]
    kind: String,
    /// Not looked at.
    #[serde(default, rename = "id")]
    _id: Option<String>,
    /// Not looked at.
    #[serde(default, rename = "properties")]
    #[schema(value_type = Object)]
    _properties: Properties,
}

impl Sort {
    /// With an id that stands for nothing.
    fn entity(self) -> Entity {
        Entity { kind: self.kind, id: "-".to_owned(), properties: Properties::new() }
    }
}

/// Which page is wanted (AuthZEN 1.0 section 8.2.1).
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
struct PageRequest {
    /// The `next_token` of the page before.
    token: Option<String>,
    /// At most so many results, from 1; at most 200 are given, 50 when nothing is said.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Not looked at.
    #[serde(default, rename = "properties")]
    #[schema(value_type = Object)]
    _properties: Properties,
}

/// Who may do this here (AuthZEN 1.0 section 8.4)?
#[derive(Deserialize, ToSchema)]
struct SubjectSearchRequest {
    /// What type of subject: `user` or `group`.
    subject: Sort,
    /// What is wanted.
    action: Action,
    /// On what.
    resource: Entity,
    /// Not looked at.
    #[serde(default, rename = "context")]
    #[schema(value_type = Object)]
    _context: Properties,
    /// Which page.
    #[serde(default)]
    page: PageRequest,
}

/// What may he do this with (AuthZEN 1.0 section 8.5)?
#[derive(Deserialize, ToSchema)]
struct ResourceSearchRequest {
    /// Who.
    subject: Entity,
    /// What is wanted.
    action: Action,
    /// On what type of thing.
    resource: Sort,
    /// Not looked at.
    #[serde(default, rename = "context")]
    #[schema(value_type = Object)]
    _context: Properties,
    /// Which page.
    #[serde(default)]
    page: PageRequest,
}

/// What may he do here (AuthZEN 1.0 section 8.6)?
#[derive(Deserialize, ToSchema)]
struct ActionSearchRequest {
    /// Who.
    subject: Entity,
    /// On what.
    resource: Entity,
    /// Not looked at.
    #[serde(default, rename = "context")]
    #[schema(value_type = Object)]
    _context: Properties,
    /// Which page.
    #[serde(default)]
    page: PageRequest,
}

/// A search that could be read.
struct Search {
    ask: Evaluate,
    page: PageRequest,
    limit: usize,
}

impl Search {
    fn new(ask: Evaluate, page: PageRequest) -> Result<Self, Error> {
        if page.limit == Some(0) {
            let error = Error::invalid("platform.invalid_input", "The page is not good.");
            return Err(error.at("/page/limit", "invalid_value", "Must be at least 1."));
        }
        let limit = page.limit.unwrap_or(USUAL).min(MOST);
        Ok(Self { ask, page, limit: usize::try_from(limit).unwrap_or(usize::MAX) })
    }

    /// The search's name in tokens: a token is good for the same question only.
    fn list(&self, kind: &str) -> Result<String, Error> {
        Ok(format!("search/{kind} {}", serde_json::to_string(&self.ask).map_err(Error::internal)?))
    }

    /// Where to go on; at the beginning without a token or with an empty one.
    fn after<P: DeserializeOwned>(&self, cursors: &Cursors, kind: &str) -> Result<Option<P>, Error> {
        let token = self.page.token.as_deref().filter(|token| !token.is_empty());
        let list = self.list(kind)?;
        token.map(|token| cursors.decode(&list, token)).transpose()
    }
}

impl TryFrom<SubjectSearchRequest> for Search {
    type Error = Error;

    fn try_from(body: SubjectSearchRequest) -> Result<Self, Error> {
        Self::new(read(Some(&body.subject.entity()), Some(&body.action), Some(&body.resource))?, body.page)
    }
}

impl TryFrom<ResourceSearchRequest> for Search {
    type Error = Error;

    fn try_from(body: ResourceSearchRequest) -> Result<Self, Error> {
        Self::new(read(Some(&body.subject), Some(&body.action), Some(&body.resource.entity()))?, body.page)
    }
}

impl TryFrom<ActionSearchRequest> for Search {
    type Error = Error;

    fn try_from(body: ActionSearchRequest) -> Result<Self, Error> {
        let action = Action { name: "-".to_owned(), _properties: Properties::new() };
        Self::new(read(Some(&body.subject), Some(&action), Some(&body.resource))?, body.page)
    }
}

/// Whether there is more (AuthZEN 1.0 section 8.2.2).
#[derive(Serialize, ToSchema)]
#[schema(as = SearchPage)]
struct PageResponse {
    /// The `token` of the next page; empty on the last one.
    next_token: String,
    /// How many results this page has.
    count: usize,
}

/// A page of subjects, by id.
#[derive(Serialize, ToSchema)]
struct SubjectSearchResponse {
    /// The subjects.
    results: Vec<Subject>,
    /// Whether there is more.
    page: PageResponse,
}

/// A thing.
#[derive(Serialize, ToSchema)]
struct FoundResource {
    /// Its type.
    #[serde(rename = "type")]
    kind: String,
    /// Its id.
    id: String,
}

/// What can't be listed.
#[derive(Serialize, ToSchema)]
struct ResourceSearchContext {
    /// Whether it is allowed with every thing of the type. Listed are those on which a role was given that allows it.
    whole_type: bool,
    /// Whether it is allowed with all things that belong to the subject, whichever those are.
    own: bool,
}

/// A page of things, by id.
#[derive(Serialize, ToSchema)]
struct ResourceSearchResponse {
    /// The things that are known here.
    results: Vec<FoundResource>,
    /// What can't be listed.
    context: ResourceSearchContext,
    /// Whether there is more.
    page: PageResponse,
}

/// An action.
#[derive(Serialize, ToSchema)]
struct FoundAction {
    /// Its name.
    name: String,
}

/// What can't be listed.
#[derive(Serialize, ToSchema)]
struct ActionSearchContext {
    /// Whether every action is allowed. Listed are those that the subject's roles name, and for those who may ask about
    /// others all that some role names.
    every_action: bool,
}

/// A page of actions, by name.
#[derive(Serialize, ToSchema)]
struct ActionSearchResponse {
    /// The actions that have a name here.
    results: Vec<FoundAction>,
    /// What can't be listed.
    context: ActionSearchContext,
    /// Whether there is more.
    page: PageResponse,
}

/// The page of what was found when one more than fits was asked for.
fn paged<T: Clone + Serialize>(
    cursors: &Cursors,
    list: &str,
    limit: usize,
    mut found: Vec<T>,
) -> Result<(Vec<T>, PageResponse), Error> {
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| cursors.encode(list, last)).transpose()?;
    let page = PageResponse { next_token: next.unwrap_or_default(), count: found.len() };
    Ok((found, page))
}

/// The next of what is all at hand, one more than fits.
fn next(all: BTreeSet<String>, after: Option<&String>, limit: usize) -> Vec<String> {
    all.into_iter()
        .filter(|one| after.is_none_or(|after| one > after))
        .take(limit.saturating_add(1))
        .collect()
}

async fn subjects(
    service: &Service,
    caller: &Caller,
    cursors: &Cursors,
    search: &Search,
) -> Result<SubjectSearchResponse, Error> {
    let (list, one_more) = (search.list("subject")?, search.limit.saturating_add(1));
    let (results, page) = match search.ask.subject.subject_type.as_str() {
        "group" => {
            let after: Option<GroupId> = search.after(cursors, "subject")?;
            let found = service.search_groups(caller, &search.ask, after, one_more).await?;
            let (found, page) = paged(cursors, &list, search.limit, found)?;
            (found.into_iter().map(Holder::Group).collect(), page)
        }
        "user" => {
            let after: Option<UserId> = search.after(cursors, "subject")?;
            let found = service.search_users(caller, &search.ask, after, one_more).await?;
            let (found, page) = paged(cursors, &list, search.limit, found)?;
            (found.into_iter().map(Holder::User).collect(), page)
        }
        _ => {
            service.require(caller, "permissions", "evaluate").await?;
            (Vec::<Holder>::new(), PageResponse { next_token: String::new(), count: 0 })
        }
    };
    Ok(SubjectSearchResponse { results: results.into_iter().map(Holder::subject).collect(), page })
}

async fn things(
    service: &Service,
    caller: &Caller,
    cursors: &Cursors,
    search: &Search,
) -> Result<ResourceSearchResponse, Error> {
    let after = search.after(cursors, "resource")?;
    let Resources { ids, whole_type, own } = service.search_resources(caller, &search.ask).await?;
    let found = next(ids, after.as_ref(), search.limit);
    let (found, page) = paged(cursors, &search.list("resource")?, search.limit, found)?;
    let kind = &search.ask.resource_type;
    let results = found.into_iter().map(|id| FoundResource { kind: kind.clone(), id }).collect();
    Ok(ResourceSearchResponse { results, context: ResourceSearchContext { whole_type, own }, page })
}

async fn actions(
    service: &Service,
    caller: &Caller,
    cursors: &Cursors,
    search: &Search,
) -> Result<ActionSearchResponse, Error> {
    let after = search.after(cursors, "action")?;
    let Actions { names, every } = service.search_actions(caller, &search.ask).await?;
    let found = next(names, after.as_ref(), search.limit);
    let (found, page) = paged(cursors, &search.list("action")?, search.limit, found)?;
    let results = found.into_iter().map(|name| FoundAction { name }).collect();
    Ok(ActionSearchResponse { results, context: ActionSearchContext { every_action: every }, page })
}

/// Lists who may do an action on a resource (AuthZEN 1.0).
///
/// Complete: users who were given a role that allows it, themselves or through groups, and the owner that the asking
/// side names. For those with the right `permissions:evaluate`.
#[utoipa::path(
    tag = "permissions",
    request_body = SubjectSearchRequest,
    responses(
        (status = 200, description = "A page of subjects.", body = SubjectSearchResponse),
        RightProblems,
        (status = 413, description = "The body is too large.", body = inline(platform::http::ProblemBody<'static>), content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = inline(platform::http::ProblemBody<'static>), content_type = "application/problem+json"),
    )
)]
#[post("/access/v1/search/subject")]
pub(super) async fn search_subjects(
    user: User,
    service: web::Data<Service>,
    cursors: web::Data<Cursors>,
    search: Question<SubjectSearchRequest, Search>,
) -> Result<Json<SubjectSearchResponse>, Problem> {
    Ok(Json(subjects(&service, &user.caller, &cursors, &search.0).await?))
}

/// Lists the resources of a type that a subject may do an action on (AuthZEN 1.0).
///
/// Listed are those on which a role was given; that a whole type is meant, or whatever belongs to the subject, is said
/// in `context`. For everybody who is logged in, about himself; about others for those with the right
/// `permissions:evaluate`.
#[utoipa::path(
    tag = "permissions",
    request_body = ResourceSearchRequest,
    responses(
        (status = 200, description = "A page of resources.", body = ResourceSearchResponse),
        RightProblems,
        (status = 413, description = "The body is too large.", body = inline(platform::http::ProblemBody<'static>), content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = inline(platform::http::ProblemBody<'static>), content_type = "application/problem+json"),
    )
)]
#[post("/access/v1/search/resource")]
pub(super) async fn search_resources(
    user: User,
    service: web::Data<Service>,
    cursors: web::Data<Cursors>,
    search: Question<ResourceSearchRequest, Search>,
) -> Result<Json<ResourceSearchResponse>, Problem> {
    Ok(Json(things(&service, &user.caller, &cursors, &search.0).await?))
}

/// Lists the actions that a subject may do on a resource (AuthZEN 1.0).
///
/// Listed are those that the subject's roles name; that every action is allowed is said in `context`, and then those that
/// any role names are listed for whoever has the right `permissions:evaluate`. For everybody who is logged in, about
/// himself; about others for those with that right.
#[utoipa::path(
    tag = "permissions",
    request_body = ActionSearchRequest,
    responses(
        (status = 200, description = "A page of actions.", body = ActionSearchResponse),
        RightProblems,
        (status = 413, description = "The body is too large.", body = inline(platform::http::ProblemBody<'static>), content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = inline(platform::http::ProblemBody<'static>), content_type = "application/problem+json"),
    )
)]
#[post("/access/v1/search/action")]
pub(super) async fn search_actions(
    user: User,
    service: web::Data<Service>,
    cursors: web::Data<Cursors>,
    search: Question<ActionSearchRequest, Search>,
) -> Result<Json<ActionSearchResponse>, Problem> {
    Ok(Json(actions(&service, &user.caller, &cursors, &search.0).await?))
}
