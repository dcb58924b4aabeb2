//! The outbox's queries.

use contracts::{Error, Event, EventId, Time};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use crate::db::{Db, DbConn, Json, Result, SkipLockedExt};
use crate::forgotten::Copy;
use crate::schema::platform_outbox as outbox;

crate::text_enum! {
    /// Whether a bus has taken it.
    enum Status {
        Pending = "pending",
        Done = "done",
    }
}

/// An event that is this relay's until its lease ends. The envelope stays unread here: one that can't be read must
/// not keep the others from being claimed.
#[derive(Queryable, Selectable)]
#[diesel(table_name = outbox, check_for_backend(Db))]
pub(super) struct Claimed {
    pub(super) id: EventId,
    pub(super) event_type: String,
    pub(super) attempts: i64,
    envelope: Json<Value>,
}

/// An event or a delivery that is still on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The event.
    pub event: EventId,
    /// Its type.
    pub event_type: String,
    /// Who has to take it; none while no bus has taken it.
    pub subscriber: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// When the event, or the delivery, was made.
    pub created_at: Time,
    /// When it is tried next, unless somebody is trying it now.
    pub next_attempt_at: Time,
    /// What was said last.
    pub last_error: Option<String>,
}

impl Claimed {
    pub(super) fn event(&self) -> contracts::Result<Event> {
        use serde::Deserialize;
        Event::deserialize(&self.envelope.0).map_err(Error::internal)
    }
}

pub(super) async fn insert(c: &mut DbConn, event: contracts::Result<Event>, now: Time) -> Result<EventId> {
    let event = event.map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
    let id = event.id;
    diesel::insert_into(outbox::table)
        .values((
            outbox::id.eq(id),
            outbox::event_type.eq(event.event_type.clone()),
            outbox::envelope.eq(Json(event)),
            outbox::status.eq(Status::Pending),
            outbox::attempts.eq(0_i64),
            outbox::created_at.eq(now),
            outbox::next_attempt_at.eq(now),
        ))
        .execute(c)
        .await?;
    c.mark_published();
    Ok(id)
}

/// Events of these types; all without. Its type is nothing that can be written down.
macro_rules! of {
    ($types:ident) => {
        outbox::event_type.eq_any($types.unwrap_or_default().to_vec()).or($types.is_none().into_sql::<Bool>())
    };
}

/// Whether there is anything to claim: asked of a reader first, so that idling never takes the writer's lock.
pub(super) async fn any_due(c: &mut DbConn, types: Option<&[String]>, now: Time) -> Result<bool> {
    let due = outbox::table
        .filter(of!(types))
        .filter(outbox::status.eq(Status::Pending))
        .filter(outbox::next_attempt_at.le(now))
        .filter(outbox::lease_until.is_null().or(outbox::lease_until.le(now)));
    Ok(due.select(outbox::id).first::<EventId>(c).await.optional()?.is_some())
}

/// Leases the oldest due events of these types that no other relay is claiming at this moment, and counts the attempt.
pub(super) async fn claim(
    c: &mut DbConn,
    types: Option<&[String]>,
    now: Time,
    lease_until: Time,
    limit: i64,
) -> Result<Vec<Claimed>> {
    let mut due: Vec<Claimed> = outbox::table
        .filter(of!(types))
        .filter(outbox::status.eq(Status::Pending))
        .filter(outbox::next_attempt_at.le(now))
        .filter(outbox::lease_until.is_null().or(outbox::lease_until.le(now)))
        .order(outbox::id)
        .limit(limit)
        .select(Claimed::as_select())
        .skip_locked_rows()
        .load(c)
        .await?;
    let ids: Vec<_> = due.iter().map(|row| row.id).collect();
    diesel::update(outbox::table.filter(outbox::id.eq_any(ids)))
        .set((outbox::lease_until.eq(lease_until), outbox::attempts.eq(outbox::attempts + 1)))
        .execute(c)
        .await?;
    for row in &mut due {
        row.attempts += 1;
    }
    Ok(due)
}

/// The bus has taken them; also right when the lease has ended meanwhile.
pub(super) async fn done(c: &mut DbConn, ids: Vec<EventId>) -> Result<()> {
    diesel::update(outbox::table.filter(outbox::id.eq_any(ids)))
        .set((
            outbox::status.eq(Status::Done),
            outbox::lease_until.eq(None::<Time>),
            outbox::last_error.eq(None::<String>),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// The bus did not take it; only when the lease is still ours, since another relay may have succeeded meanwhile.
pub(super) async fn failed(
    c: &mut DbConn,
    id: EventId,
    lease_until: Time,
    next_attempt_at: Time,
    last_error: &str,
) -> Result<()> {
    diesel::update(outbox::table.find(id))
        .filter(outbox::status.eq(Status::Pending).and(outbox::lease_until.eq(lease_until)))
        .set((
            outbox::lease_until.eq(None::<Time>),
            outbox::next_attempt_at.eq(next_attempt_at),
            outbox::last_error.eq(last_error),
        ))
        .execute(c)
        .await?;
    Ok(())
}

pub(super) async fn pending(c: &mut DbConn, types: Option<&[String]>) -> Result<i64> {
    let pending = outbox::table.filter(of!(types)).filter(outbox::status.eq(Status::Pending));
    Ok(pending.count().get_result(c).await?)
}

pub(super) async fn done_before(c: &mut DbConn, before: Time, limit: i64) -> Result<Vec<EventId>> {
    Ok(outbox::table
        .filter(outbox::status.eq(Status::Done).and(outbox::created_at.lt(before)))
        .order(outbox::created_at)
        .limit(limit)
        .select(outbox::id)
        .load(c)
        .await?)
}

pub(super) async fn delete(c: &mut DbConn, ids: Vec<EventId>) -> Result<usize> {
    Ok(diesel::delete(outbox::table.filter(outbox::id.eq_any(ids))).execute(c).await?)
}

pub(super) async fn waiting(c: &mut DbConn, limit: i64) -> Result<Vec<Waiting>> {
    let pending = outbox::table.filter(outbox::status.eq(Status::Pending)).order(outbox::id).limit(limit);
    let rows = pending.select((
        outbox::id,
        outbox::event_type,
        outbox::attempts,
        outbox::created_at,
        outbox::next_attempt_at,
        outbox::last_error,
    ));
    let rows: Vec<(EventId, String, i64, Time, Time, Option<String>)> = rows.load(c).await?;
    let waiting = |(event, event_type, attempts, created_at, next_attempt_at, last_error)| Waiting {
        event,
        event_type,
        subscriber: None,
        attempts,
        created_at,
        next_attempt_at,
        last_error,
    };
    Ok(rows.into_iter().map(waiting).collect())
}

pub(super) async fn release(c: &mut DbConn) -> Result<usize> {
    let claimed =
        outbox::table.filter(outbox::status.eq(Status::Pending).and(outbox::lease_until.is_not_null()));
    Ok(diesel::update(claimed).set(outbox::lease_until.eq(None::<Time>)).execute(c).await?)
}

/// The next rows; those that no bus has taken yet are on their way.
pub(super) async fn copies(c: &mut DbConn, after: Option<EventId>, limit: i64) -> Result<Vec<Copy<EventId>>> {
    let text = sql::<Text>("CAST(envelope AS TEXT)");
    let mut query = outbox::table.select((outbox::id, outbox::status, text)).into_boxed();
    if let Some(after) = after {
        query = query.filter(outbox::id.gt(after));
    }
    let rows: Vec<(EventId, Status, String)> = query.order(outbox::id).limit(limit).load(c).await?;
    let copy = |(id, status, text)| Copy { id, text, on_its_way: status == Status::Pending };
    Ok(rows.into_iter().map(copy).collect())
}

/// Removes those of these rows that a bus has taken.
pub(super) async fn delete_done(c: &mut DbConn, ids: Vec<EventId>) -> Result<()> {
    let done = outbox::table.filter(outbox::id.eq_any(ids)).filter(outbox::status.eq(Status::Done));
    diesel::delete(done).execute(c).await?;
    Ok(())
}
