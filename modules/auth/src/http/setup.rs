//! Making the first administrator.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, post, web};
use contracts::{EmailAddress, UserId};
use platform::http::{Anyone, BodyProblems, ConflictProblem, GoneProblem, Json, Problem, Problems};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Service;
use crate::model::Password;
use crate::service::SetUp;

/// Who becomes the first administrator.
#[derive(Deserialize, ToSchema)]
pub(super) struct SetupBody {
    /// What stands behind `#token=` in the link that was printed at the start.
    #[schema(example = "dws_jHk2mX0oS4uVb1Yc7tQfWnZp9Lr3Ae5Gd6Ih8Jk0Nm2")]
    token: String,
    /// The address to log in with.
    #[schema(format = Email, max_length = 254, example = "mia@example.org")]
    email: String,
    /// At least 8 characters (the operator may ask for more), at most 1024 bytes, and not one that everybody tries.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 1024)]
    password: Password,
}

/// The first administrator.
#[derive(Serialize, ToSchema)]
pub(super) struct SetupAnswer {
    /// Whose account it is.
    id: UserId,
    /// The address, in its normal form.
    email: EmailAddress,
}

/// Make the first administrator.
///
/// Anyone who has the token that was printed at the start may call it, once.
#[utoipa::path(
    tag = "auth",
    request_body = SetupBody,
    responses(
        (
            status = 201, description = "There is an administrator now.", body = SetupAnswer,
            headers(("Location" = String, description = "The administrator's profile."))
        ),
        GoneProblem,
        ConflictProblem,
        BodyProblems,
        Problems,
    )
)]
#[post("/api/v1/setup")]
pub(super) async fn set_up(
    Anyone(caller): Anyone,
    Json(body): Json<SetupBody>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let SetupBody { token, email, password } = body;
    let (id, email) = service.set_up(&caller, SetUp { token, email, password }).await?;
    let location = (LOCATION, format!("/api/v1/users/{id}"));
    Ok(HttpResponse::Created().insert_header(location).json(SetupAnswer { id, email }))
}
