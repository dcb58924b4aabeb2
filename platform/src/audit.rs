//! The audit trail: who did what to whom, when, from where, and what was there before and after.
//!
//! An entry commits with the change it tells of. The trail never decides anything, and this room does not decide who
//! may read it. It holds no secret and no e-mail address: see [`Entry`].

mod store;

use async_trait::async_trait;
use contracts::trail::{Entries, ListEntries, Trail, TrailEntry};
use contracts::{Actor, AuditEventId, Caller, SessionId, Time, UserId};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::db::{self, Database, DbConn};

crate::text_enum! {
    /// What became of it.
    pub enum Outcome {
        /// It was done.
        Succeeded = "succeeded",
        /// The actor may not, or could not prove who he is.
        Refused = "refused",
        /// It was tried and did not work.
        Failed = "failed",
    }

    /// What kind of actor did it.
    pub enum ActorType {
        /// Nobody we know.
        Anonymous = "anonymous",
        /// A person who is logged in.
        User = "user",
        /// A part of Doorward itself.
        Module = "module",
    }
}

/// What a service tells the trail.
///
/// `before` and `after` hold the fields that changed, already redacted by the caller: no secret, no hash of one, no
/// e-mail address, no phone number. Name such a field and write `true` or a mask for its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// A stable word, such as `auth.password.changed`.
    pub action: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// What kind of thing it was done to, such as `user`.
    pub subject_type: &'static str,
    /// Its id.
    pub subject_id: String,
    /// What was there, redacted.
    pub before: Option<Value>,
    /// What is there now, redacted.
    pub after: Option<Value>,
}

/// An entry as the trail keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: AuditEventId,
    /// When.
    pub at: Time,
    /// What was done.
    pub action: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What kind of actor did it.
    pub actor_type: ActorType,
    /// The user's id or the module's name.
    pub actor_id: Option<String>,
    /// The login it came from.
    pub session: Option<SessionId>,
    /// The request it belongs to.
    pub request_id: String,
    /// Where the request came from.
    pub client_address: Option<String>,
    /// What the client said it is.
    pub user_agent: Option<String>,
    /// What kind of thing it was done to.
    pub subject_type: String,
    /// Its id.
    pub subject_id: String,
    /// What was there.
    pub before: Option<Value>,
    /// What is there now.
    pub after: Option<Value>,
}

impl From<Record> for TrailEntry {
    fn from(record: Record) -> Self {
        Self {
            id: record.id,
            at: record.at,
            action: record.action,
            outcome: record.outcome.as_str().to_owned(),
            actor_type: record.actor_type.as_str().to_owned(),
            actor_id: record.actor_id,
            session: record.session,
            request_id: record.request_id,
            client_address: record.client_address,
            user_agent: record.user_agent,
            subject_type: record.subject_type,
            subject_id: record.subject_id,
            before: record.before,
            after: record.after,
        }
    }
}

/// The trail of this process's own database, as other processes ask for it.
#[derive(Clone, Debug)]
pub struct OwnTrail(pub Database);

#[async_trait]
impl Trail for OwnTrail {
    async fn list_entries(&self, _: &Caller, ask: ListEntries) -> contracts::Result<Entries> {
        let ListEntries { actor_id, action, subject_id, from, to, after, limit } = ask;
        let filter = Filter { actor_id, action, subject_id, from, to };
        let found = list(&mut *self.0.read().await?, &filter, after, limit.min(LONGEST_PAGE)).await?;
        Ok(Entries { items: found.into_iter().map(TrailEntry::from).collect() })
    }
}

/// Which entries to list; what is `None` does not narrow.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Done by this user (id) or module (name).
    pub actor_id: Option<String>,
    /// This action.
    pub action: Option<String>,
    /// Done to this.
    pub subject_id: Option<String>,
    /// At this instant or later.
    pub from: Option<Time>,
    /// Before this instant.
    pub to: Option<Time>,
}

/// No page is longer, in entries.
const LONGEST_PAGE: u32 = 10_001;

/// Writes an entry in the caller's transaction.
///
/// # Errors
/// When the database does not answer.
pub async fn record(tx: &mut DbConn, now: Time, caller: &Caller, entry: Entry) -> db::Result<()> {
    let (actor_type, actor_id, session) = match &caller.actor {
        Actor::Anonymous => (ActorType::Anonymous, None, None),
        Actor::User { id, session } => (ActorType::User, Some(id.to_string()), Some(*session)),
        Actor::Module { name } => (ActorType::Module, Some(name.clone()), None),
    };
    let record = Record {
        id: AuditEventId::new(),
        at: now,
        action: entry.action.to_owned(),
        outcome: entry.outcome,
        actor_type,
        actor_id,
        session,
        request_id: caller.request_id.clone(),
        client_address: caller.client_address.map(|address| address.to_string()),
        user_agent: caller.user_agent.clone(),
        subject_type: entry.subject_type.to_owned(),
        subject_id: entry.subject_id,
        before: entry.before,
        after: entry.after,
    };
    store::insert(tx, record).await
}

/// At most `limit` entries, newest first, after the entry that `after` stands for (the `at` and `id` of the last one
/// of the page before).
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    c: &mut DbConn,
    filter: &Filter,
    after: Option<(Time, AuditEventId)>,
    limit: u32,
) -> db::Result<Vec<Record>> {
    store::page(c, filter, after, i64::from(limit)).await
}

/// Forgets entries that were made before this instant, the oldest first, at most [`SWEEP_BATCH`](crate::SWEEP_BATCH) a
/// call; call again until it returns 0.
///
/// # Errors
/// When the database does not answer.
pub async fn sweep(tx: &mut DbConn, before: Time) -> db::Result<usize> {
    let old = store::oldest(tx, before, crate::SWEEP_BATCH).await?;
    store::delete(tx, old).await
}

/// Takes out of the trail what tells of a person who is gone: the values before and after of every entry about that
/// person; the client's address, and what the client said it is, of every entry about or by that person. What was done,
/// when, to whom, and the person's id as a pseudonym stay: what an administrator did to others is still told when he is
/// gone. In ranges, each by itself, until it is told to stop.
pub(crate) async fn forget(db: &Database, person: UserId, stop: &CancellationToken) -> db::Result<()> {
    let person = person.to_string();
    for side in [Side::Subject, Side::Actor] {
        let mut after = None;
        while !stop.is_cancelled() {
            let range =
                store::range(&mut *db.read().await?, side, &person, after, crate::SWEEP_BATCH).await?;
            let Some(last) = range.last() else { break };
            after = Some((last.at, last.id));
            let telling: Vec<_> = range.iter().filter(|it| it.tells).map(|it| it.id).collect();
            if !telling.is_empty() {
                store::blank(&mut *db.write().await?, side, telling).await?;
            }
        }
    }
    Ok(())
}

/// Which end of an entry a person is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// It was done to the person.
    Subject,
    /// The person did it.
    Actor,
}
