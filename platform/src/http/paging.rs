//! Lists in pages: how many, where to go on, and cursors nobody can edit.
//!
//! A cursor holds the position in the list and is signed together with the name of its list, so that it can be
//! neither changed nor carried over to another list. Left out: totals, and jumping to a page by number.

use std::fmt;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Responder};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::Error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use url::form_urlencoded;

/// How many items a page holds: 1 to 200, 50 when nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = u32, minimum = 1, maximum = 200, default = 50)]
pub struct Limit(u32);

impl Limit {
    /// The number of items.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl From<Limit> for i64 {
    fn from(limit: Limit) -> Self {
        Self::from(limit.0)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u32(LimitVisitor)
    }
}

struct LimitVisitor;

impl serde::de::Visitor<'_> for LimitVisitor {
    type Value = Limit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 1 to 200")
    }

    fn visit_u64<E: serde::de::Error>(self, limit: u64) -> Result<Limit, E> {
        match u32::try_from(limit) {
            Ok(limit @ 1..=200) => Ok(Limit(limit)),
            _ => Err(E::invalid_value(serde::de::Unexpected::Unsigned(limit), &self)),
        }
    }

    fn visit_u32<E: serde::de::Error>(self, limit: u32) -> Result<Limit, E> {
        self.visit_u64(u64::from(limit))
    }

    fn visit_str<E: serde::de::Error>(self, limit: &str) -> Result<Limit, E> {
        match limit.parse() {
            Ok(limit) => self.visit_u64(limit),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Str(limit), &self)),
        }
    }
}

/// The parameters of a list that takes nothing else. A list with filters names the two fields itself.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct PageQuery {
    /// At most so many items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    pub limit: Limit,
    /// Where to go on: the `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// One page of a list; as an answer it carries `Link: <…>; rel="next"` (RFC 8288) unless it is the last one.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T: Serialize> Responder for Page<T> {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut answer = HttpResponse::Ok();
        if let Some(cursor) = &self.next_cursor {
            answer.insert_header((header::LINK, format!("<{}>; rel=\"next\"", next(request, cursor))));
        }
        answer.json(self)
    }
}

/// The same list with another cursor, relative to the host: no link is ever made of what a client calls us.
fn next(request: &HttpRequest, cursor: &str) -> String {
    let kept = form_urlencoded::parse(request.query_string().as_bytes()).filter(|(name, _)| name != "cursor");
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair("cursor", cursor)
        .finish();
    format!("{}?{query}", request.path())
}

/// Makes and reads cursors.
#[derive(Clone)]
pub struct Cursors(hmac::Key);

/// Bytes of the signature in a cursor. Half of HMAC-SHA-256 is enough against guessing (RFC 2104 section 5).
const TAG: usize = 16;

/// No cursor of ours is longer.
const LONGEST: usize = 2048;

impl Cursors {
    /// Cursors signed with this key; give every replica the same one.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The cursor of a position. `list` names the list, with everything that must stay the same from page to page.
    ///
    /// # Errors
    /// When the position can't be written as JSON.
    pub fn encode<P: Serialize>(&self, list: &str, position: &P) -> Result<String, Error> {
        let position = serde_json::to_vec(position).map_err(Error::internal)?;
        let tag = hmac::sign(&self.0, &signed(list, &position));
        let mut bytes: Vec<u8> = tag.as_ref().iter().copied().take(TAG).collect();
        bytes.extend_from_slice(&position);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The position in a cursor.
    ///
    /// # Errors
    /// `platform.invalid_cursor`, which becomes 400, when it was edited or belongs to another list.
    pub fn decode<P: DeserializeOwned>(&self, list: &str, cursor: &str) -> Result<P, Error> {
        self.read(list, cursor).ok_or_else(|| {
            Error::invalid("platform.invalid_cursor", "The cursor does not belong to this list.")
        })
    }

    fn read<P: DeserializeOwned>(&self, list: &str, cursor: &str) -> Option<P> {
        let bytes = (cursor.len() <= LONGEST).then(|| URL_SAFE_NO_PAD.decode(cursor).ok())??;
        let (tag, position) = bytes.split_at_checked(TAG)?;
        let expected = hmac::sign(&self.0, &signed(list, position));
        let good = subtle::ConstantTimeEq::ct_eq(expected.as_ref().get(..TAG)?, tag);
        bool::from(good).then(|| serde_json::from_slice(position).ok())?
    }
}

impl fmt::Debug for Cursors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursors(***)")
    }
}

/// What is signed: the list's name after its length, so that name and position can't be cut differently.
fn signed(list: &str, position: &[u8]) -> Vec<u8> {
    let mut message = (list.len() as u64).to_be_bytes().to_vec();
    message.extend_from_slice(list.as_bytes());
    message.extend_from_slice(position);
    message
}
