//! Deliveries and their tries: claimed by lease, ended by whoever holds the claim.
//!
//! The number of the try is the claim. A worker whose lease ran out and was taken over has an old number: it can still
//! say that the message has left, and nothing else.
//!
//! Rows are locked in one order: delivery, tries, message. So no two workers wait for each other.

use contracts::{NotificationId, Time};
use diesel::dsl::{AsSelect, count_star, exists, not};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Result, SkipLockedExt};

use crate::model::{Attempt, AttemptId, Delivery, DeliveryId, DeliveryState, Medium, Outcome, Reason, Taken};
use crate::schema::{notifications_attempts as attempts, notifications_deliveries as deliveries};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = deliveries, check_for_backend(Db), treat_none_as_default_value = false)]
struct Row {
    id: DeliveryId,
    message_id: NotificationId,
    channel: String,
    state: String,
    reason: Option<String>,
    attempts: i64,
    last_attempt: i64,
    due_at: Option<Time>,
    expires_at: Time,
    admitted: bool,
    rfc_message_id: String,
    last_error: Option<String>,
    sent_at: Option<Time>,
    provider: Option<String>,
    provider_ref: Option<String>,
    segments: Option<i64>,
    receipt_at: Option<Time>,
    urgent: bool,
}

impl From<&Delivery> for Row {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id,
            message_id: delivery.message,
            channel: delivery.medium.as_str().to_owned(),
            state: delivery.state.as_str().to_owned(),
            reason: delivery.reason.map(|reason| reason.as_str().to_owned()),
            attempts: delivery.attempts,
            last_attempt: delivery.last_attempt,
            due_at: delivery.due_at,
            expires_at: delivery.expires_at,
            admitted: delivery.admitted,
            rfc_message_id: delivery.rfc_message_id.clone(),
            last_error: delivery.last_error.clone(),
            sent_at: delivery.sent_at,
            provider: delivery.provider.clone(),
            provider_ref: delivery.provider_ref.clone(),
            segments: delivery.segments,
            receipt_at: delivery.receipt_at,
            urgent: delivery.urgent,
        }
    }
}

impl Row {
    /// None when only a newer version knows its channel or its state. A reason that only a newer version knows is left out:
    /// the sentence says the same.
    fn delivery(self) -> Option<Delivery> {
        let row = self;
        Some(Delivery {
            id: row.id,
            message: row.message_id,
            medium: Medium::from_word(&row.channel)?,
            state: DeliveryState::from_word(&row.state)?,
            reason: row.reason.as_deref().and_then(Reason::from_word),
            attempts: row.attempts,
            last_attempt: row.last_attempt,
            due_at: row.due_at,
            expires_at: row.expires_at,
            admitted: row.admitted,
            rfc_message_id: row.rfc_message_id,
            last_error: row.last_error,
            sent_at: row.sent_at,
            provider: row.provider,
            provider_ref: row.provider_ref,
            segments: row.segments,
            receipt_at: row.receipt_at,
            urgent: row.urgent,
        })
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
    outcome: Option<String>,
    reason: Option<String>,
    provider: Option<String>,
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

/// When the first of those that are left is due, or of the urgent ones among them; none when none is left.
pub(crate) async fn first_due(c: &mut DbConn, only_urgent: bool) -> Result<Option<Time>> {
    let first: Option<Option<Time>> = match only_urgent {
        true => first_urgent().first(c).await.optional()?,
        false => first_of_all().first(c).await.optional()?,
    };
    Ok(first.flatten())
}

#[diesel::dsl::auto_type]
fn first_of_all() -> _ {
    deliveries::table
        .filter(deliveries::due_at.is_not_null())
        .order(deliveries::due_at)
        .select(deliveries::due_at)
}

#[diesel::dsl::auto_type]
fn first_urgent() -> _ {
    first_of_all().filter(deliveries::urgent.eq(true))
}

/// At most `limit` deliveries, urgent or not, that are due and that no other worker is claiming right now, the longest due
/// first.
pub(crate) async fn due(c: &mut DbConn, now: Time, urgent: bool, limit: i64) -> Result<Vec<Delivery>> {
    let rows: Vec<Row> = due_query(now, urgent, limit).skip_locked_rows().load(c).await?;
    Ok(rows.into_iter().filter_map(Row::delivery).collect())
}

/// What only a newer version knows how to send is left to it.
#[diesel::dsl::auto_type]
fn due_query(now: Time, urgent: bool, limit: i64) -> _ {
    let channels: Vec<Medium> = Medium::ALL.to_vec();
    let states: Vec<DeliveryState> = vec![DeliveryState::Queued, DeliveryState::Sending];
    let row: AsSelect<Row, Db> = Row::as_select();
    deliveries::table
        .filter(deliveries::urgent.eq(urgent))
        .filter(deliveries::due_at.le(now))
        .filter(deliveries::state.eq_any(states))
        .filter(deliveries::channel.eq_any(channels))
        .order((deliveries::due_at, deliveries::id))
        .limit(limit)
        .select(row)
}

/// Ends every claim: what is being sent is due now.
pub(crate) async fn release(c: &mut DbConn, now: Time) -> Result<usize> {
    let sending = deliveries::state.eq(DeliveryState::Sending).and(deliveries::due_at.gt(now));
    let claimed = deliveries::table.filter(sending);
    Ok(diesel::update(claimed).set(deliveries::due_at.eq(Some(now))).execute(c).await?)
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
            reason: None,
            provider: None,
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

/// How a try ended.
pub(crate) struct Ending<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) reason: Option<Reason>,
    pub(crate) provider: Option<&'a str>,
    pub(crate) detail: Option<&'a str>,
}

/// Closes a try.
pub(crate) async fn finish_attempt(
    c: &mut DbConn,
    delivery: &Delivery,
    now: Time,
    ending: Ending<'_>,
) -> Result<()> {
    let this = attempts::delivery_id.eq(delivery.id).and(attempts::number.eq(delivery.attempts));
    diesel::update(attempts::table.filter(this))
        .set((
            attempts::finished_at.eq(Some(now)),
            attempts::outcome.eq(Some(ending.outcome)),
            attempts::reason.eq(ending.reason),
            attempts::provider.eq(ending.provider.map(str::to_owned)),
            attempts::detail.eq(ending.detail.map(str::to_owned)),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// What a delivery is after a try that did not send it.
#[derive(Clone)]
pub(crate) struct Unsent {
    pub(crate) state: DeliveryState,
    pub(crate) reason: Reason,
    pub(crate) due_at: Option<Time>,
    pub(crate) last_error: String,
}

/// Ends a claim without success; false when the claim was lost to another worker, and nothing is changed.
pub(crate) async fn settle_unsent(c: &mut DbConn, delivery: &Delivery, after: Unsent) -> Result<bool> {
    let held = deliveries::state.eq(DeliveryState::Sending).and(deliveries::attempts.eq(delivery.attempts));
    let settled = diesel::update(deliveries::table.find(delivery.id).filter(held))
        .set((
            deliveries::state.eq(after.state),
            deliveries::reason.eq(Some(after.reason)),
            deliveries::due_at.eq(after.due_at),
            deliveries::last_error.eq(Some(after.last_error)),
        ))
        .execute(c)
        .await?;
    Ok(settled > 0)
}

/// Marks a delivery as sent, also when the claim was lost meanwhile: it has left, and no further try is wanted. False
/// when it was done with before.
pub(crate) async fn settle_sent(
    c: &mut DbConn,
    delivery: &Delivery,
    now: Time,
    taken: &Taken,
    segments: Option<i64>,
) -> Result<bool> {
    let settled =
        diesel::update(deliveries::table.find(delivery.id).filter(deliveries::due_at.is_not_null()))
            .set((
                deliveries::state.eq(DeliveryState::Sent),
                deliveries::reason.eq(None::<Reason>),
                deliveries::provider.eq(taken.provider.map(str::to_owned)),
                deliveries::provider_ref.eq(taken.reference.clone()),
                deliveries::segments.eq(segments),
                deliveries::due_at.eq(None::<Time>),
                deliveries::last_error.eq(None::<String>),
                deliveries::sent_at.eq(Some(now)),
            ))
            .execute(c)
            .await?;
    Ok(settled > 0)
}

/// Queues what was given up of a message (also what did not arrive, and what was over a limit), with a new allowance
/// of tries; how many deliveries that were.
///
/// What may have left before is counted against the limits again, and a short message always, because it may have cost
/// something. Who took it before and what became of that only the tries still tell: it is not the next one's.
pub(crate) async fn queue_given_up(
    c: &mut DbConn,
    message: NotificationId,
    now: Time,
    expires_at: Time,
    tries: i64,
) -> Result<usize> {
    let given_up = deliveries::state.eq_any(vec![DeliveryState::Parked, DeliveryState::Undelivered]).or(
        deliveries::state
            .eq(DeliveryState::Suppressed)
            .and(deliveries::reason.assume_not_null().eq_any(vec![Reason::OverLimit, Reason::BudgetSpent])),
    );
    let unsure = vec![Outcome::Sent, Outcome::Temporary, Outcome::Interrupted];
    let not_refused = attempts::outcome.is_null().or(attempts::outcome.assume_not_null().eq_any(unsure));
    let its_tries = attempts::table.filter(attempts::delivery_id.eq(deliveries::id));
    let may_have_left = deliveries::channel.eq(Medium::Sms).or(exists(its_tries.filter(not_refused)));
    let queued = diesel::update(deliveries::table.filter(deliveries::message_id.eq(message).and(given_up)))
        .set((
            deliveries::state.eq(DeliveryState::Queued),
            deliveries::due_at.eq(Some(now)),
            deliveries::expires_at.eq(expires_at),
            deliveries::last_attempt.eq(deliveries::attempts + tries),
            deliveries::admitted.eq(deliveries::admitted.and(not(may_have_left))),
            deliveries::provider.eq(None::<String>),
            deliveries::provider_ref.eq(None::<String>),
            deliveries::segments.eq(None::<i64>),
            deliveries::sent_at.eq(None::<Time>),
            deliveries::receipt_at.eq(None::<Time>),
        ))
        .execute(c)
        .await?;
    Ok(queued)
}

/// Counts a delivery against the limits; false when it was counted before.
pub(crate) async fn admit(c: &mut DbConn, id: DeliveryId) -> Result<bool> {
    let first = deliveries::table.find(id).filter(deliveries::admitted.eq(false));
    Ok(diesel::update(first).set(deliveries::admitted.eq(true)).execute(c).await? > 0)
}

/// One delivery, or none.
pub(crate) async fn find(c: &mut DbConn, id: DeliveryId) -> Result<Option<Delivery>> {
    let row: Option<Row> = deliveries::table.find(id).select(Row::as_select()).first(c).await.optional()?;
    Ok(row.and_then(Row::delivery))
}

/// What a receipt says of a delivery.
#[derive(Clone)]
pub(crate) struct Arrived<'a> {
    pub(crate) state: DeliveryState,
    pub(crate) reason: Option<Reason>,
    pub(crate) provider: &'a str,
    pub(crate) reference: Option<String>,
    pub(crate) last_error: Option<String>,
}

/// Writes down what a receipt says of a delivery, and that no further try is wanted; false when it is not any more what
/// it was before.
pub(crate) async fn settle_receipt(
    c: &mut DbConn,
    before: &Delivery,
    now: Time,
    after: Arrived<'_>,
) -> Result<bool> {
    let same = deliveries::state.eq(before.state).and(deliveries::attempts.eq(before.attempts));
    let settled = diesel::update(deliveries::table.find(before.id).filter(same))
        .set((
            deliveries::state.eq(after.state),
            deliveries::reason.eq(after.reason),
            deliveries::due_at.eq(None::<Time>),
            deliveries::last_error.eq(after.last_error),
            deliveries::sent_at.eq(before.sent_at.or(Some(now))),
            deliveries::provider.eq(Some(after.provider.to_owned())),
            deliveries::provider_ref.eq(before.provider_ref.clone().or(after.reference)),
            deliveries::receipt_at.eq(Some(now)),
        ))
        .execute(c)
        .await?;
    Ok(settled > 0)
}

/// The deliveries of these messages, by message and channel.
pub(crate) async fn of_messages(c: &mut DbConn, messages: Vec<NotificationId>) -> Result<Vec<Delivery>> {
    let rows: Vec<Row> = deliveries::table
        .filter(deliveries::message_id.eq_any(messages))
        .order((deliveries::message_id, deliveries::channel))
        .select(Row::as_select())
        .load(c)
        .await?;
    Ok(rows.into_iter().filter_map(Row::delivery).collect())
}

/// The deliveries of a message, by channel.
pub(crate) async fn of_message(c: &mut DbConn, message: NotificationId) -> Result<Vec<Delivery>> {
    let rows: Vec<Row> = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .order(deliveries::channel)
        .select(Row::as_select())
        .load(c)
        .await?;
    Ok(rows.into_iter().filter_map(Row::delivery).collect())
}

/// The states of a message's deliveries. What only a newer version calls so is not over for this one.
pub(crate) async fn states_of_message(c: &mut DbConn, message: NotificationId) -> Result<Vec<DeliveryState>> {
    let words: Vec<String> = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .select(deliveries::state)
        .load(c)
        .await?;
    let state = |word: String| DeliveryState::from_word(&word).unwrap_or(DeliveryState::Queued);
    Ok(words.into_iter().map(state).collect())
}

/// The ids of the deliveries of these messages.
pub(crate) async fn ids_of_messages(
    c: &mut DbConn,
    messages: Vec<NotificationId>,
) -> Result<Vec<DeliveryId>> {
    let its = deliveries::table.filter(deliveries::message_id.eq_any(messages));
    Ok(its.select(deliveries::id).load(c).await?)
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
        outcome: row.outcome.as_deref().and_then(Outcome::from_word),
        reason: row.reason.as_deref().and_then(Reason::from_word),
        provider: row.provider,
        detail: row.detail,
    };
    Ok(rows.into_iter().map(attempt).collect())
}

/// Whether a try never ended, as far as is known here: it goes on, or its worker is gone.
pub(crate) async fn is_open(c: &mut DbConn, delivery: DeliveryId, number: i64) -> Result<bool> {
    let open = attempts::outcome.is_null().or(attempts::outcome.assume_not_null().eq(Outcome::Interrupted));
    let this = attempts::delivery_id.eq(delivery).and(attempts::number.eq(number));
    let count: i64 = attempts::table.filter(this.and(open)).select(count_star()).first(c).await?;
    Ok(count > 0)
}

/// Deletes these deliveries with their tries.
pub(crate) async fn delete(c: &mut DbConn, ids: Vec<DeliveryId>) -> Result<usize> {
    Ok(diesel::delete(deliveries::table.filter(deliveries::id.eq_any(ids))).execute(c).await?)
}

#[cfg(test)]
#[path = "plans.rs"]
mod plans;
