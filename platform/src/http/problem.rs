//! Every refusal and failure as an answer: `application/problem+json` (RFC 9457) with a stable code.
//!
//! The body is written here without a request id; [`super::RequestContext`] adds it, and logs what the caller must
//! not see. Left out: the bodies other standards prescribe (OAuth 2.0, AuthZEN); their rooms write them themselves.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use contracts::{Error, Field, Kind};
use serde::Serialize;

/// The media type of every problem (RFC 9457 section 6.1).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// How to ask (RFC 6750 section 3): the scheme is followed by at least one parameter.
const CHALLENGE: &str = r#"Bearer realm="doorward""#;

/// The same to who showed a token that is not good.
const INVALID_TOKEN: &str = r#"Bearer realm="doorward", error="invalid_token""#;

const INTERNAL: &str = "Something went wrong on our side. It has been recorded.";

/// A refusal or failure on its way to the caller. Anything that becomes a [`contracts::Error`] becomes one by `?`.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    error: Error,
    allow: Option<String>,
    challenge: &'static str,
}

/// The body of a problem.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// Always `about:blank`: the code says which problem it is (RFC 9457 section 4.2.1).
    #[serde(rename = "type")]
    pub problem_type: &'static str,
    /// The status in words.
    pub title: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, for the person who reads it.
    pub detail: &'a str,
    /// What went wrong, for programs: a stable word such as `auth.invalid_credentials`.
    pub code: &'a str,
    /// The path that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<&'a str>,
    /// The id of this request, as in the `x-request-id` header and in the logs.
    pub request_id: &'a str,
    /// Every field that breaks a rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemField<'a>>,
}

/// One rule that one field breaks.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemField<'a> {
    /// Where: a JSON pointer into the body (RFC 6901), or `/` and the name of a query parameter.
    pub pointer: &'a str,
    /// Which rule, as a stable word.
    pub code: &'a str,
    /// The rule in a sentence.
    pub detail: &'a str,
}

impl Problem {
    fn new(status: StatusCode, error: Error) -> Self {
        Self(Box::new(Inner { status, error, allow: None, challenge: CHALLENGE }))
    }

    /// 400: the request can't be read at all.
    #[must_use]
    pub fn malformed(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Error::invalid(code, detail))
    }

    /// 400 with the parameters or fields that are to blame, where a standard says 400 and not 422.
    #[must_use]
    pub fn bad_request(error: Error) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// 412 (RFC 9110 section 13.1.1): somebody else changed it in between.
    #[must_use]
    pub fn precondition_failed() -> Self {
        precondition_failed().into()
    }

    /// 428 (RFC 6585 section 3): the change must say which state it is meant for.
    #[must_use]
    pub fn precondition_required() -> Self {
        let text = "Send If-Match with the ETag of what you read, so that no other change gets lost.";
        Self::new(StatusCode::PRECONDITION_REQUIRED, Error::invalid("platform.precondition_required", text))
    }

    /// 413: the body is larger than `limit` bytes.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        too_large(limit).into()
    }

    /// 415: the body is not of a kind that is read here.
    #[must_use]
    pub fn unsupported_media_type(expected: &str) -> Self {
        let error =
            Error::invalid("platform.unsupported_media_type", format!("The body must be {expected}."));
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
    }

    /// 404: nothing answers at this path.
    #[must_use]
    pub fn not_found() -> Self {
        Error::not_found("platform.not_found", "There is nothing here.").into()
    }

    /// 405 with the methods that are allowed, when they are known.
    #[must_use]
    pub fn method_not_allowed(allow: Option<String>) -> Self {
        let error = Error::invalid("platform.method_not_allowed", "This path does not answer this method.");
        let mut problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, error);
        problem.0.allow = Some(allow.unwrap_or_default());
        problem
    }

    /// 401 for a token that was presented and is not good (RFC 6750 section 3.1).
    #[must_use]
    pub(super) fn invalid_token() -> Self {
        let mut problem = Self::unauthenticated();
        problem.0.challenge = INVALID_TOKEN;
        problem
    }

    /// 401: nobody is logged in.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Error::unauthenticated("platform.unauthenticated", "Log in first.").into()
    }

    /// 408: the body took too long to arrive.
    #[must_use]
    pub(super) fn too_slow() -> Self {
        let error = Error::invalid("platform.request_timeout", "The body did not arrive in time.");
        Self::new(StatusCode::REQUEST_TIMEOUT, error)
    }

    /// A problem that another layer only knows by its status.
    #[must_use]
    pub(super) fn from_status(status: StatusCode) -> Self {
        let kind = if status.is_server_error() { Kind::Internal } else { Kind::Invalid };
        let code = match status {
            StatusCode::NOT_FOUND => "platform.not_found",
            StatusCode::METHOD_NOT_ALLOWED => "platform.method_not_allowed",
            StatusCode::PAYLOAD_TOO_LARGE => "platform.payload_too_large",
            StatusCode::REQUEST_TIMEOUT => "platform.request_timeout",
            status if status.is_server_error() => "platform.internal",
            _ => "platform.malformed_request",
        };
        Self::new(status, Error::new(kind, code, "The request could not be read."))
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable word of the answer.
    #[must_use]
    pub fn code(&self) -> &str {
        if self.is_ours() { "platform.internal" } else { &self.0.error.code }
    }

    /// What an operator should read; never part of the answer.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// Whether it is a mistake of ours, of which the caller is told nothing more than that.
    fn is_ours(&self) -> bool {
        self.0.error.kind == Kind::Internal
    }

    /// The answer, for the request with this id.
    #[must_use]
    pub(super) fn answer(&self, request_id: &str, instance: Option<&str>) -> HttpResponse {
        let mut builder = HttpResponseBuilder::new(self.0.status);
        builder.insert_header((header::CONTENT_TYPE, PROBLEM_JSON));
        if self.0.status == StatusCode::UNAUTHORIZED {
            builder.insert_header((header::WWW_AUTHENTICATE, self.0.challenge));
        }
        if let Some(seconds) = self.retry_after() {
            builder.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Some(allow) = &self.0.allow {
            builder.insert_header((header::ALLOW, allow.as_str()));
        }
        builder.body(serde_json::to_string(&self.body(request_id, instance)).unwrap_or_default())
    }

    /// The seconds after which the caller may try again.
    pub(super) fn retry_after(&self) -> Option<u32> {
        let waits = matches!(self.0.error.kind, Kind::Limited | Kind::Unavailable);
        self.0.error.retry_after.or(waits.then_some(1))
    }

    fn body<'a>(&'a self, request_id: &'a str, instance: Option<&'a str>) -> ProblemBody<'a> {
        let error = &self.0.error;
        ProblemBody {
            problem_type: "about:blank",
            title: self.0.status.canonical_reason().unwrap_or("Error"),
            status: self.0.status.as_u16(),
            detail: if self.is_ours() { INTERNAL } else { &error.message },
            code: self.code(),
            instance,
            request_id,
            errors: if self.is_ours() { Vec::new() } else { error.fields.iter().map(field).collect() },
        }
    }
}

fn field(field: &Field) -> ProblemField<'_> {
    ProblemField { pointer: &field.pointer, code: &field.code, detail: &field.message }
}

/// A lost update, for services: becomes 412.
#[must_use]
pub fn precondition_failed() -> Error {
    let text = "It was changed in between. Read it again, then repeat the change.";
    Error::conflict("platform.precondition_failed", text)
}

/// More than `limit` bytes, for services that know a tighter limit than the body's: becomes 413.
#[must_use]
pub fn too_large(limit: usize) -> Error {
    Error::invalid("platform.payload_too_large", format!("At most {limit} bytes are read here."))
}

/// The status of an error: that of its kind, except for the few of the platform's own words that HTTP tells apart.
fn status_of(error: &Error) -> StatusCode {
    match (error.kind, error.code.as_ref()) {
        (Kind::Conflict, "platform.precondition_failed") => StatusCode::PRECONDITION_FAILED,
        (Kind::Invalid, "platform.payload_too_large") => StatusCode::PAYLOAD_TOO_LARGE,
        (Kind::Invalid, "platform.invalid_cursor") => StatusCode::BAD_REQUEST,
        (Kind::Invalid, _) => StatusCode::UNPROCESSABLE_ENTITY,
        (Kind::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
        (Kind::Denied, _) => StatusCode::FORBIDDEN,
        (Kind::NotFound, _) => StatusCode::NOT_FOUND,
        (Kind::Conflict, _) => StatusCode::CONFLICT,
        (Kind::Gone, _) => StatusCode::GONE,
        (Kind::Limited, _) => StatusCode::TOO_MANY_REQUESTS,
        (Kind::Unavailable, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Kind::Internal, _) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl<E: Into<Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        let error = error.into();
        Self::new(status_of(&error), error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    /// The answer, with the problem itself beside it for [`super::RequestContext`] to complete.
    fn error_response(&self) -> HttpResponse {
        let mut response = self.answer("", None);
        response.extensions_mut().insert(self.clone());
        response
    }
}

/// The methods each path answers, taken from the OpenAPI document; makes a 405 say what is allowed
/// (RFC 9110 section 15.5.6). Give it to the application as `web::Data`.
#[derive(Debug, Default)]
pub struct Methods {
    known: std::collections::BTreeMap<String, String>,
    others: String,
}

impl Methods {
    /// Reads the document.
    #[must_use]
    pub fn of(document: &utoipa::openapi::OpenApi) -> Self {
        let known = document.paths.paths.iter().map(|(path, item)| (path.clone(), methods_of(item)));
        Self { known: known.collect(), others: String::new() }
    }

    /// The same, with what paths answer that are not in the document, such as `GET`.
    #[must_use]
    pub fn others(mut self, methods: &str) -> Self {
        methods.clone_into(&mut self.others);
        self
    }

    fn at(&self, path: &str) -> String {
        self.known.get(path).unwrap_or(&self.others).clone()
    }
}

fn methods_of(item: &utoipa::openapi::PathItem) -> String {
    let known = [
        ("GET", item.get.is_some()),
        ("POST", item.post.is_some()),
        ("PUT", item.put.is_some()),
        ("PATCH", item.patch.is_some()),
        ("DELETE", item.delete.is_some()),
        ("OPTIONS", item.options.is_some()),
        ("HEAD", item.head.is_some()),
    ];
    let there: Vec<&str> = known.into_iter().filter_map(|(name, there)| there.then_some(name)).collect();
    there.join(", ")
}

/// The default service: 405 for a path that answers other methods, else 404.
///
/// # Errors
/// Always.
pub async fn fallback(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let Some(pattern) = request.resource_map().match_pattern(request.path()) else {
        return Err(Problem::not_found());
    };
    let methods = request.app_data::<actix_web::web::Data<Methods>>();
    Err(Problem::method_not_allowed(methods.map(|methods| methods.at(&pattern))))
}
