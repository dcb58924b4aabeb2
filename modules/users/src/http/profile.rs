//! `/api/v1/users/me`.

use actix_web::{HttpResponse, get, patch, web};
use contracts::auth::AccountState;
use contracts::{EmailAddress, Time, UserId};
use platform::http::{
    BodyProblems, ETag, IfMatch, MergePatch, NotFoundProblem, Problem, StaleProblem, User, UserProblems,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Service;
use crate::model::Object;
use crate::service::Me;

/// Somebody, as he sees himself and as administrators see him.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserView {
    id: UserId,
    /// The login address.
    email: EmailAddress,
    /// Whether the address was proven.
    email_verified: bool,
    /// How the person is called.
    display_name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    /// A telephone number as in E.164; not proven.
    phone: Option<String>,
    /// A language tag (BCP 47).
    locale: Option<String>,
    /// A name of the IANA time zone database.
    time_zone: Option<String>,
    /// Where a picture is.
    avatar_url: Option<String>,
    /// Free attributes.
    #[schema(value_type = Object)]
    attributes: Object,
    /// What the account may do.
    state: AccountState,
    created_at: Time,
    /// When the account or the profile last changed.
    updated_at: Time,
}

impl From<Me> for UserView {
    fn from(me: Me) -> Self {
        let Me { account, profile } = me;
        Self {
            id: account.id,
            email: account.email,
            email_verified: account.email_verified,
            display_name: profile.display_name,
            given_name: profile.given_name,
            family_name: profile.family_name,
            phone: profile.phone,
            locale: profile.locale,
            time_zone: profile.time_zone,
            avatar_url: profile.avatar_url,
            attributes: profile.attributes,
            state: account.state,
            created_at: account.created_at,
            updated_at: account.updated_at.max(profile.updated_at),
        }
    }
}

/// A patch of a profile: only here for the document. It is read as any object, so that everything that is wrong with
/// it can be told at once.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only a schema")]
struct ProfilePatch {
    /// How the person is called: 1 to 200 characters in one line.
    #[schema(min_length = 1, max_length = 200)]
    display_name: Option<String>,
    /// 1 to 200 characters in one line.
    #[schema(min_length = 1, max_length = 200)]
    given_name: Option<String>,
    /// 1 to 200 characters in one line.
    #[schema(min_length = 1, max_length = 200)]
    family_name: Option<String>,
    /// A telephone number as in E.164.
    #[schema(example = "+436601234567")]
    phone: Option<String>,
    /// A language tag (BCP 47).
    #[schema(max_length = 35, example = "de-AT")]
    locale: Option<String>,
    /// A name of the IANA time zone database.
    #[schema(example = "Europe/Vienna")]
    time_zone: Option<String>,
    /// Where a picture is: https.
    #[schema(format = "uri", max_length = 2048)]
    avatar_url: Option<String>,
    /// Free attributes, patched in the same way; at most 16 KiB and 8 levels all together.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Object>,
}

pub(super) fn answer(me: Me) -> HttpResponse {
    HttpResponse::Ok().insert_header(ETag::revision(me.revision())).json(UserView::from(me))
}

/// Tells who one is.
///
/// For anybody who is logged in.
#[utoipa::path(
    tag = "users",
    responses(
        (status = 200, description = "The account and the profile.", body = UserView,
            headers(("ETag" = String, description = "Names this state; send it as `If-Match` with a change."))),
        UserProblems, NotFoundProblem,
    )
)]
#[get("/api/v1/users/me")]
pub(super) async fn get_me(user: User, service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    Ok(answer(service.read_profile(&user.caller, user.id).await?))
}

/// Changes one's own profile by a merge patch (RFC 7396): what is absent stays, null takes away.
///
/// For anybody who is logged in.
#[utoipa::path(
    tag = "users",
    params(("If-Match" = Option<String>, Header, description = "The state that the change is meant for.")),
    request_body(content = ProfilePatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The account and the profile, changed.", body = UserView,
            headers(("ETag" = String, description = "Names the new state."))),
        UserProblems, BodyProblems, NotFoundProblem, StaleProblem,
    )
)]
#[patch("/api/v1/users/me")]
pub(super) async fn patch_me(
    user: User,
    if_match: IfMatch,
    service: web::Data<Service>,
    MergePatch(patch): MergePatch<Object>,
) -> Result<HttpResponse, Problem> {
    Ok(answer(service.update_profile(&user.caller, user.id, &patch, &if_match).await?))
}
