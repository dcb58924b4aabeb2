//! `/openapi.json`, `/asyncapi.json` and `/docs`: what Doorward can do, for machines and for people. The page brings everything with it
//! and loads nothing from elsewhere.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpResponse, get};
use platform::http::Problem;
use utoipa_swagger_ui::Config;

/// The page needs its own scripts and pictures, and styles within elements; nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where they are, as they are mounted.
pub(crate) const PATHS: [&str; 4] = ["/openapi.json", "/asyncapi.json", "/docs", "/docs/{file:.*}"];

/// The documents, as they are served: made once for all workers.
#[derive(Clone)]
pub(crate) struct Documents {
    pub(crate) openapi: Arc<str>,
    pub(crate) asyncapi: Arc<str>,
}

/// The routes, which are not part of the document they show.
pub(crate) fn routes(routes: &mut ServiceConfig) {
    let page = Config::new(["/openapi.json"]).validator_url("none").try_it_out_enabled(true);
    routes
        .app_data(Data::new(Arc::new(page)))
        .service(openapi_json)
        .service(asyncapi_json)
        .service(docs_without_slash)
        .service(docs);
}

#[get("/openapi.json")]
async fn openapi_json(documents: Data<Documents>) -> HttpResponse {
    json(&documents.openapi)
}

#[get("/asyncapi.json")]
async fn asyncapi_json(documents: Data<Documents>) -> HttpResponse {
    json(&documents.asyncapi)
}

fn json(document: &Arc<str>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .content_type("application/json")
        .body(document.to_string())
}

#[get("/docs")]
async fn docs_without_slash() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

#[get("/docs/{file:.*}")]
async fn docs(file: Path<String>, config: Data<Arc<Config<'static>>>) -> Result<HttpResponse, Problem> {
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(&config))
        .map_err(|error| contracts::Error::internal(error.to_string()))?;
    let file = found.ok_or_else(Problem::not_found)?;
    let mut answer = HttpResponse::Ok();
    if file.gzpipped {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    Ok(answer
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .content_type(file.content_type)
        .body(file.bytes.into_owned()))
}
