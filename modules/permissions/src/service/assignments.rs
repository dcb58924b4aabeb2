//! Reading assignments, and the two things that may happen to one, told to the world and to the audit trail.

use crate::error::Error;
use crate::model::Assignment;
use crate::service::{Service, record};
use crate::store;
use crate::store::assignments::Filter;
use contracts::permissions::{AssignmentCreated, AssignmentDeleted};
use contracts::{AssignmentId, Caller, Time};
use platform::db::{self, DbConn};
use platform::outbox;

impl Service {
    /// One assignment.
    pub(crate) async fn get_assignment(&self, id: AssignmentId) -> Result<Assignment, Error> {
        let mut c = self.db.read().await?;
        store::assignments::find(&mut c, id).await?.ok_or(Error::AssignmentNotFound)
    }

    /// The next assignments in the order they were made, ended ones included until they are swept.
    pub(crate) async fn list_assignments(&self, filter: &Filter) -> Result<Vec<Assignment>, Error> {
        let mut c = self.db.read().await?;
        Ok(store::assignments::page(&mut c, filter).await?)
    }
}

/// Tells that an assignment was made.
pub(super) async fn tell_created(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    assignment: &Assignment,
) -> db::Result<()> {
    let fact = AssignmentCreated {
        assignment: assignment.id,
        subject: assignment.subject.subject(),
        role: assignment.role.to_string(),
    };
    outbox::publish(tx, now, caller, &fact).await?;
    record::assignment(tx, now, caller, "permissions.assignment.created", None, Some(assignment)).await
}

/// Removes an assignment and tells so; nothing happens when it is gone already.
pub(super) async fn remove(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    id: AssignmentId,
) -> db::Result<Option<Assignment>> {
    let Some(assignment) = store::assignments::delete(tx, id).await? else { return Ok(None) };
    let fact = AssignmentDeleted {
        assignment: assignment.id,
        subject: assignment.subject.subject(),
        role: assignment.role.to_string(),
    };
    outbox::publish(tx, now, caller, &fact).await?;
    record::assignment(tx, now, caller, "permissions.assignment.deleted", Some(&assignment), None).await?;
    Ok(Some(assignment))
}
