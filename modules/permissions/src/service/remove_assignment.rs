//! Taking a role away.

use crate::error::Error;
use crate::model::Holder;
use crate::service::{Service, assignments, grant, guard, policy};
use crate::store;
use contracts::{AssignmentId, Caller};
use platform::db::DbConn;

impl Service {
    /// Removes the assignment, unless the caller could not give it, or nobody would be left who is administrator.
    ///
    /// The lock of the graph comes first: of two who remove the last two administrators at once, the second counts
    /// after the first has committed. What a group holds is part of the policy, so that is a new revision of it.
    pub(crate) async fn remove_assignment(&self, caller: &Caller, id: AssignmentId) -> Result<(), Error> {
        let now = self.clock.now();
        let subject = self.get_assignment(id).await?.subject;
        let work = async |tx: &mut DbConn| {
            match subject {
                Holder::User(_) => store::graph::lock(tx).await?,
                Holder::Group(_) => store::graph::advance(tx).await?,
            };
            let before = guard::before(tx).await?;
            let policy = policy::read(tx).await?;
            let assignment = store::assignments::find(tx, id).await?.ok_or(Error::AssignmentNotFound)?;
            grant::check_removal(tx, caller, &policy, &assignment, now).await?;
            assignments::remove(tx, now, caller, id).await?.ok_or(Error::AssignmentNotFound)?;
            guard::after(tx, before).await
        };
        self.memory.changing_holder(subject, self.db.transaction(work)).await
    }
}
