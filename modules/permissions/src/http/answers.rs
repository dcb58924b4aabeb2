//! What several endpoints answer alike: pages, and answers that may be given again.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use contracts::{Error, Result};
use platform::http::{Cursors, Limit, Page};
use platform::idempotency::Answer;
use serde::Serialize;

/// The answer to a request that made something.
pub(super) fn created(location: String, body: &impl Serialize) -> Result<Answer> {
    let body = serde_json::to_value(body).map_err(Error::internal)?;
    Ok(Answer { status: StatusCode::CREATED.as_u16(), location: Some(location), body })
}

/// Sends an answer, the first time or again.
pub(super) fn send(answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if let Some(location) = answer.location {
        response.insert_header((header::LOCATION, location));
    }
    response.json(answer.body)
}

/// How many to ask for: one more than the page holds tells whether there is another page.
pub(super) fn one_more(limit: Limit) -> i64 {
    i64::from(limit).saturating_add(1)
}

/// The page, made of what was found when [`one_more`] was asked for.
pub(super) fn page<T, V, P: Serialize>(
    cursors: &Cursors,
    list: &str,
    limit: Limit,
    mut found: Vec<T>,
    position: impl Fn(&T) -> P,
) -> Result<Page<V>>
where
    V: for<'t> From<&'t T>,
{
    let size = usize::try_from(limit.get()).unwrap_or(usize::MAX);
    let more = found.len() > size;
    found.truncate(size);
    let last = found.last().filter(|_| more);
    let next_cursor = last.map(|last| cursors.encode(list, &position(last))).transpose()?;
    Ok(Page { items: found.iter().map(V::from).collect(), next_cursor })
}
