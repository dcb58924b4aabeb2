//! The audit trail's queries.

use contracts::{AuditEventId, SessionId, Time};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::Value;

use super::{ActorType, Filter, Outcome, Record, Side};
use crate::db::{Db, DbConn, Json, Result};
use crate::schema::platform_audit_events as trail;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = trail, check_for_backend(Db), treat_none_as_default_value = false)]
struct Row {
    id: AuditEventId,
    at: Time,
    action: String,
    outcome: Outcome,
    actor_type: ActorType,
    actor_id: Option<String>,
    session_id: Option<SessionId>,
    request_id: String,
    client_address: Option<String>,
    user_agent: Option<String>,
    subject_type: String,
    subject_id: String,
    before: Option<Json<Value>>,
    after: Option<Json<Value>>,
}

pub(super) async fn insert(c: &mut DbConn, record: Record) -> Result<()> {
    diesel::insert_into(trail::table).values(Row::from(record)).execute(c).await?;
    Ok(())
}

pub(super) async fn page(
    c: &mut DbConn,
    filter: &Filter,
    after: Option<(Time, AuditEventId)>,
    limit: i64,
) -> Result<Vec<Record>> {
    let mut query = trail::table.select(Row::as_select()).into_boxed();
    if let Some(actor) = &filter.actor_id {
        query = query.filter(trail::actor_id.eq(actor));
    }
    if let Some(action) = &filter.action {
        query = query.filter(trail::action.eq(action));
    }
    if let Some(subject) = &filter.subject_id {
        query = query.filter(trail::subject_id.eq(subject));
    }
    if let Some(from) = filter.from {
        query = query.filter(trail::at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(trail::at.lt(to));
    }
    if let Some((at, id)) = after {
        // Sought in the index by the first half, and only then cut exactly.
        query = query.filter(trail::at.le(at)).filter(trail::at.lt(at).or(trail::id.lt(id)));
    }
    let rows: Vec<Row> = query.order((trail::at.desc(), trail::id.desc())).limit(limit).load(c).await?;
    Ok(rows.into_iter().map(Record::from).collect())
}

pub(super) async fn oldest(c: &mut DbConn, before: Time, limit: i64) -> Result<Vec<AuditEventId>> {
    let old = trail::table.filter(trail::at.lt(before)).order((trail::at, trail::id)).limit(limit);
    Ok(old.select(trail::id).load(c).await?)
}

pub(super) async fn delete(c: &mut DbConn, ids: Vec<AuditEventId>) -> Result<usize> {
    Ok(diesel::delete(trail::table.filter(trail::id.eq_any(ids))).execute(c).await?)
}

/// An entry that a person is at one end of.
#[derive(Queryable)]
pub(super) struct Found {
    pub(super) at: Time,
    pub(super) id: AuditEventId,
    /// It holds something that is to be forgotten.
    pub(super) tells: bool,
}

/// The next entries that the person is at this end of, newest first.
pub(super) async fn range(
    c: &mut DbConn,
    side: Side,
    person: &str,
    after: Option<(Time, AuditEventId)>,
    limit: i64,
) -> Result<Vec<Found>> {
    let place = trail::client_address.is_not_null().or(trail::user_agent.is_not_null());
    let values = trail::before.is_not_null().or(trail::after.is_not_null());
    let mut query = trail::table.select((trail::at, trail::id, place.or(values))).into_boxed();
    query = match side {
        Side::Subject => query.filter(trail::subject_id.eq(person)),
        Side::Actor => query.filter(trail::actor_id.eq(person)),
    };
    if let Some((at, id)) = after {
        query = query.filter(trail::at.le(at)).filter(trail::at.lt(at).or(trail::id.lt(id)));
    }
    Ok(query.order((trail::at.desc(), trail::id.desc())).limit(limit).load(c).await?)
}

/// Empties what tells of the person.
pub(super) async fn blank(c: &mut DbConn, side: Side, ids: Vec<AuditEventId>) -> Result<()> {
    let entries = trail::table.filter(trail::id.eq_any(ids));
    let place = (trail::client_address.eq(None::<String>), trail::user_agent.eq(None::<String>));
    let values = (trail::before.eq(None::<Json<Value>>), trail::after.eq(None::<Json<Value>>));
    match side {
        Side::Subject => diesel::update(entries).set((place, values)).execute(c).await?,
        Side::Actor => diesel::update(entries).set(place).execute(c).await?,
    };
    Ok(())
}

impl From<Record> for Row {
    fn from(record: Record) -> Self {
        Self {
            id: record.id,
            at: record.at,
            action: record.action,
            outcome: record.outcome,
            actor_type: record.actor_type,
            actor_id: record.actor_id,
            session_id: record.session,
            request_id: record.request_id,
            client_address: record.client_address,
            user_agent: record.user_agent,
            subject_type: record.subject_type,
            subject_id: record.subject_id,
            before: record.before.map(Json),
            after: record.after.map(Json),
        }
    }
}

impl From<Row> for Record {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            at: row.at,
            action: row.action,
            outcome: row.outcome,
            actor_type: row.actor_type,
            actor_id: row.actor_id,
            session: row.session_id,
            request_id: row.request_id,
            client_address: row.client_address,
            user_agent: row.user_agent,
            subject_type: row.subject_type,
            subject_id: row.subject_id,
            before: row.before.map(|Json(value)| value),
            after: row.after.map(|Json(value)| value),
        }
    }
}
