//! `/api/v1/users/imports` and `/api/v1/users/exports`: many users at once, for administrators.

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, Responder, get, post, web};
use contracts::{Error, Time};
use futures_util::{Stream, TryStreamExt};
use platform::http::{
    Allowed, BodyProblems, ConflictProblem, Cursors, Interrupted, Json, Limit, NotFoundProblem, Page,
    PageQuery, Path, Problem, Query, RightProblems, Upload,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::users::WriteUsers;
use crate::Service;
use crate::model::{ERRORS, Import, ImportFormat, ImportId, RowError};
use crate::service::Importing;

platform::rights! {
    /// May take a copy of everybody.
    pub(super) ExportUsers = "users:export";
}

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RowFormat {
    /// A JSON object a line.
    #[default]
    Ndjson,
    /// Comma-separated values (RFC 4180), with a header.
    Csv,
}

impl From<RowFormat> for ImportFormat {
    fn from(format: RowFormat) -> Self {
        match format {
            RowFormat::Ndjson => Self::Ndjson,
            RowFormat::Csv => Self::Csv,
        }
    }
}

impl From<ImportFormat> for RowFormat {
    fn from(format: ImportFormat) -> Self {
        match format {
            ImportFormat::Ndjson => Self::Ndjson,
            ImportFormat::Csv => Self::Csv,
        }
    }
}

impl RowFormat {
    const fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Ndjson => ("application/x-ndjson", "attachment; filename=\"users.ndjson\""),
            Self::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"users.csv\""),
        }
    }

    /// The format that a body says it has.
    fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let one = request.headers().get_all(header::CONTENT_TYPE).count() == 1;
        let plain = request.headers().get_all(header::CONTENT_ENCODING).all(|value| value == "identity");
        let kind = request.mime_type().ok().flatten().filter(|_| one && plain);
        match kind.as_ref().map(|kind| kind.essence_str()) {
            Some("application/x-ndjson") => Ok(Self::Ndjson),
            Some("text/csv") => Ok(Self::Csv),
            _ => Err(Problem::unsupported_media_type("application/x-ndjson or text/csv in UTF-8")),
        }
    }
}

/// What became of an import.
#[derive(Serialize, ToSchema)]
#[schema(as = UserImport)]
struct ImportView {
    #[schema(value_type = String, format = Uuid)]
    id: ImportId,
    /// Nothing was changed, only said what would happen.
    dry_run: bool,
    format: RowFormat,
    /// Rows that were looked at.
    rows: i64,
    /// Users that were made.
    created: i64,
    /// Users that were there already, of whom only was added what their profile did not say; nothing to those who may do
    /// more than the caller.
    present: i64,
    /// Rows that were not taken over.
    refused: i64,
    /// Why: the first 100 broken rules.
    errors: Vec<RowError>,
    /// Whether there may be more than these.
    errors_cut: bool,
    /// Whether all rows were looked at; if not, send the same file again with `resume`.
    finished: bool,
    started_at: Time,
    updated_at: Time,
}

impl From<Import> for ImportView {
    fn from(import: Import) -> Self {
        Self {
            id: import.id,
            dry_run: import.dry_run,
            format: import.format.into(),
            rows: import.rows,
            created: import.created,
            present: import.present,
            refused: import.refused,
            errors_cut: import.errors.len() >= ERRORS,
            errors: import.errors,
            finished: import.finished_at.is_some(),
            started_at: import.started_at,
            updated_at: import.updated_at,
        }
    }
}

/// How to import.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct ImportQuery {
    /// Only say what would happen. Addresses that are in a file twice are noticed among 200 rows only.
    dry_run: bool,
    /// The id of an import that was interrupted, to go on with it: the file must be the same.
    #[param(value_type = Option<String>, format = Uuid)]
    resume: Option<ImportId>,
}

fn importing(request: &HttpRequest, query: &ImportQuery) -> Result<Importing, Problem> {
    let format = RowFormat::of(request)?.into();
    Ok(Importing { format, dry_run: query.dry_run, resume: query.resume })
}

const MALFORMED: &str = "platform.malformed_body";

fn pieces(body: Upload) -> impl Stream<Item = contracts::Result<Bytes>> + Unpin {
    let ended = "The body ended before it was complete, or nothing came for too long. What was taken until then stays; send \
                 it again with resume.";
    body.pieces().map_err(move |Interrupted| Error::invalid(MALFORMED, ended))
}

/// A body that can't be read is 400, as everywhere; one that breaks a rule is not.
fn refused(error: Error) -> Problem {
    if error.code == MALFORMED { Problem::bad_request(error) } else { error.into() }
}

/// Imports users: a body of any length, a row for each.
///
/// Rows have `email`, and may have `id`, `email_verified`, `state`, `display_name`, `given_name`, `family_name`,
/// `phone`, `locale`, `time_zone`, `avatar_url`, `attributes`, `created_at`, and `password` or `password_hash`. A row that
/// breaks a rule is told and left out; the others are taken over. For those with the right `users:write`.
#[utoipa::path(
    tag = "users",
    params(ImportQuery),
    request_body(
        content((String = "application/x-ndjson"), (String = "text/csv")),
        description = "A JSON object a line, or comma-separated values with a header."
    ),
    responses(
        (status = 200, description = "What became of the rows.", body = ImportView),
        RightProblems, BodyProblems, NotFoundProblem, ConflictProblem,
    )
)]
#[post("/api/v1/users/imports")]
pub(super) async fn create_import(
    allowed: Allowed<WriteUsers>,
    service: web::Data<Service>,
    Query(query): Query<ImportQuery>,
    request: HttpRequest,
    body: Upload,
) -> Result<Json<ImportView>, Problem> {
    let ask = importing(&request, &query)?;
    let imported = service.import_users(&allowed.user.caller, ask, pieces(body)).await;
    Ok(Json(imported.map_err(|error| refused(error.into()))?.into()))
}

const LIST: &str = "users-imports";

/// Lists imports, the newest first.
///
/// For those with the right `users:write`.
#[utoipa::path(
    tag = "users",
    params(PageQuery),
    responses((status = 200, description = "A page of imports.", body = Page<ImportView>), RightProblems)
)]
#[get("/api/v1/users/imports")]
pub(super) async fn list_imports(
    _: Allowed<WriteUsers>,
    service: web::Data<Service>,
    cursors: web::Data<Cursors>,
    Query(query): Query<PageQuery>,
) -> Result<impl Responder, Problem> {
    let after = query.cursor.map(|cursor| cursors.decode(LIST, &cursor)).transpose()?;
    let found = service.list_imports(after, i64::from(query.limit) + 1).await?;
    Ok(page(found, query.limit, &cursors)?)
}

fn page(mut found: Vec<Import>, limit: Limit, cursors: &Cursors) -> contracts::Result<Page<ImportView>> {
    let more = found.len() > limit.get() as usize;
    found.truncate(limit.get() as usize);
    let last = found.last().filter(|_| more).map(|import| import.id);
    let next_cursor = last.map(|id| cursors.encode(LIST, &id)).transpose()?;
    Ok(Page { items: found.into_iter().map(ImportView::from).collect(), next_cursor })
}

/// Tells what became of an import.
///
/// For those with the right `users:write`.
#[utoipa::path(
    tag = "users",
    params(("id" = String, Path, description = "The import's id.")),
    responses((status = 200, description = "The report.", body = ImportView), RightProblems, NotFoundProblem)
)]
#[get("/api/v1/users/imports/{id}")]
pub(super) async fn get_import(
    _: Allowed<WriteUsers>,
    service: web::Data<Service>,
    Path(id): Path<ImportId>,
) -> Result<Json<ImportView>, Problem> {
    Ok(Json(service.get_import(id).await?.into()))
}

/// How to export.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct ExportQuery {
    /// How rows are written.
    #[param(inline)]
    format: RowFormat,
}

/// Exports all users that are not deleted, without their passwords, as an import takes them.
///
/// In a CSV, cells that a spreadsheet would take for a formula begin with an apostrophe, which an import takes away
/// again. For those with the right `users:export`.
#[utoipa::path(
    tag = "users",
    params(ExportQuery),
    responses(
        (status = 200, description = "A row for each user.",
            content((String = "application/x-ndjson"), (String = "text/csv"))),
        RightProblems,
    )
)]
#[get("/api/v1/users/exports")]
pub(super) async fn export_users(
    allowed: Allowed<ExportUsers>,
    service: web::Data<Service>,
    Query(query): Query<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    let rows = service.into_inner().export_users(&allowed.user.caller, query.format.into()).await?;
    let (kind, name) = query.format.media_type();
    let rows = rows.map_ok(Bytes::from);
    let (content, disposition) = ((header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name));
    let mut answer = HttpResponse::Ok();
    answer.insert_header(content).insert_header(disposition);
    Ok(answer.streaming(Box::pin(rows)))
}
