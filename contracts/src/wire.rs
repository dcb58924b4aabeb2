//! One list of methods becomes three things: the trait that modules ask through, the client that speaks it to a module
//! elsewhere, and the routes that answer such a client.
//!
//! The discipline that makes a contract remote-capable is in the shape the macro demands: one argument struct, one
//! answer, one error type, all serialisable, whether it may be asked twice, and who may ask. What is left out here: the
//! way to the other side, which is a [`Line`], and how it is found out who asks; that is decided where routes are
//! mounted.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Caller, Error, Module, Result};

/// The header that says on whose behalf is asked: a [`Caller`] as JSON.
pub const CALLER_HEADER: &str = "doorward-caller";

/// The header that says for how many milliseconds the asking side still waits.
pub const DEADLINE_HEADER: &str = "doorward-deadline-ms";

/// How an ask may be treated on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Asking twice is the same as asking once.
    Repeatable,
    /// Must not be asked again when it is not known what became of it.
    Once,
    /// The same, and it may take long, because it works through many things or hashes passwords.
    Long,
}

/// One method of a contract.
#[derive(Debug)]
pub struct Method {
    /// Contract and method, such as `auth/find_account`.
    pub path: &'static str,
    /// How it may be treated on its way.
    pub manner: Manner,
    /// Who may ask it.
    pub askers: &'static [Module],
}

/// The way to a module that lives elsewhere.
#[async_trait::async_trait]
pub trait Line: std::fmt::Debug + Send + Sync + 'static {
    /// Carries an ask, as JSON, and brings the answer.
    ///
    /// # Errors
    /// What the other side says itself is handed on as it is; whatever goes wrong on the way is
    /// [`Kind::Unavailable`](crate::Kind::Unavailable).
    async fn carry(&self, method: &'static Method, caller: &Caller, ask: Vec<u8>) -> Result<Vec<u8>>;
}

/// Asks over a line.
///
/// # Errors
/// The answer's own error, or [`gone`].
pub async fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
    line: &dyn Line,
    method: &'static Method,
    caller: &Caller,
    ask: &Q,
) -> Result<A> {
    let ask = serde_json::to_vec(ask).map_err(Error::internal)?;
    let answer = line.carry(method, caller, ask).await?;
    serde_json::from_slice(&answer).map_err(|unreadable| gone().caused_by(unreadable))
}

/// What is told when a module elsewhere can't be asked: try again in a second.
#[must_use]
pub fn gone() -> Error {
    Error::unavailable(
        "platform.peer_unavailable",
        "A part of the service does not answer right now. Please try again.",
    )
    .retry_after(1)
}

/// The serving half: who asks, and the answer or the error.
#[cfg(feature = "serve")]
pub mod serve {
    use actix_web::http::StatusCode;
    use actix_web::{HttpMessage, HttpRequest, HttpResponse};

    use super::{CALLER_HEADER, Method};
    use crate::{Caller, Error, Kind, Module, Result};

    /// How long an ask may be, in bytes: more than anything needs that may be asked. Who asks is proven before it is
    /// read, so this guards against mistakes and not against strangers.
    pub const LONGEST_ASK: usize = 16 * 1024 * 1024;

    /// Who asks, as it was proven: the modules that live in the asking process. Whoever mounts the routes puts it into
    /// the request's extensions; without it everybody is refused.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Asker(pub Vec<Module>);

    /// On whose behalf is asked, when the asking module may ask this.
    ///
    /// # Errors
    /// `platform.peer_unknown` when it is not proven who asks, `platform.peer_denied` when that module may not ask this,
    /// `platform.caller_missing` when the header is absent or unreadable: absent means refuse.
    pub fn admit(request: &HttpRequest, method: &Method) -> Result<Caller> {
        let extensions = request.extensions();
        let Some(Asker(modules)) = extensions.get::<Asker>() else {
            return Err(Error::unauthenticated("platform.peer_unknown", "It is not proven who asks."));
        };
        if !modules.iter().any(|module| method.askers.contains(module)) {
            return Err(Error::denied("platform.peer_denied", "This module may not ask that."));
        }
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

/// The manner that a word in a contract's list stands for.
macro_rules! manner {
    (repeatable) => {
        $crate::wire::Manner::Repeatable
    };
    (once) => {
        $crate::wire::Manner::Once
    };
    (long) => {
        $crate::wire::Manner::Long
    };
}
pub(crate) use manner;

/// Declares a contract: `"path" Trait / Client / routes { manner method(Ask) -> Answer, by ASKERS; … }`.
macro_rules! contract {
    (
        $(#[$trait_doc:meta])*
        $base:literal $Trait:ident / $Client:ident / $routes:ident {
            $($(#[$method_doc:meta])* $manner:ident $method:ident($Ask:ty) -> $Answer:ty, by $askers:expr;)*
        }
    ) => {
        $(#[$trait_doc])*
        #[async_trait::async_trait]
        pub trait $Trait: Send + Sync + 'static {
            $($(#[$method_doc])* async fn $method(&self, caller: &$crate::Caller, ask: $Ask) -> $crate::Result<$Answer>;)*
        }

        /// The same contract, spoken to a module that lives elsewhere.
        #[derive(Clone, Debug)]
        pub struct $Client(pub std::sync::Arc<dyn $crate::wire::Line>);

        #[async_trait::async_trait]
        impl $Trait for $Client {
            $(async fn $method(&self, caller: &$crate::Caller, ask: $Ask) -> $crate::Result<$Answer> {
                static METHOD: $crate::wire::Method = $crate::wire::Method {
                    path: concat!($base, "/", stringify!($method)),
                    manner: $crate::wire::manner!($manner),
                    askers: $askers,
                };
                $crate::wire::ask(&*self.0, &METHOD, caller, &ask).await
            })*
        }

        /// Internal routes (`/internal/…`) that let modules elsewhere ask any implementation of the contract.
        #[cfg(feature = "serve")]
        pub fn $routes(near: std::sync::Arc<dyn $Trait>) -> actix_web::Scope {
            use actix_web::{HttpRequest, web};
            use $crate::wire::{Method, serve};
            actix_web::web::scope(concat!("/internal/", $base))
                .app_data(web::Data::from(near))
                .app_data(web::JsonConfig::default().limit(serve::LONGEST_ASK))
                $(.route(
                    concat!("/", stringify!($method)),
                    web::post().to(
                        |request: HttpRequest, near: web::Data<dyn $Trait>, ask: web::Json<$Ask>| async move {
                            static METHOD: Method = Method {
                                path: concat!($base, "/", stringify!($method)),
                                manner: $crate::wire::manner!($manner),
                                askers: $askers,
                            };
                            match serve::admit(&request, &METHOD) {
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
