//! JSON bodies: bounded, typed and without surprises.
//!
//! What can't be read is 400, what is not JSON is 415, what is too large is 413, what comes too slowly is 408, and what
//! breaks the shape is 422 with a pointer. Fields that a type does not name are refused here for every type, so that no
//! type can forget to. Left out: the rules of a field's content, which belong to the module that owns it.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::mime::{self, Mime};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, Responder, web};
use aws_lc_rs::hmac;
use contracts::{Caller, Error};
use futures_util::stream::{self, Stream, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::json::parse;
use super::order::identified;
use super::problem::Problem;
use crate::idempotency::{Answer, IdempotencyKey};

/// How many bytes of a body are read when the type says nothing else: 64 KiB.
pub const BODY_LIMIT: usize = 64 * 1024;

/// How long a body may take to arrive as a whole. Give it to the application as `web::Data`; else it is 30 seconds.
#[derive(Clone, Copy, Debug)]
pub struct BodyDeadline(pub Duration);

impl BodyDeadline {
    fn of(request: &HttpRequest) -> Self {
        request.app_data::<web::Data<Self>>().map_or_else(Self::default, |deadline| ***deadline)
    }
}

impl Default for BodyDeadline {
    fn default() -> Self {
        Self(Duration::from_secs(30))
    }
}

type Reading<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

/// A JSON body, and a JSON answer. `LIMIT` is in bytes.
#[derive(Clone, Debug)]
pub struct Json<T, const LIMIT: usize = BODY_LIMIT>(pub T);

impl<T: DeserializeOwned + 'static, const LIMIT: usize> FromRequest for Json<T, LIMIT> {
    type Error = Problem;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read(request, payload, &JSON, LIMIT);
        Box::pin(async move { Ok(Self(parse(&body.await?)?)) })
    }
}

impl<T: Serialize, const LIMIT: usize> Responder for Json<T, LIMIT> {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }
}

/// A JSON merge patch (RFC 7396), as an object or as a type whose fields say what may be patched. In such a type,
/// `Option<Option<T>>` with [`present`] tells "leave it" from "take it away".
#[derive(Clone, Debug)]
pub struct MergePatch<T = Map<String, Value>, const LIMIT: usize = BODY_LIMIT>(pub T);

impl<T: DeserializeOwned + 'static, const LIMIT: usize> FromRequest for MergePatch<T, LIMIT> {
    type Error = Problem;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read(request, payload, &MERGE_PATCH, LIMIT);
        Box::pin(async move { Ok(Self(parse(&body.await?)?)) })
    }
}

/// A body of whatever kind, as it came. `LIMIT` is in bytes.
#[derive(Clone, Debug)]
pub struct Raw<const LIMIT: usize = BODY_LIMIT>(pub Bytes);

impl<const LIMIT: usize> FromRequest for Raw<LIMIT> {
    type Error = Problem;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = collect_in_time(request, payload, check_length(request, LIMIT), LIMIT);
        Box::pin(async move { Ok(Self(body.await?)) })
    }
}

/// A body of any length, in pieces, none of which may take longer than a whole body elsewhere.
pub struct Upload {
    payload: Payload,
    deadline: BodyDeadline,
}

impl Upload {
    /// The pieces as they come.
    ///
    /// # Errors
    /// [`Interrupted`], once, as the last piece.
    pub fn pieces(self) -> impl Stream<Item = Result<Bytes, Interrupted>> + Unpin {
        let Self { payload, deadline } = self;
        Box::pin(stream::unfold(Some(payload), move |payload| async move {
            let mut payload: Payload = payload?;
            match tokio::time::timeout(deadline.0, payload.next()).await {
                Ok(None) => None,
                Ok(Some(Ok(piece))) => Some((Ok(piece), Some(payload))),
                Ok(Some(Err(_))) | Err(_) => Some((Err(Interrupted), None)),
            }
        }))
    }
}

impl FromRequest for Upload {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Ok(Self { payload: payload.take(), deadline: BodyDeadline::of(request) }))
    }
}

/// The body ended before it was complete, or its next piece did not come in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// For a field of a merge patch that may be taken away: `null` becomes `Some(None)`, absent stays `None`. Write
/// `#[serde(default, deserialize_with = "platform::http::present")]`.
///
/// # Errors
/// When the value is neither null nor a `T`.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A JSON body of a write that may be repeated with an `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct IdempotentJson<T, const LIMIT: usize = BODY_LIMIT> {
    body: T,
    asked: Option<Repeatable>,
}

/// What the request contributes to its key.
#[derive(Clone, Debug)]
struct Repeatable {
    key: String,
    endpoint: String,
    fingerprint: [u8; 32],
}

/// Makes fingerprints of bodies that come with an `Idempotency-Key`. Give it to the application as `web::Data`, and the
/// same one to every replica.
///
/// With a key of its own, because a body may hold a password next to nothing that is unknown: a plain digest would let
/// whoever reads the database guess it as fast as he can count.
#[derive(Clone)]
pub struct Fingerprints(hmac::Key);

impl Fingerprints {
    /// Fingerprints under this key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    fn of(&self, body: &[u8]) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        let tag = hmac::sign(&self.0, body);
        fingerprint.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        fingerprint
    }
}

impl<T, const LIMIT: usize> IdempotentJson<T, LIMIT> {
    /// The body, and the key under which this caller's answer is kept. Nobody's key is ever somebody else's; a
    /// caller without a name has none, because strangers would share theirs.
    #[must_use]
    pub fn into_parts(self, caller: &Caller) -> (T, Option<IdempotencyKey>) {
        let key = self.asked.zip(caller.user()).map(|(asked, user)| IdempotencyKey {
            key: asked.key,
            scope: format!("{user} {}", asked.endpoint),
            fingerprint: asked.fingerprint,
        });
        (self.body, key)
    }
}

impl<T: DeserializeOwned + 'static, const LIMIT: usize> FromRequest for IdempotentJson<T, LIMIT> {
    type Error = Problem;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let key = idempotency_key(request);
        let endpoint = format!("{} {}", request.method(), request.path());
        let fingerprints = request.app_data::<web::Data<Fingerprints>>().cloned();
        let body = read(request, payload, &JSON, LIMIT);
        Box::pin(async move {
            let bytes = body.await?;
            let fingerprints = fingerprints.ok_or_else(|| Error::internal("nothing makes fingerprints"))?;
            let asked = key?.map(|key| Repeatable { key, endpoint, fingerprint: fingerprints.of(&bytes) });
            Ok(Self { body: parse(&bytes)?, asked })
        })
    }
}

/// The first answer, or the same one again.
impl Responder for Answer {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut builder = HttpResponse::build(status);
        if let Some(location) = self.location {
            builder.insert_header((header::LOCATION, location));
        }
        if self.body.is_null() { builder.finish() } else { builder.json(self.body) }
    }
}

/// The key, when one was sent: one header, 1 to 255 visible ASCII characters.
fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut headers = request.headers().get_all("idempotency-key");
    let Some(first) = headers.next() else { return Ok(None) };
    let visible =
        |key: &&str| (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    match first.to_str().ok().filter(visible) {
        Some(key) if headers.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(Problem::malformed(
            "platform.invalid_idempotency_key",
            "Idempotency-Key must be sent once, with 1 to 255 visible ASCII characters.",
        )),
    }
}

/// The media types an extractor reads, and how to say so.
struct Accepted {
    types: &'static [&'static str],
    said: &'static str,
}

const JSON: Accepted = Accepted { types: &["application/json"], said: "application/json in UTF-8" };

const MERGE_PATCH: Accepted = Accepted {
    types: &["application/merge-patch+json", "application/json"],
    said: "application/merge-patch+json in UTF-8",
};

fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    accepted: &'static Accepted,
    limit: usize,
) -> impl Future<Output = Result<Bytes, Problem>> + 'static {
    collect_in_time(request, payload, check_head(request, accepted, limit), limit)
}

/// The whole body, once it is known who sends it, unless the head is refused.
fn collect_in_time(
    request: &HttpRequest,
    payload: &mut Payload,
    head: Result<(), Problem>,
    limit: usize,
) -> impl Future<Output = Result<Bytes, Problem>> + 'static {
    let (identified, deadline, payload) = (identified(request), BodyDeadline::of(request), payload.take());
    async move {
        identified.await;
        head?;
        tokio::time::timeout(deadline.0, collect(payload, limit)).await.map_err(|_| Problem::too_slow())?
    }
}

async fn collect(mut payload: Payload, limit: usize) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::malformed("platform.malformed_body", "The body ended before it was complete.")
        })?;
        if body.len() + chunk.len() > limit {
            return Err(Problem::too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What the headers already tell: the wrong kind, an encoding that is not undone here, or too much.
fn check_head(request: &HttpRequest, accepted: &Accepted, limit: usize) -> Result<(), Problem> {
    let headers = request.headers();
    let one_type = headers.get_all(header::CONTENT_TYPE).count() == 1;
    let kind =
        request.mime_type().ok().flatten().filter(|kind| one_type && is_accepted(kind, accepted.types));
    let plain = headers.get_all(header::CONTENT_ENCODING).all(|value| value == "identity");
    if kind.is_none() || !plain {
        return Err(Problem::unsupported_media_type(accepted.said));
    }
    check_length(request, limit)
}

fn check_length(request: &HttpRequest, limit: usize) -> Result<(), Problem> {
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > limit) {
        return Err(Problem::too_large(limit));
    }
    Ok(())
}

fn is_accepted(kind: &Mime, types: &[&str]) -> bool {
    let utf8 = kind.get_param(mime::CHARSET).is_none_or(|charset| charset == mime::UTF_8);
    utf8 && types.contains(&kind.essence_str())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::http::json;

    proptest! {
        #[test]
        fn a_key_is_the_text_that_was_sent_or_none(text in "[ -~]{0,300}", short in "[!-~]{0,20}", other in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut values = vec![HeaderValue::from_str(&text).unwrap(), HeaderValue::from_str(&short).unwrap()];
            values.extend(HeaderValue::from_bytes(&other));
            for value in values {
                let request = TestRequest::default().insert_header(("idempotency-key", value.clone())).to_http_request();
                let bytes = value.as_bytes();
                let good = (1..=255).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
                let read = idempotency_key(&request).ok().flatten();
                prop_assert_eq!(read.as_deref().map(str::as_bytes), good.then_some(bytes));
            }
        }

        #[test]
        fn a_document_is_read_as_it_stands_and_no_name_twice(
            fields in proptest::collection::vec(("[ab]{0,2}", 0..9_u8), 0..5),
            other in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let names: std::collections::BTreeSet<_> = fields.iter().map(|(name, _)| name).collect();
            let unique = names.len() == fields.len();
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            let text = format!("{{{}}}", fields.join(","));
            let meant = serde_json::from_str::<Value>(&text).ok().filter(|_| unique);
            prop_assert_eq!(json::parse::<Value>(text.as_bytes()).ok(), meant);
            if let Ok(value) = json::parse::<Value>(&other) {
                prop_assert_eq!(serde_json::from_slice::<Value>(&other).ok(), Some(value));
            }
        }
    }
}
