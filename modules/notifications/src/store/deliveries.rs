//! Deliveries and their tries: claimed by lease, ended by whoever holds the claim.
//!
//! The number of the try is the claim. A worker whose lease ran out and was taken over has an old number: it can still
//! say that the message has left, and nothing else.
//!
//! Rows are locked in one order: delivery, tries, message. So no two workers wait for each other.

use contracts::{NotificationId, Time};
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Result, SkipLockedExt};

use crate::model::{Attempt, AttemptId, Delivery, DeliveryId, DeliveryState, Medium, Outcome};
use crate::schema::{notifications_attempts as attempts, notifications_deliveries as deliveries};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = deliveries, check_for_backend(Db), treat_none_as_default_value = false)]
struct Row {
    id: DeliveryId,
    message_id: NotificationId,
    channel: Medium,
    state: DeliveryState,
    attempts: i64,
    last_attempt: i64,
    due_at: Option<Time>,
    rfc_message_id: String,
    last_error: Option<String>,
    sent_at: Option<Time>,
}

impl From<&Delivery> for Row {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id,
            message_id: delivery.message,
            channel: delivery.medium,
            state: delivery.state,
            attempts: delivery.attempts,
            last_attempt: delivery.last_attempt,
            due_at: delivery.due_at,
            rfc_message_id: delivery.rfc_message_id.clone(),
            last_error: delivery.last_error.clone(),
            sent_at: delivery.sent_at,
        }
    }
}

impl From<Row> for Delivery {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            message: row.message_id,
            medium: row.channel,
            state: row.state,
            attempts: row.attempts,
            last_attempt: row.last_attempt,
            due_at: row.due_at,
            rfc_message_id: row.rfc_message_id,
            last_error: row.last_error,
            sent_at: row.sent_at,
        }
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = attempts, check_for_backend(Db), treat_none_as_default_value = false)]
struct AttemptRow {
    id: AttemptId,
    delivery_id: DeliveryId,
    number: i64,
    started_at: Time,
    finished_at: Option<Time>,
    outcome: Option<Outcome>,
    detail: Option<String>,
}

/// Keeps a delivery.
pub(crate) async fn insert(c: &mut DbConn, delivery: &Delivery) -> Result<()> {
    diesel::insert_into(deliveries::table).values(Row::from(delivery)).execute(c).await?;
    Ok(())
}

/// How many deliveries are left.
pub(crate) async fn left(c: &mut DbConn) -> Result<i64> {
    let left =
        deliveries::table.filter(deliveries::due_at.is_not_null()).select(count_star()).first(c).await?;
    Ok(left)
}

/// When the first of those that are left is due; none when none is left.
pub(crate) async fn first_due(c: &mut DbConn) -> Result<Option<Time>> {
    let first = deliveries::table.select(diesel::dsl::min(deliveries::due_at)).first(c).await?;
    Ok(first)
}

/// At most `limit` deliveries that are due and that no other worker is claiming right now, the longest due first.
pub(crate) async fn due(c: &mut DbConn, now: Time, limit: i64) -> Result<Vec<Delivery>> {
    let rows: Vec<Row> = deliveries::table
        .filter(deliveries::due_at.le(now))
        .order((deliveries::due_at, deliveries::id))
        .limit(limit)
        .select(Row::as_select())
        .skip_locked_rows()
        .load(c)
        .await?;
    Ok(rows.into_iter().map(Delivery::from).collect())
}

/// Begins the next try of each, under a lease; call it in the transaction that found them due.
pub(crate) async fn claim(c: &mut DbConn, ids: Vec<DeliveryId>, lease_until: Time) -> Result<()> {
    diesel::update(deliveries::table.filter(deliveries::id.eq_any(ids)))
        .set((
            deliveries::state.eq(DeliveryState::Sending),
            deliveries::attempts.eq(deliveries::attempts + 1),
            deliveries::due_at.eq(Some(lease_until)),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// Notes that tries have begun.
pub(crate) async fn begin_attempts(c: &mut DbConn, begun: &[(DeliveryId, i64)], now: Time) -> Result<()> {
    let rows: Vec<AttemptRow> = begun
        .iter()
        .map(|(delivery_id, number)| AttemptRow {
            id: AttemptId::new(),
            delivery_id: *delivery_id,
            number: *number,
            started_at: now,
            finished_at: None,
            outcome: None,
            detail: None,
        })
        .collect();
    diesel::insert_into(attempts::table).values(&rows).execute(c).await?;
    Ok(())
}

/// Closes the tries that never ended: their worker is gone.
pub(crate) async fn interrupt_attempts(c: &mut DbConn, ids: Vec<DeliveryId>, now: Time) -> Result<()> {
    diesel::update(
        attempts::table.filter(attempts::delivery_id.eq_any(ids)).filter(attempts::finished_at.is_null()),
    )
    .set((attempts::finished_at.eq(Some(now)), attempts::outcome.eq(Some(Outcome::Interrupted))))
    .execute(c)
    .await?;
    Ok(())
}

/// Closes a try.
pub(crate) async fn finish_attempt(
    c: &mut DbConn,
    delivery: &Delivery,
    now: Time,
    outcome: Outcome,
    detail: Option<&str>,
) -> Result<()> {
    let this = attempts::delivery_id.eq(delivery.id).and(attempts::number.eq(delivery.attempts));
    diesel::update(attempts::table.filter(this))
        .set((
            attempts::finished_at.eq(Some(now)),
            attempts::outcome.eq(Some(outcome)),
            attempts::detail.eq(detail.map(str::to_owned)),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// What a delivery is after a try that did not send it.
#[derive(Clone)]
pub(crate) struct Unsent {
    pub(crate) state: DeliveryState,
    pub(crate) due_at: Option<Time>,
    pub(crate) last_error: String,
}

/// Ends a claim without success; false when the claim was lost to another worker, and nothing is changed.
pub(crate) async fn settle_unsent(c: &mut DbConn, delivery: &Delivery, after: Unsent) -> Result<bool> {
    let held = deliveries::state.eq(DeliveryState::Sending).and(deliveries::attempts.eq(delivery.attempts));
    let settled = diesel::update(deliveries::table.find(delivery.id).filter(held))
        .set((
            deliveries::state.eq(after.state),
            deliveries::due_at.eq(after.due_at),
            deliveries::last_error.eq(Some(after.last_error)),
        ))
        .execute(c)
        .await?;
    Ok(settled > 0)
}

/// Marks a delivery as sent, also when the claim was lost meanwhile: it has left, and no further try is wanted. False
/// when it was done with before.
pub(crate) async fn settle_sent(c: &mut DbConn, delivery: &Delivery, now: Time) -> Result<bool> {
    let settled =
        diesel::update(deliveries::table.find(delivery.id).filter(deliveries::due_at.is_not_null()))
            .set((
                deliveries::state.eq(DeliveryState::Sent),
                deliveries::due_at.eq(None::<Time>),
                deliveries::last_error.eq(None::<String>),
                deliveries::sent_at.eq(Some(now)),
            ))
            .execute(c)
            .await?;
    Ok(settled > 0)
}

/// Queues what was parked of a message, with a new allowance of tries; how many deliveries that were.
pub(crate) async fn queue_parked(
    c: &mut DbConn,
    message: NotificationId,
    now: Time,
    tries: i64,
) -> Result<usize> {
    let parked = deliveries::message_id.eq(message).and(deliveries::state.eq(DeliveryState::Parked));
    let queued = diesel::update(deliveries::table.filter(parked))
        .set((
            deliveries::state.eq(DeliveryState::Queued),
            deliveries::due_at.eq(Some(now)),
            deliveries::last_attempt.eq(deliveries::attempts + tries),
        ))
        .execute(c)
        .await?;
    Ok(queued)
}

/// The deliveries of a message, by channel.
pub(crate) async fn of_message(c: &mut DbConn, message: NotificationId) -> Result<Vec<Delivery>> {
    let rows: Vec<Row> = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .order(deliveries::channel)
        .select(Row::as_select())
        .load(c)
        .await?;
    Ok(rows.into_iter().map(Delivery::from).collect())
}

/// The tries of these deliveries, in order.
pub(crate) async fn attempts_of(c: &mut DbConn, ids: Vec<DeliveryId>) -> Result<Vec<Attempt>> {
    let rows: Vec<AttemptRow> = attempts::table
        .filter(attempts::delivery_id.eq_any(ids))
        .order((attempts::delivery_id, attempts::number))
        .select(AttemptRow::as_select())
        .load(c)
        .await?;
    let attempt = |row: AttemptRow| Attempt {
        delivery: row.delivery_id,
        number: row.number,
        started_at: row.started_at,
        finished_at: row.finished_at,
        outcome: row.outcome,
        detail: row.detail,
    };
    Ok(rows.into_iter().map(attempt).collect())
}
