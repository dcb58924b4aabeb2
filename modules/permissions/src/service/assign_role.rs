//! Giving a role to a user or a group.

use crate::error::Error;
use crate::model::{Assignment, AssignmentDraft, AssignmentText, Holder, Policy};
use crate::service::{Service, assignments, grant, policy};
use crate::store;
use contracts::{AssignmentId, Caller, Time};
use platform::db::{self, DbConn};
use platform::http::IdempotencyKey;
use platform::idempotency::{self, Answer};

impl Service {
    /// Makes an assignment and says so, in the form that `shape` gives the answer. One that is there already is a
    /// conflict.
    pub(crate) async fn create_assignment(
        &self,
        caller: &Caller,
        key: Option<&IdempotencyKey>,
        text: AssignmentText,
        shape: fn(&Assignment) -> contracts::Result<Answer>,
    ) -> Result<Answer, Error> {
        let now = self.clock.now();
        let draft = AssignmentDraft::parse(text, now)?;
        let subject = draft.subject;
        let work = async |tx: &mut DbConn| {
            idempotency::once(tx, now, key, async |tx| match give(tx, now, caller, draft).await? {
                Given::New(assignment) => Ok(shape(&assignment)?),
                Given::Already(_) => Err(Error::AssignmentExists),
            })
            .await
        };
        self.memory.changing_holder(subject, self.db.transaction(work)).await.map_err(unknown_is_input)
    }

    /// Sees to it that the user holds the role there, at least as long as asked.
    pub(crate) async fn ensure_assignment(
        &self,
        caller: &Caller,
        text: AssignmentText,
    ) -> Result<Assignment, Error> {
        let now = self.clock.now();
        let draft = AssignmentDraft::parse(text, now)?;
        let subject = draft.subject;
        let work = async |tx: &mut DbConn| ensure(tx, now, caller, draft).await;
        self.memory.changing_holder(subject, self.db.transaction(work)).await
    }
}

/// A name in the body that stands for nothing is the body's mistake.
fn unknown_is_input(error: Error) -> Error {
    match error {
        Error::RoleUnknown => {
            let told = contracts::Error::invalid("permissions.role_unknown", "There is no such role.");
            told.at("/role", "unknown", "There is no such role.").into()
        }
        Error::GroupUnknown => {
            let told = contracts::Error::invalid("permissions.group_unknown", "There is no such group.");
            told.at("/subject/id", "unknown", "There is no such group.").into()
        }
        other => other,
    }
}

/// What giving came to.
enum Given {
    /// It was made.
    New(Assignment),
    /// It was there.
    Already(Assignment),
}

/// The same as [`Service::ensure_assignment`], in a transaction that is open. One that ends too early is replaced.
pub(crate) async fn ensure(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    draft: AssignmentDraft,
) -> Result<Assignment, Error> {
    match give(tx, now, caller, draft.clone()).await? {
        Given::Already(there) if ends_before(&there, &draft) => {
            assignments::remove(tx, now, caller, there.id).await?;
            match give(tx, now, caller, draft).await? {
                Given::New(assignment) | Given::Already(assignment) => Ok(assignment),
            }
        }
        Given::New(assignment) | Given::Already(assignment) => Ok(assignment),
    }
}

fn ends_before(there: &Assignment, draft: &AssignmentDraft) -> bool {
    match (there.expires_at, draft.expires_at) {
        (Some(end), Some(wanted)) => end < wanted,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// One that has ended makes way; the unique indexes decide between two who give the same at once.
async fn give(tx: &mut DbConn, now: Time, caller: &Caller, draft: AssignmentDraft) -> Result<Given, Error> {
    let policy = fixed(tx, draft.subject).await?;
    let role = policy.roles.get(draft.role.as_str()).ok_or(Error::RoleUnknown)?;
    grant::check(tx, caller, &policy, &policy.roles.closure(role), draft.expires_at, now).await?;
    match twin(tx, &draft).await? {
        Some(there) if there.lasts_beyond(now) => return Ok(Given::Already(there)),
        Some(ended) => drop(assignments::remove(tx, now, caller, ended.id).await?),
        None => {}
    }
    let assignment = Assignment {
        id: AssignmentId::new(),
        subject: draft.subject,
        role: draft.role.clone(),
        resource: draft.resource.clone(),
        expires_at: draft.expires_at,
        created_at: now,
    };
    if store::assignments::insert(tx, &assignment).await.map_err(deleted_meanwhile)? {
        assignments::tell_created(tx, now, caller, &assignment).await?;
        return Ok(Given::New(assignment));
    }
    twin(tx, &draft).await?.map(Given::Already).ok_or(Error::AssignmentExists)
}

/// The policy. What a group holds is part of it, so giving to a group takes the lock and begins a new revision; a group
/// can't go away meanwhile.
async fn fixed(tx: &mut DbConn, subject: Holder) -> Result<Policy, Error> {
    let Holder::Group(group) = subject else { return Ok(policy::read(tx).await?) };
    store::graph::advance(tx).await?;
    let policy = policy::read(tx).await?;
    if policy.groups.contains(group) { Ok(policy) } else { Err(Error::GroupUnknown) }
}

async fn twin(tx: &mut DbConn, draft: &AssignmentDraft) -> db::Result<Option<Assignment>> {
    store::assignments::twin(tx, draft.subject, &draft.role, draft.resource.as_ref()).await
}

fn deleted_meanwhile(error: db::Error) -> Error {
    match error {
        db::Error::ForeignKey => Error::RoleUnknown,
        other => other.into(),
    }
}
