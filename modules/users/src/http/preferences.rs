//! `/api/v1/users/me/preferences`.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, Responder, delete, get, patch, put, web};
use platform::http::{
    BodyProblems, ConflictProblem, ETag, IfMatch, Json, MergePatch, NotFoundProblem, Path, Problem,
    StaleProblem, User, UserProblems,
};

use crate::Service;
use crate::model::{Namespace, Object, Preference};

fn answer(status: StatusCode, preference: Preference) -> HttpResponse {
    HttpResponse::build(status).insert_header(ETag::revision(preference.revision)).json(preference.value)
}

/// Tells all of one's own preferences, by namespace.
///
/// For anybody who is logged in.
#[utoipa::path(
    tag = "users",
    responses((status = 200, description = "An object for each namespace.", body = Object), UserProblems)
)]
#[get("/api/v1/users/me/preferences")]
pub(super) async fn list_preferences(
    user: User,
    service: web::Data<Service>,
) -> Result<impl Responder, Problem> {
    Ok(Json::<_>(service.list_preferences(user.id).await?))
}

/// Tells one's own preferences of a namespace.
///
/// For anybody who is logged in.
#[utoipa::path(
    tag = "users",
    params(("namespace" = String, Path, description = "A word such as `editor`.", pattern = "^[a-z][a-z0-9_.-]{0,62}$")),
    responses(
        (status = 200, description = "The preferences.", body = Object,
            headers(("ETag" = String, description = "Names this state."))),
        UserProblems, NotFoundProblem,
    )
)]
#[get("/api/v1/users/me/preferences/{namespace}")]
pub(super) async fn get_preference(
    user: User,
    service: web::Data<Service>,
    Path(namespace): Path<Namespace>,
) -> Result<HttpResponse, Problem> {
    Ok(answer(StatusCode::OK, service.get_preference(user.id, &namespace).await?))
}

/// Replaces one's own preferences of a namespace: a JSON object of at most 16 KiB.
///
/// What changes nothing leaves the entity tag as it is. For anybody who is logged in.
#[utoipa::path(
    tag = "users",
    params(
        ("namespace" = String, Path, description = "A word such as `editor`.", pattern = "^[a-z][a-z0-9_.-]{0,62}$"),
        ("If-Match" = Option<String>, Header, description = "The state that the change is meant for."),
    ),
    request_body = Object,
    responses(
        (status = 200, description = "The preferences, replaced.", body = Object,
            headers(("ETag" = String, description = "Names the new state."))),
        (status = 201, description = "The preferences of a new namespace.", body = Object,
            headers(("ETag" = String, description = "Names the new state."))),
        UserProblems, BodyProblems, NotFoundProblem, ConflictProblem, StaleProblem,
    )
)]
#[put("/api/v1/users/me/preferences/{namespace}")]
pub(super) async fn put_preference(
    user: User,
    if_match: IfMatch,
    service: web::Data<Service>,
    Path(namespace): Path<String>,
    Json(value): Json<Object>,
) -> Result<HttpResponse, Problem> {
    let namespace = Namespace::chosen(&namespace)?;
    let written = service.put_preference(&user.caller, user.id, &namespace, &value, &if_match).await?;
    let status = [StatusCode::OK, StatusCode::CREATED].into_iter().nth(usize::from(written.created));
    Ok(answer(status.unwrap_or(StatusCode::OK), written.preference))
}

/// Changes one's own preferences of a namespace by a merge patch (RFC 7396).
///
/// For anybody who is logged in.
#[utoipa::path(
    tag = "users",
    params(
        ("namespace" = String, Path, description = "A word such as `editor`.", pattern = "^[a-z][a-z0-9_.-]{0,62}$"),
        ("If-Match" = Option<String>, Header, description = "The state that the change is meant for."),
    ),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The preferences, changed.", body = Object,
            headers(("ETag" = String, description = "Names the new state."))),
        UserProblems, BodyProblems, NotFoundProblem, StaleProblem,
    )
)]
#[patch("/api/v1/users/me/preferences/{namespace}")]
pub(super) async fn patch_preference(
    user: User,
    if_match: IfMatch,
    service: web::Data<Service>,
    Path(namespace): Path<Namespace>,
    MergePatch(patch): MergePatch<Object>,
) -> Result<HttpResponse, Problem> {
    let written = service.patch_preference(&user.caller, user.id, &namespace, &patch, &if_match).await?;
    Ok(answer(StatusCode::OK, written.preference))
}

/// Removes one's own preferences of a namespace.
///
/// For anybody who is logged in.
#[utoipa::path(
    tag = "users",
    params(
        ("namespace" = String, Path, description = "A word such as `editor`.", pattern = "^[a-z][a-z0-9_.-]{0,62}$"),
        ("If-Match" = Option<String>, Header, description = "The state that is meant to go."),
    ),
    responses(
        (status = 204, description = "The namespace is gone."),
        UserProblems, NotFoundProblem, StaleProblem,
    )
)]
#[delete("/api/v1/users/me/preferences/{namespace}")]
pub(super) async fn delete_preference(
    user: User,
    if_match: IfMatch,
    service: web::Data<Service>,
    Path(namespace): Path<Namespace>,
) -> Result<HttpResponse, Problem> {
    service.delete_preference(&user.caller, user.id, &namespace, &if_match).await?;
    Ok(HttpResponse::NoContent().finish())
}
