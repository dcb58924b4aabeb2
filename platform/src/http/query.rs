//! Query strings and path parameters, as strict as bodies: absent rules don't exist, unknown names are refused.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use contracts::{Error, Field};
use serde::de::DeserializeOwned;
use serde_path_to_error::Track;
use url::form_urlencoded;

use super::json::rule;
use super::order::identified;
use super::problem::Problem;

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

/// The parameters of a query. Each may occur once, and the type names all there are. No `#[serde(flatten)]`: it
/// turns numbers into text.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let identified = identified(request);
        let query = parse(request.query_string()).map(Self);
        Box::pin(async move {
            identified.await;
            query
        })
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    check(query)?;
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    let mut unknown = None;
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(pairs, &mut track);
    let mut note = |path: serde_ignored::Path<'_>| unknown = Some(path.to_string());
    match (serde_ignored::deserialize(tracked, &mut note), unknown) {
        (Ok(value), None) => Ok(value),
        (Ok(_), Some(name)) => Err(refused(&name, "unknown_field", "There is no such parameter.".into())),
        (Err(error), _) => {
            let field = rule(&error.to_string(), &track.path());
            Err(refused_as(field))
        }
    }
}

/// What the deserialiser would let pass: text that is not UTF-8, U+0000, and repetition.
fn check(query: &str) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name.chars().chain(value.chars()).any(|c| matches!(c, '\0' | char::REPLACEMENT_CHARACTER)) {
            return Err(refused(&name, "invalid_character", "Must be UTF-8 without U+0000.".into()));
        }
        if !seen.insert(name.to_string()) {
            return Err(refused(&name, "duplicate_field", "This parameter may occur once.".into()));
        }
    }
    Ok(())
}

fn refused(name: &str, code: &'static str, message: String) -> Problem {
    refused_as(Field { pointer: format!("/{name}"), code: code.into(), message: message.into() })
}

fn refused_as(field: Field) -> Problem {
    let name = field.pointer.trim_start_matches('/').to_owned();
    let error =
        Error::invalid("platform.invalid_query", format!("The query parameter {name:?} is not good."));
    Problem::bad_request(Error { fields: vec![field], ..error })
}

/// The parameters of a path. One that can't be read names nothing: 404.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Path<T> {
    type Error = Problem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let identified = identified(request);
        let path = actix_web::web::Path::<T>::from_request(request, payload).into_inner();
        let text = path.as_ref().is_ok() && request.match_info().iter().all(|(_, value)| is_text(value));
        let path = path.map(|path| Self(path.into_inner())).map_err(|_| Problem::not_found());
        Box::pin(async move {
            identified.await;
            if text { path } else { Err(Problem::not_found()) }
        })
    }
}

/// Whether a part of a path is UTF-8 without control characters once its percent signs are resolved.
fn is_text(part: &str) -> bool {
    form_urlencoded::parse(part.replace(['&', '=', '+'], "-").as_bytes())
        .all(|(text, _)| text.chars().all(|c| !c.is_control() && c != char::REPLACEMENT_CHARACTER))
}
