//! `/api/v1/inbox`: what stands in one's own inbox, and a stream of what comes in.

use std::num::TryFromIntError;

use actix_web::http::header::{CONTENT_TYPE, LINK};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use contracts::{NotificationId, Result, Time};
use futures_util::stream;
use platform::http::{Cursors, Limit, NotFoundProblem, Path, Problem, Query, User, UserProblems};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Service;
use crate::model::inbox::{InboxItem, InboxItemId};
use crate::service::{InboxStream, Looked, Piece};

/// Which part of the inbox to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct InboxQuery {
    /// Only what was not read yet.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    unread: bool,
    /// At most so many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: the `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A piece of one's own inbox, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct InboxPage {
    items: Vec<InboxItemView>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
    /// How many things were not read yet, in the whole inbox.
    unread_count: i64,
    /// The last number that was given out: open the stream with `after` this to miss nothing.
    last_sequence: i64,
}

/// One thing in an inbox.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxItem)]
pub(super) struct InboxItemView {
    #[schema(value_type = String, format = Uuid)]
    id: InboxItemId,
    /// The person's numbers go up by one with each thing, in the order in which they came in.
    sequence: i64,
    /// The message it belongs to.
    notification_id: NotificationId,
    template: String,
    category: String,
    /// One line.
    subject: String,
    /// Plain text; an empty line parts two paragraphs.
    text: String,
    /// Addresses that belong to it.
    links: Vec<String>,
    created_at: Time,
    /// Null while it was not read.
    read_at: Option<Time>,
}

impl From<InboxItem> for InboxItemView {
    fn from(item: InboxItem) -> Self {
        Self {
            id: item.id,
            sequence: item.sequence,
            notification_id: item.message,
            template: item.template,
            category: item.category,
            subject: item.subject,
            text: item.text,
            links: item.links,
            created_at: item.created_at,
            read_at: item.read_at,
        }
    }
}

impl InboxQuery {
    /// A cursor belongs to one person and one choice.
    fn list(&self, user: &User) -> String {
        format!("inbox {} {}", user.id, self.unread)
    }

    fn before(&self, user: &User, cursors: &Cursors) -> Result<Option<i64>> {
        self.cursor.as_deref().map(|cursor| cursors.decode(&self.list(user), cursor)).transpose()
    }

    /// One more than a page holds tells whether there is a next one.
    fn page(&self, user: &User, cursors: &Cursors, looked: Looked) -> Result<HttpResponse> {
        let mut items = looked.items;
        let size = usize::try_from(self.limit.get()).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let last = items.last().filter(|_| more).map(|item| item.sequence);
        let next_cursor = last.map(|last| cursors.encode(&self.list(user), &last)).transpose()?;
        let mut answer = HttpResponse::Ok();
        if let Some(cursor) = &next_cursor {
            let (limit, unread) = (self.limit.get(), self.unread);
            let next = format!("/api/v1/inbox?limit={limit}&unread={unread}&cursor={cursor}");
            answer.insert_header((LINK, format!("<{next}>; rel=\"next\"")));
        }
        let items = items.into_iter().map(InboxItemView::from).collect();
        let (unread_count, last_sequence) = (looked.unread, looked.last_sequence);
        Ok(answer.json(InboxPage { items, next_cursor, unread_count, last_sequence }))
    }
}

/// Lists what stands in one's own inbox, newest first.
///
/// For anybody who is logged in.
#[utoipa::path(
    tag = "notifications",
    params(InboxQuery),
    responses((status = 200, description = "One page.", body = InboxPage), UserProblems),
    security(("bearer" = [])),
)]
#[get("/api/v1/inbox")]
pub(super) async fn list_inbox(
    user: User,
    query: Query<InboxQuery>,
    service: web::Data<Service>,
    cursors: web::Data<Cursors>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let (before, rows) = (query.before(&user, &cursors)?, i64::from(query.limit) + 1);
    let looked = service.look_into_inbox(user.id, query.unread, before, rows).await?;
    Ok(query.page(&user, &cursors, looked)?)
}

/// Marks one thing in one's own inbox as read; once more changes nothing.
///
/// For anybody who is logged in.
#[utoipa::path(
    tag = "notifications",
    params(("id" = String, Path, description = "The thing.", format = Uuid)),
    responses((status = 204, description = "It is read."), UserProblems, NotFoundProblem),
    security(("bearer" = [])),
)]
#[post("/api/v1/inbox/{id}/read")]
pub(super) async fn read_inbox_item(
    user: User,
    id: Path<InboxItemId>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    service.read_item(&user.caller, user.id, id.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Marks everything in one's own inbox as read.
///
/// For anybody who is logged in.
#[utoipa::path(
    tag = "notifications",
    responses((status = 204, description = "Everything that was there is read."), UserProblems),
    security(("bearer" = [])),
)]
#[post("/api/v1/inbox/read")]
pub(super) async fn read_inbox(user: User, service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    service.read_all(&user.caller, user.id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Where a stream goes on.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamQuery {
    /// After this number, for clients that can't send `Last-Event-ID` at first. From now on when both are absent.
    #[param(value_type = Option<i64>, minimum = 0)]
    after: Option<Place>,
}

/// A number in the stream: none that was ever given out is below zero or larger than a database can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
struct Place(i64);

impl TryFrom<u64> for Place {
    type Error = TryFromIntError;

    fn try_from(number: u64) -> Result<Self, TryFromIntError> {
        i64::try_from(number).map(Self)
    }
}

impl StreamQuery {
    /// The header goes before the query: a browser that comes back sends what it saw last.
    fn position(&self, request: &HttpRequest) -> Result<Option<i64>, Problem> {
        let wrong = || {
            Problem::malformed(
                "platform.invalid_last_event_id",
                "Last-Event-ID must be a number from 0 to 9223372036854775807.",
            )
        };
        let header = request.headers().get("last-event-id").filter(|value| !value.is_empty());
        let place = |text: &str| Place::try_from(text.parse::<u64>().ok()?).ok();
        let header = header.map(|value| value.to_str().ok().and_then(place).ok_or_else(wrong));
        Ok(header.transpose()?.or(self.after).map(|place| place.0))
    }
}

/// Streams what comes into one's own inbox, as server-sent events.
///
/// For anybody who is logged in. Each event is called `item`, holds an `InboxItem`, and its id is the item's number:
/// after a break, send the last one as `Last-Event-ID` and nothing is missed or repeated. Comments come while nothing
/// happens. The stream ends when the login ends, after an hour or so, and when the service stops.
#[utoipa::path(
    tag = "notifications",
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<i64>, Header, minimum = 0, description = "The number that was seen last; goes before `after`."),
    ),
    responses(
        (status = 200, description = "Events, until it ends.", body = InboxItemView, content_type = "text/event-stream"),
        UserProblems,
    ),
    security(("bearer" = [])),
)]
#[get("/api/v1/inbox/stream")]
pub(super) async fn stream_inbox(
    user: User,
    query: Query<StreamQuery>,
    request: HttpRequest,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let after = query.0.position(&request)?;
    let opened = service.into_inner().open_stream(&user.caller, user.id, user.session, after).await?;
    let named = after.is_some();
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(stream::unfold(opened, move |opened| step(opened, named)))))
}

async fn step(
    mut opened: InboxStream,
    named: bool,
) -> Option<(Result<Bytes, actix_web::Error>, InboxStream)> {
    let piece = opened.next().await?;
    Some((Ok(Bytes::from(written(piece, named))), opened))
}

/// As the standard writes it (HTML, section 9.2). An id without data moves only the place to go on from.
fn written(piece: Piece, named: bool) -> String {
    match piece {
        Piece::Start(_) if named => "retry: 2000\n\n".to_owned(),
        Piece::Start(place) => format!("retry: 2000\nid: {place}\n\n"),
        Piece::Heartbeat => ":\n\n".to_owned(),
        Piece::Items(items) => items.into_iter().map(event).collect(),
    }
}

fn event(item: InboxItem) -> String {
    let id = item.sequence;
    let data = serde_json::to_string(&InboxItemView::from(item)).unwrap_or_default();
    format!("id: {id}\nevent: item\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_stream_goes_on_after_a_number_or_not_at_all(
            number: u64, text in "[+-]?[0-9]{0,25}", other in proptest::collection::vec(any::<u8>(), 1..20), after: Option<u32>,
        ) {
            let mut values = vec![number.to_string().into_bytes(), text.into_bytes(), other];
            values.retain(|value| !value.is_empty());
            for value in values {
                let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
                let request = TestRequest::default().insert_header(("last-event-id", value.clone())).to_http_request();
                let meant = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
                let query = StreamQuery { after: after.map(|number| Place(i64::from(number))) };
                let read = query.position(&request).ok().flatten();
                prop_assert_eq!(read, meant.and_then(|number| i64::try_from(number).ok()));
            }
        }
    }
}
