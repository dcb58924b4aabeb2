//! Lost updates: entity tags made of revision numbers, and `If-Match` (RFC 9110 sections 8.8.3 and 13.1.1).
//!
//! Left out: weak tags and `If-None-Match`; nothing here is served from a browser's cache.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::HttpError;
use actix_web::http::header::{self, HeaderName, HeaderValue, TryIntoHeaderPair};
use actix_web::{FromRequest, HttpRequest};
use contracts::Error;

use super::order::identified;
use super::problem::{Problem, precondition_failed};

/// A strong entity tag: the revision number of what was read, in quotes. Insert it into an answer as a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ETag(i64);

impl ETag {
    /// The tag of a revision.
    #[must_use]
    pub const fn revision(revision: i64) -> Self {
        Self(revision)
    }
}

impl TryIntoHeaderPair for ETag {
    type Error = HttpError;

    fn try_into_pair(self) -> Result<(HeaderName, HeaderValue), HttpError> {
        Ok((header::ETAG, HeaderValue::try_from(format!("\"{}\"", self.0))?))
    }
}

/// Which state a change is meant for, as the caller's `If-Match` says. A plain value: services may take it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IfMatch {
    /// Nothing was said.
    #[default]
    Absent,
    /// `*`: whatever is there, as long as something is.
    Any,
    /// One of these revisions; none of them when the tags are not ours.
    OneOf(Vec<i64>),
}

impl IfMatch {
    /// Whether a change may be made to this revision.
    #[must_use]
    pub fn allows(&self, revision: i64) -> bool {
        match self {
            Self::Absent | Self::Any => true,
            Self::OneOf(revisions) => revisions.contains(&revision),
        }
    }

    /// Goes on when a change may be made to this revision.
    ///
    /// # Errors
    /// `platform.precondition_failed`, which becomes 412.
    pub fn check(&self, revision: i64) -> Result<(), Error> {
        if self.allows(revision) { Ok(()) } else { Err(precondition_failed()) }
    }

    /// The same, when something was said.
    ///
    /// # Errors
    /// 428 when nothing was.
    pub fn required(self) -> Result<Self, Problem> {
        if self == Self::Absent { Err(Problem::precondition_required()) } else { Ok(self) }
    }

    fn read(request: &HttpRequest) -> Option<Self> {
        let mut revisions = Vec::new();
        let mut any = false;
        let mut said = false;
        for value in request.headers().get_all(header::IF_MATCH) {
            said = true;
            for tag in value.to_str().ok()?.split(',').map(|tag| tag.trim_matches([' ', '\t'])) {
                match tag {
                    "*" => any = true,
                    tag => revisions.extend(revision(tag)?),
                }
            }
        }
        match (said, any) {
            (false, _) => Some(Self::Absent),
            (true, false) => Some(Self::OneOf(revisions)),
            (true, true) => revisions.is_empty().then_some(Self::Any),
        }
    }
}

/// The revision in a tag; nothing for a tag that is well-formed and not ours, none for what is no tag. A weak tag
/// never matches strongly, and an opaque part with a comma in it can't be ours.
#[expect(clippy::option_option, reason = "no tag at all is different from somebody else's tag")]
fn revision(tag: &str) -> Option<Option<i64>> {
    let (weak, quoted) = match tag.strip_prefix("W/") {
        Some(rest) => (true, rest),
        None => (false, tag),
    };
    let opaque = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let canonical = |revision: &i64| revision.to_string() == opaque;
    Some(opaque.parse().ok().filter(canonical).filter(|_| !weak))
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let identified = identified(request);
        let said = Self::read(request).ok_or_else(|| {
            Problem::malformed("platform.invalid_if_match", "If-Match must be * or a list of entity tags.")
        });
        Box::pin(async move {
            identified.await;
            said
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    fn read(value: &HeaderValue) -> Option<IfMatch> {
        IfMatch::read(
            &TestRequest::default().insert_header((header::IF_MATCH, value.clone())).to_http_request(),
        )
    }

    proptest! {
        #[test]
        fn a_tag_of_ours_is_read_back_among_whatever_others(
            revision: i64,
            others in proptest::collection::vec("(W/)?\"[!#-+\\--~]{0,8}\"", 0..4),
            rubbish in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let (_, ours) = ETag::revision(revision).try_into_pair().unwrap();
            let list = others.iter().map(String::as_str).chain([ours.to_str().unwrap()]).collect::<Vec<_>>().join(", ");
            let said = read(&HeaderValue::from_str(&list).unwrap());
            prop_assert!(said.is_some_and(|said| said.allows(revision)), "{}", list);
            if let Ok(value) = HeaderValue::from_bytes(&rubbish) {
                let digits = revision.to_string();
                let said = read(&value);
                let named = value.to_str().is_ok_and(|text| text.contains('*') || text.contains(&digits));
                prop_assert!(named || said.is_none_or(|said| !said.allows(revision)), "{:?}", value);
            }
        }
    }
}
