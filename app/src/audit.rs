//! `GET /api/v1/audit-events`: the audit trail for administrators, whole wherever it is asked for. The trail is platform's;
//! who may read it is decided here, where permissions are known, and so is where its parts are.

use std::cmp::Reverse;
use std::sync::Arc;

use actix_web::get;
use actix_web::web::Data;
use contracts::trail::{ListEntries, Trail, TrailEntry};
use contracts::{AuditEventId, Caller, Error, SessionId, Time};
use futures_util::future::try_join_all;
use platform::http::{Allowed, Cursors, Limit, Page, Problem, Query, RightProblems};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

platform::rights! {
    /// May read the audit trail.
    pub(crate) ReadAuditEvents = "audit-events:read";
}

/// Which entries to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// At most so many entries.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: the `next_cursor` of the page before.
    cursor: Option<String>,
    /// Done by this user (id) or module (name).
    actor_id: Option<String>,
    /// Only this action, such as `auth.login.succeeded`.
    action: Option<String>,
    /// Done to this.
    subject_id: Option<String>,
    /// At this instant or later.
    from: Option<Time>,
    /// Before this instant.
    to: Option<Time>,
}

/// Who did it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditActor {
    /// `user`, `module` or `anonymous`.
    #[serde(rename = "type")]
    actor_type: String,
    /// The user's id or the module's name.
    id: Option<String>,
    /// The login it came from.
    session_id: Option<SessionId>,
}

/// What it was done to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditSubject {
    /// What kind of thing.
    #[serde(rename = "type")]
    subject_type: String,
    /// Its id.
    id: String,
}

/// An entry of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEvent {
    id: AuditEventId,
    /// When.
    at: Time,
    /// What was done, as a stable word.
    action: String,
    /// `succeeded`, `refused` or `failed`.
    outcome: String,
    actor: AuditActor,
    subject: AuditSubject,
    /// The request it belongs to; the same id stands in its answer and in the log.
    request_id: String,
    /// Where the request came from.
    ip: Option<String>,
    /// What the client said it is.
    user_agent: Option<String>,
    /// What was there, without secrets and addresses.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// What is there now, without secrets and addresses.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

impl From<TrailEntry> for AuditEvent {
    fn from(record: TrailEntry) -> Self {
        Self {
            id: record.id,
            at: record.at,
            action: record.action,
            outcome: record.outcome,
            actor: AuditActor {
                actor_type: record.actor_type,
                id: record.actor_id,
                session_id: record.session,
            },
            subject: AuditSubject { subject_type: record.subject_type, id: record.subject_id },
            request_id: record.request_id,
            ip: record.client_address,
            user_agent: record.user_agent,
            before: record.before,
            after: record.after,
        }
    }
}

/// The audit trail with all of its parts: of this process's database, and of every other service's.
pub(crate) struct WholeTrail(Vec<Arc<dyn Trail>>);

impl WholeTrail {
    pub(crate) fn new(parts: Vec<Arc<dyn Trail>>) -> Self {
        Self(parts)
    }

    /// At most `ask.limit` entries, newest first. An entry that is in several databases, because one was made of a copy
    /// of the other, is one.
    ///
    /// # Errors
    /// When a part can't be read: a page with gaps would pass for the whole.
    pub(crate) async fn list(&self, caller: &Caller, ask: &ListEntries) -> Result<Vec<TrailEntry>, Error> {
        let parts = self.0.iter().map(|part| part.list_entries(caller, ask.clone()));
        let parts = try_join_all(parts).await?;
        let mut all: Vec<TrailEntry> = parts.into_iter().flat_map(|part| part.items).collect();
        all.sort_by_key(|entry| Reverse((entry.at, entry.id)));
        all.dedup_by_key(|entry| entry.id);
        all.truncate(usize::try_from(ask.limit).unwrap_or(usize::MAX));
        Ok(all)
    }
}

const LIST: &str = "audit-events";

/// The audit trail, newest first
///
/// Needs the right `audit-events:read`.
#[utoipa::path(
    tag = "platform",
    params(AuditQuery),
    responses((status = 200, description = "A page of the trail.", body = Page<AuditEvent>), RightProblems)
)]
#[get("/api/v1/audit-events")]
pub(crate) async fn list_audit_events(
    reader: Allowed<ReadAuditEvents>,
    Query(query): Query<AuditQuery>,
    trail: Data<WholeTrail>,
    cursors: Data<Cursors>,
) -> Result<Page<AuditEvent>, Problem> {
    Ok(page(&trail, &cursors, &reader.user.caller, query).await?)
}

async fn page(
    trail: &WholeTrail,
    cursors: &Cursors,
    caller: &Caller,
    query: AuditQuery,
) -> Result<Page<AuditEvent>, Error> {
    let limit = query.limit.get();
    let ask = ListEntries {
        actor_id: query.actor_id,
        action: query.action,
        subject_id: query.subject_id,
        from: query.from,
        to: query.to,
        after: query.cursor.map(|cursor| cursors.decode(LIST, &cursor)).transpose()?,
        limit: limit + 1,
    };
    let mut records = trail.list(caller, &ask).await?;
    let more = records.len() > limit as usize;
    records.truncate(limit as usize);
    let last = records.last().filter(|_| more).map(|record| (record.at, record.id));
    let next_cursor = last.map(|position| cursors.encode(LIST, &position)).transpose()?;
    Ok(Page { items: records.into_iter().map(AuditEvent::from).collect(), next_cursor })
}
