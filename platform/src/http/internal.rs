//! In front of internal routes: who asks is proven by a token between services, and by a certificate where that is
//! wanted; and nobody works for longer than the asking side waits.
//!
//! Nothing of a user's request counts here: no access token, and no name in a header.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{HttpMessage, web};
use contracts::wire::DEADLINE_HEADER;
use contracts::wire::serve::{self, Asker};
use contracts::{Error, Module};

use crate::tokens::Services;

/// Nobody may ask to be worked for longer than this.
const LONGEST: Duration = Duration::from_secs(600);

/// What stands in a path where other contracts have their module: every process answers it, for whichever of its modules.
const EVERY_PROCESS: &str = "platform";

/// What internal routes want of whoever asks. Give it to the application as `web::Data`.
#[derive(Debug)]
pub struct Admission {
    /// Whose tokens are taken.
    pub services: Services,
    /// Whether the connection must also have shown a certificate.
    pub certificate: bool,
}

/// What a listener notes of a connection whose client showed a certificate that it believes.
#[derive(Clone, Copy, Debug)]
pub struct CertificateShown;

/// Lets a request of another service pass, within its deadline. Wrap every scope of internal routes in it.
///
/// # Errors
/// 401 for everybody else, without telling why; the log says it. 503 when the deadline is over.
pub async fn admit_service<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let (asker, deadline) = match recognise(&request).await {
        Ok(admitted) => admitted,
        Err(why) => {
            tracing::warn!(path = request.path(), why, "An ask between services was refused.");
            metrics::counter!("doorward_peer_refusals_total").increment(1);
            return Err(refusal(Error::unauthenticated(
                "platform.peer_unknown",
                "It is not proven who asks.",
            )));
        }
    };
    request.extensions_mut().insert(asker);
    match tokio::time::timeout(deadline, next.call(request)).await {
        Ok(answer) => answer,
        Err(_elapsed) => {
            let text = "The asking side does not wait any longer.";
            Err(refusal(Error::unavailable("platform.deadline_over", text).retry_after(1)))
        }
    }
}

async fn recognise(request: &ServiceRequest) -> Result<(Asker, Duration), &'static str> {
    let admission = request.app_data::<web::Data<Admission>>().ok_or("nobody may ask here")?;
    if admission.certificate && request.conn_data::<CertificateShown>().is_none() {
        return Err("no certificate");
    }
    let mut tokens = request.headers().get_all(header::AUTHORIZATION);
    let (first, second) = (tokens.next().ok_or("no token")?, tokens.next());
    let token = first.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).ok_or("no token")?;
    if second.is_some() {
        return Err("two tokens");
    }
    let deadline = deadline(request).ok_or("no deadline")?;
    // As it was sent, and routes go by the path without its escapes: what isn't written plainly is not looked at further.
    let asked = request.path().strip_prefix("/internal/").and_then(|rest| rest.split('/').next());
    let audience = match asked.ok_or("not an internal path")? {
        EVERY_PROCESS => None,
        name => Some(Module::named(name).ok_or("not an internal path")?),
    };
    let modules = admission.services.recognise(token, audience).await?;
    Ok((Asker(modules), deadline))
}

fn deadline(request: &ServiceRequest) -> Option<Duration> {
    let text = request.headers().get(DEADLINE_HEADER)?.to_str().ok()?;
    Some(Duration::from_millis(text.parse().ok()?)).filter(|deadline| *deadline <= LONGEST)
}

/// The request is gone with the layer that refuses, so the answer leaves as an error that carries it.
fn refusal(error: Error) -> actix_web::Error {
    InternalError::from_response(error.code.to_string(), serve::answer::<()>(Err(error))).into()
}
