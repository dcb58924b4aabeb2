//! What surrounds every request: its id and trace, one line in the log, two metrics, the security headers, and a
//! wall around panics.
//!
//! It is the outermost layer, so that whatever goes wrong inside still leaves as a problem with an id. Left out:
//! who is asking (`identity`), and anything that only one listener needs.

use std::any::Any;
use std::future::{Future, Ready, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::error::InternalError;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse};
use futures_util::FutureExt;
use tracing::Instrument;

use super::headers;
use super::limited;
use super::problem::Problem;
use super::route::route_of;
use super::trace::{request_id, traceparent};
use crate::metrics;

/// The ids of the request being served.
#[derive(Clone, Debug)]
pub(super) struct RequestIds {
    /// A UUIDv7, or what the client named its request.
    pub(super) request_id: Rc<str>,
    /// Our place in the trace (W3C Trace Context).
    pub(super) traceparent: Rc<str>,
}

impl RequestIds {
    pub(super) fn of(request: &HttpRequest) -> Self {
        if let Some(ids) = request.extensions().get::<Self>() {
            return ids.clone();
        }
        Self::read(request.headers())
    }

    fn read(headers: &header::HeaderMap) -> Self {
        Self { request_id: request_id(headers).into(), traceparent: traceparent(headers).into() }
    }
}

/// The middleware. Wrap the whole application in it, outermost.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestContext;

impl<S, B> Transform<S, ServiceRequest> for RequestContext
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = InContext<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(InContext { service: Rc::new(service) }))
    }
}

/// The middleware around one worker's application.
#[derive(Debug)]
pub struct InContext<S> {
    service: Rc<S>,
}

/// What is known of a request before it is answered.
struct Arrived {
    ids: RequestIds,
    method: &'static str,
    at: Instant,
}

impl<S, B> Service<ServiceRequest> for InContext<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let ids = RequestIds::read(request.headers());
        let arrived = Arrived { ids, method: method_name(request.method()), at: Instant::now() };
        request.extensions_mut().insert(arrived.ids.clone());
        let service = Rc::clone(&self.service);
        let span = tracing::info_span!("request", request.id = %arrived.ids.request_id);
        Box::pin(
            async move {
                let served =
                    AssertUnwindSafe(async move { service.call(request).await }).catch_unwind().await;
                arrived.answer(served)
            }
            .instrument(span),
        )
    }
}

impl Arrived {
    fn answer<B: MessageBody + 'static>(
        &self,
        served: Result<Result<ServiceResponse<B>, Error>, Box<dyn Any + Send>>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        match served {
            Ok(Ok(response)) => {
                let (request, response) = response.map_into_boxed_body().into_parts();
                let response = self.complete(response, Some(&request));
                Ok(ServiceResponse::new(request, response))
            }
            // The request is gone with the layer that failed: the answer leaves as an error that carries it.
            Ok(Err(error)) => Err(self.as_error(error.as_response_error().error_response())),
            Err(_panic) => {
                // The panic hook has told where; its message may hold what no log should.
                tracing::error!("A request ended in a panic.");
                let problem = Problem::from_status(StatusCode::INTERNAL_SERVER_ERROR);
                Err(self.as_error(problem.answer(&self.ids.request_id, None)))
            }
        }
    }

    fn as_error(&self, response: HttpResponse) -> Error {
        InternalError::from_response("failed outside of a handler", self.complete(response, None)).into()
    }

    /// Writes what only this layer knows, and tells the log and the metrics.
    fn complete(&self, response: HttpResponse, request: Option<&HttpRequest>) -> HttpResponse {
        let problem = problem_in(&response);
        let mut response = self.with_ids(response, problem.as_ref(), request);
        limited::tell(request, problem.as_ref(), response.headers_mut());
        headers::secure(response.headers_mut());
        if let Ok(value) = header::HeaderValue::from_str(&self.ids.request_id) {
            response.headers_mut().insert(header::HeaderName::from_static("x-request-id"), value);
        }
        self.record(response.status(), request.and_then(route_of).as_deref());
        response
    }

    fn with_ids(
        &self,
        response: HttpResponse,
        problem: Option<&Problem>,
        request: Option<&HttpRequest>,
    ) -> HttpResponse {
        let Some(problem) = problem else { return response };
        tell(problem);
        let mut answer = problem.answer(&self.ids.request_id, request.map(HttpRequest::path));
        for (name, value) in response.headers() {
            if !answer.headers().contains_key(name) && name != header::CONTENT_LENGTH {
                answer.headers_mut().append(name.clone(), value.clone());
            }
        }
        answer
    }

    fn record(&self, status: StatusCode, route: Option<&str>) {
        let took = self.at.elapsed();
        let route = route.unwrap_or("unmatched");
        let (method, request_id) = (self.method, &*self.ids.request_id);
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let status = status.as_u16();
        if matches!(route, "/livez" | "/readyz" | "/metrics") {
            tracing::debug!(request_id, method, route, status, duration_ms, "{method} {route} {status}");
        } else {
            tracing::info!(request_id, method, route, status, duration_ms, "{method} {route} {status}");
        }
        metrics::http_request(method, route, status, took);
    }
}

/// The problem that an answer stands for: ours, or one of the framework's plain-text errors.
fn problem_in(response: &HttpResponse) -> Option<Problem> {
    if let Some(problem) = response.extensions().get::<Problem>() {
        return Some(problem.clone());
    }
    response.error()?;
    let kind = response.headers().get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
    let plain = kind.is_none_or(|kind| kind.starts_with(b"text/plain"));
    plain.then(|| Problem::from_status(response.status()))
}

/// Tells the operator what the caller is not told. This is the one place where an error is logged.
fn tell(problem: &Problem) {
    let error = problem.error();
    let code = error.code.as_ref();
    match error.kind {
        contracts::Kind::Internal => {
            tracing::error!(code, cause = causes(error), "A request failed: {code}.");
        }
        contracts::Kind::Unavailable => {
            tracing::warn!(code, cause = causes(error), "A request could not be served: {code}.");
        }
        _ => tracing::debug!(code, "A request was refused: {code}."),
    }
}

fn causes(error: &contracts::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A method's name from a closed list, so that a client can't invent metric labels.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
