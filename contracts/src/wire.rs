//! One list of methods becomes three things: the trait that modules ask through, the client that speaks it over
//! HTTP, and the routes that answer such a client.
//!
//! The discipline that makes a contract remote-capable is in the shape the macro demands: one argument struct, one
//! answer, one error type, all serialisable. The caller and the trace travel in headers. What is left out here: who
//! may reach the internal routes; that is decided where they are mounted.

#[cfg(feature = "remote")]
use std::time::Duration;

#[cfg(any(feature = "remote", feature = "serve"))]
use crate::Caller;
#[cfg(feature = "remote")]
use crate::{Error, Result};

/// The header that says who is asking: a [`Caller`] as JSON.
pub const CALLER_HEADER: &str = "doorward-caller";

/// A far-away module: where it is, and the HTTP client that reaches it.
#[cfg(feature = "remote")]
#[derive(Clone, Debug)]
pub struct Peer {
    base: String,
    client: reqwest::Client,
    deadline: Duration,
}

#[cfg(feature = "remote")]
impl Peer {
    /// The module that answers at `base` (such as `http://users.internal:9090`); an ask that takes longer than
    /// `deadline` is given up.
    #[must_use]
    pub fn new(base: impl Into<String>, client: reqwest::Client, deadline: Duration) -> Self {
        Self { base: base.into(), client, deadline }
    }

    /// Asks. Whatever goes wrong on the way is [`crate::Kind::Unavailable`]; what the other side says itself is
    /// handed on as it is.
    ///
    /// # Errors
    /// The answer's own error, or `platform.peer_unavailable`.
    pub async fn ask<Q: serde::Serialize + Sync, A: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        caller: &Caller,
        ask: &Q,
    ) -> Result<A> {
        let gone = |cause: reqwest::Error| {
            Error::unavailable(
                "platform.peer_unavailable",
                "A part of the service does not answer right now.",
            )
            .caused_by(cause.without_url())
            .retry_after(1)
        };
        let caller_json = serde_json::to_string(caller).map_err(Error::internal)?;
        let mut request = self
            .client
            .post(format!("{}/internal/{path}", self.base))
            .header(CALLER_HEADER, ascii(&caller_json))
            .timeout(self.deadline)
            .json(ask);
        if let Some(trace) = &caller.traceparent {
            request = request.header("traceparent", trace);
        }
        let response = request.send().await.map_err(gone)?;
        if response.status().is_success() {
            return response.json().await.map_err(gone);
        }
        Err(response.json::<Error>().await.map_err(gone)?)
    }
}

/// JSON in a header must be ASCII: everything beyond is written as `\u` escapes, which JSON reads back.
#[cfg(feature = "remote")]
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

/// The serving half: reads the caller, runs the ask, writes the answer or the error.
#[cfg(feature = "serve")]
pub mod serve {
    use actix_web::http::StatusCode;
    use actix_web::{HttpRequest, HttpResponse};

    use super::{CALLER_HEADER, Caller};
    use crate::{Error, Kind, Result};

    /// Who asks, as the asking module says.
    ///
    /// # Errors
    /// `platform.caller_missing` when the header is absent or unreadable: absent means refuse.
    pub fn caller(request: &HttpRequest) -> Result<Caller> {
        request
            .headers()
            .get(CALLER_HEADER)
            .and_then(|value| serde_json::from_slice(value.as_bytes()).ok())
            .ok_or_else(|| Error::unauthenticated("platform.caller_missing", "The caller header is missing."))
    }

    /// The answer, or the error in its own words.
    #[must_use]
    pub fn answer<A: serde::Serialize>(answer: Result<A>) -> HttpResponse {
        match answer {
            Ok(answer) => HttpResponse::Ok().json(answer),
            Err(error) => HttpResponse::build(status(error.kind)).json(error),
        }
    }

    /// The status that belongs to a kind of error (RFC 9110 section 15).
    #[must_use]
    pub const fn status(kind: Kind) -> StatusCode {
        match kind {
            Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::Denied => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Gone => StatusCode::GONE,
            Kind::Limited => StatusCode::TOO_MANY_REQUESTS,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Declares a contract: `"path" Trait / Client / routes { method(Ask) -> Answer; … }`.
macro_rules! contract {
    (
        $(#[$trait_doc:meta])*
        $base:literal $Trait:ident / $Client:ident / $routes:ident {
            $($(#[$method_doc:meta])* $method:ident($Ask:ty) -> $Answer:ty;)*
        }
    ) => {
        $(#[$trait_doc])*
        #[async_trait::async_trait]
        pub trait $Trait: Send + Sync + 'static {
            $($(#[$method_doc])* async fn $method(&self, caller: &$crate::Caller, ask: $Ask) -> $crate::Result<$Answer>;)*
        }

        /// The same contract, spoken over HTTP to a module that lives elsewhere.
        #[cfg(feature = "remote")]
        #[derive(Clone, Debug)]
        pub struct $Client(pub $crate::wire::Peer);

        #[cfg(feature = "remote")]
        #[async_trait::async_trait]
        impl $Trait for $Client {
            $(async fn $method(&self, caller: &$crate::Caller, ask: $Ask) -> $crate::Result<$Answer> {
                self.0.ask(concat!($base, "/", stringify!($method)), caller, &ask).await
            })*
        }

        /// Internal routes (`/internal/…`) that let far-away modules ask any implementation of the contract.
        #[cfg(feature = "serve")]
        pub fn $routes(near: std::sync::Arc<dyn $Trait>) -> actix_web::Scope {
            use actix_web::{HttpRequest, web};
            use $crate::wire::serve;
            actix_web::web::scope(concat!("/internal/", $base))
                .app_data(web::Data::from(near))
                $(.route(
                    concat!("/", stringify!($method)),
                    web::post().to(
                        |near: web::Data<dyn $Trait>, ask: web::Json<$Ask>, request: HttpRequest| async move {
                            match serve::caller(&request) {
                                Ok(caller) => serve::answer(near.$method(&caller, ask.into_inner()).await),
                                Err(error) => serve::answer::<$Answer>(Err(error)),
                            }
                        },
                    ),
                ))*
        }
    };
}
pub(crate) use contract;
