//! Taking a role away.

use crate::error::Error;
use crate::model::{ADMIN, Assignment};
use crate::service::{Service, assignments};
use crate::store;
use contracts::{AssignmentId, Caller};
use platform::db::DbConn;

impl Service {
    /// Removes the assignment, unless it is the last administrator's.
    ///
    /// The lock of the graph comes first: of two who remove the last two administrators at once, the second counts
    /// after the first has committed.
    pub(crate) async fn remove_assignment(&self, caller: &Caller, id: AssignmentId) -> Result<(), Error> {
        let now = self.clock.now();
        let subject = self.get_assignment(id).await?.subject;
        let work = async |tx: &mut DbConn| {
            store::graph::lock(tx).await?;
            let removed = assignments::remove(tx, now, caller, id).await?.ok_or(Error::AssignmentNotFound)?;
            let left = store::assignments::count_lasting_administrators(tx).await?;
            somebody_is_left(&removed, left)?;
            Ok(())
        };
        let _changing = self.held.changing(subject);
        self.db.transaction(work).await
    }
}

/// Administrators who are one on a single resource, or for a while, don't count.
fn somebody_is_left(removed: &Assignment, left: i64) -> Result<(), Error> {
    let lasting =
        removed.role.as_str() == ADMIN && removed.resource.is_none() && removed.expires_at.is_none();
    if lasting && left == 0 { Err(Error::LastAdministrator) } else { Ok(()) }
}
