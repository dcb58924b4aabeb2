//! The desks' queries.

use contracts::{Error, Event, EventId, Time};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use serde::Deserialize;
use serde_json::Value;

use super::Parked;
use crate::db::{Db, DbConn, Json, Result, SkipLockedExt};
use crate::forgotten::Copy;
use crate::outbox::Waiting;
use crate::schema::platform_deliveries as deliveries;

crate::id_type! {
    /// A delivery: one event for one subscriber.
    pub(crate) struct DeliveryId;
}

crate::text_enum! {
    /// What became of a delivery.
    pub(super) enum Status {
        Pending = "pending",
        Done = "done",
        Parked = "parked",
    }
}

/// Rows in one statement; ten binds each, far below what either engine takes.
const CHUNK: usize = 1_000;

#[derive(Insertable)]
#[diesel(table_name = deliveries, check_for_backend(Db), treat_none_as_default_value = false)]
pub(super) struct Delivery {
    id: DeliveryId,
    event_id: EventId,
    subscriber: &'static str,
    event_type: String,
    envelope: Json<Event>,
    status: Status,
    attempts: i64,
    created_at: Time,
    next_attempt_at: Time,
}

impl Delivery {
    pub(super) fn new(event: &Event, subscriber: &'static str, now: Time) -> Self {
        Self {
            id: DeliveryId::new(),
            event_id: event.id,
            subscriber,
            event_type: event.event_type.clone(),
            envelope: Json(event.clone()),
            status: Status::Pending,
            attempts: 0,
            created_at: now,
            next_attempt_at: now,
        }
    }
}

/// A delivery that is this process's until its lease ends. The envelope stays unread here: one that can't be read
/// must not keep the others from being claimed.
#[derive(Queryable, Selectable)]
#[diesel(table_name = deliveries, check_for_backend(Db))]
pub(super) struct Claimed {
    pub(super) id: DeliveryId,
    pub(super) event_id: EventId,
    pub(super) event_type: String,
    pub(super) attempts: i64,
    envelope: Json<Value>,
}

impl Claimed {
    pub(super) fn event(&self) -> contracts::Result<Event> {
        Event::deserialize(&self.envelope.0).map_err(Error::internal)
    }
}

/// Skips what is there already: the relay may hand an event over twice.
pub(super) async fn insert(c: &mut DbConn, rows: &[Delivery]) -> Result<()> {
    for chunk in rows.chunks(CHUNK) {
        diesel::insert_into(deliveries::table).values(chunk).on_conflict_do_nothing().execute(c).await?;
    }
    Ok(())
}

/// Whether there is anything to claim: asked of a reader first, so that idling never takes the writer's lock.
pub(super) async fn any_due(c: &mut DbConn, subscriber: &str, now: Time) -> Result<bool> {
    let due = deliveries::table
        .filter(deliveries::subscriber.eq(subscriber))
        .filter(deliveries::status.eq(Status::Pending))
        .filter(deliveries::next_attempt_at.le(now))
        .filter(deliveries::lease_until.is_null().or(deliveries::lease_until.le(now)));
    Ok(due.select(deliveries::id).first::<DeliveryId>(c).await.optional()?.is_some())
}

/// Leases the deliveries that have been due longest and that nobody else is claiming, and counts the attempt.
pub(super) async fn claim(
    c: &mut DbConn,
    subscriber: &str,
    now: Time,
    lease_until: Time,
    limit: i64,
) -> Result<Vec<Claimed>> {
    let mut due: Vec<Claimed> = deliveries::table
        .filter(deliveries::subscriber.eq(subscriber))
        .filter(deliveries::status.eq(Status::Pending))
        .filter(deliveries::next_attempt_at.le(now))
        .filter(deliveries::lease_until.is_null().or(deliveries::lease_until.le(now)))
        .order((deliveries::next_attempt_at, deliveries::id))
        .limit(limit)
        .select(Claimed::as_select())
        .skip_locked_rows()
        .load(c)
        .await?;
    let ids: Vec<_> = due.iter().map(|row| row.id).collect();
    diesel::update(deliveries::table.filter(deliveries::id.eq_any(ids)))
        .set((deliveries::lease_until.eq(lease_until), deliveries::attempts.eq(deliveries::attempts + 1)))
        .execute(c)
        .await?;
    for row in &mut due {
        row.attempts += 1;
    }
    Ok(due)
}

/// The subscriber has taken them; also right when the lease has ended meanwhile.
pub(super) async fn done(c: &mut DbConn, ids: Vec<DeliveryId>) -> Result<()> {
    diesel::update(deliveries::table.filter(deliveries::id.eq_any(ids)))
        .set((
            deliveries::status.eq(Status::Done),
            deliveries::lease_until.eq(None::<Time>),
            deliveries::last_error.eq(None::<String>),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// To be tried again; only when the lease is still ours, since another process may have succeeded meanwhile.
pub(super) async fn failed(
    c: &mut DbConn,
    id: DeliveryId,
    lease_until: Time,
    next_attempt_at: Time,
    last_error: &str,
) -> Result<()> {
    diesel::update(deliveries::table.find(id))
        .filter(deliveries::status.eq(Status::Pending).and(deliveries::lease_until.eq(lease_until)))
        .set((
            deliveries::lease_until.eq(None::<Time>),
            deliveries::next_attempt_at.eq(next_attempt_at),
            deliveries::last_error.eq(last_error),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// Given up; only when the lease is still ours.
pub(super) async fn park(c: &mut DbConn, id: DeliveryId, lease_until: Time, last_error: &str) -> Result<()> {
    diesel::update(deliveries::table.find(id))
        .filter(deliveries::status.eq(Status::Pending).and(deliveries::lease_until.eq(lease_until)))
        .set((
            deliveries::status.eq(Status::Parked),
            deliveries::lease_until.eq(None::<Time>),
            deliveries::last_error.eq(last_error),
        ))
        .execute(c)
        .await?;
    Ok(())
}

pub(super) async fn parked(c: &mut DbConn, limit: i64) -> Result<Vec<Parked>> {
    let rows = deliveries::table
        .filter(deliveries::status.eq(Status::Parked))
        .order((deliveries::created_at, deliveries::id))
        .limit(limit)
        .select((
            deliveries::event_id,
            deliveries::event_type,
            deliveries::subscriber,
            deliveries::attempts,
            deliveries::created_at,
            deliveries::last_error,
        ))
        .load(c)
        .await?;
    let parked = |(event, event_type, subscriber, attempts, created_at, last_error)| Parked {
        event,
        event_type,
        subscriber,
        attempts,
        created_at,
        last_error,
    };
    Ok(rows.into_iter().map(parked).collect())
}

pub(super) async fn waiting(c: &mut DbConn, limit: i64) -> Result<Vec<Waiting>> {
    let pending = deliveries::table
        .filter(deliveries::status.eq(Status::Pending))
        .order((deliveries::created_at, deliveries::id))
        .limit(limit)
        .select((
            deliveries::event_id,
            deliveries::event_type,
            deliveries::subscriber,
            deliveries::attempts,
            deliveries::created_at,
            deliveries::next_attempt_at,
            deliveries::last_error,
        ));
    type Row = (EventId, String, String, i64, Time, Time, Option<String>);
    let rows: Vec<Row> = pending.load(c).await?;
    let waiting =
        |(event, event_type, subscriber, attempts, created_at, next_attempt_at, last_error)| Waiting {
            event,
            event_type,
            subscriber: Some(subscriber),
            attempts,
            created_at,
            next_attempt_at,
            last_error,
        };
    Ok(rows.into_iter().map(waiting).collect())
}

pub(super) async fn release(c: &mut DbConn) -> Result<usize> {
    let claimed = deliveries::status.eq(Status::Pending).and(deliveries::lease_until.is_not_null());
    let claimed = deliveries::table.filter(claimed);
    Ok(diesel::update(claimed).set(deliveries::lease_until.eq(None::<Time>)).execute(c).await?)
}

pub(super) async fn count_pending(c: &mut DbConn, subscriber: &str) -> Result<i64> {
    count(c, subscriber, Status::Pending).await
}

pub(super) async fn count_parked(c: &mut DbConn, subscriber: &str) -> Result<i64> {
    count(c, subscriber, Status::Parked).await
}

async fn count(c: &mut DbConn, subscriber: &str, status: Status) -> Result<i64> {
    let found =
        deliveries::table.filter(deliveries::subscriber.eq(subscriber)).filter(deliveries::status.eq(status));
    Ok(found.count().get_result(c).await?)
}

pub(super) async fn unpark(c: &mut DbConn, now: Time, events: Vec<EventId>) -> Result<usize> {
    let parked = deliveries::table
        .filter(deliveries::event_id.eq_any(events))
        .filter(deliveries::status.eq(Status::Parked));
    Ok(diesel::update(parked)
        .set((
            deliveries::status.eq(Status::Pending),
            deliveries::attempts.eq(0_i64),
            deliveries::next_attempt_at.eq(now),
        ))
        .execute(c)
        .await?)
}

pub(super) async fn done_before(c: &mut DbConn, before: Time, limit: i64) -> Result<Vec<DeliveryId>> {
    Ok(deliveries::table
        .filter(deliveries::status.eq(Status::Done).and(deliveries::created_at.lt(before)))
        .order(deliveries::created_at)
        .limit(limit)
        .select(deliveries::id)
        .load(c)
        .await?)
}

pub(super) async fn delete(c: &mut DbConn, ids: Vec<DeliveryId>) -> Result<usize> {
    Ok(diesel::delete(deliveries::table.filter(deliveries::id.eq_any(ids))).execute(c).await?)
}

/// The next rows; those that wait or are being handled are on their way.
pub(super) async fn copies(
    c: &mut DbConn,
    after: Option<DeliveryId>,
    limit: i64,
) -> Result<Vec<Copy<DeliveryId>>> {
    let text = sql::<Text>("CAST(envelope AS TEXT)");
    let mut query = deliveries::table.select((deliveries::id, deliveries::status, text)).into_boxed();
    if let Some(after) = after {
        query = query.filter(deliveries::id.gt(after));
    }
    let rows: Vec<(DeliveryId, Status, String)> = query.order(deliveries::id).limit(limit).load(c).await?;
    let copy = |(id, status, text)| Copy { id, text, on_its_way: status == Status::Pending };
    Ok(rows.into_iter().map(copy).collect())
}

/// Removes those of these rows that were made or given up.
pub(super) async fn delete_over(c: &mut DbConn, ids: Vec<DeliveryId>) -> Result<()> {
    let over = deliveries::status.eq_any(vec![Status::Done, Status::Parked]);
    diesel::delete(deliveries::table.filter(deliveries::id.eq_any(ids)).filter(over)).execute(c).await?;
    Ok(())
}
