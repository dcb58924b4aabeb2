//! Deleting a role that nobody uses any more.

use crate::error::Error;
use crate::model::RoleName;
use crate::service::{Service, grant, policy, record, roles};
use crate::store;
use contracts::Caller;
use contracts::permissions::RoleDeleted;
use platform::db::{self, DbConn};
use platform::http::IfMatch;
use platform::outbox;

impl Service {
    /// Deletes the role. Assignments of it that have ended go with it; one that lasts keeps it.
    ///
    /// Though nobody loses anything by it, the caller must hold what the role allows: whoever deletes a role may make
    /// another one of its name.
    pub(crate) async fn delete_role(
        &self,
        caller: &Caller,
        state: &IfMatch,
        name: &RoleName,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            store::graph::advance(tx).await?;
            let policy = policy::read(tx).await?;
            let role = policy.roles.get(name.as_str()).ok_or(Error::RoleNotFound)?;
            roles::changeable(role)?;
            state.check(role.revision)?;
            grant::check(tx, caller, &policy, &policy.roles.closure(role), None, now).await?;
            let used =
                !policy.roles.heirs(name).is_empty() || store::assignments::is_held(tx, name, now).await?;
            unused(used)?;
            store::assignments::delete_ended(tx, name, now).await?;
            store::roles::delete(tx, name).await.map_err(given_meanwhile)?;
            outbox::publish(tx, now, caller, &RoleDeleted { role: name.to_string() }).await?;
            record::role(tx, now, caller, "permissions.role.deleted", Some(role), None).await?;
            Ok(())
        };
        self.memory.changing_policy(self.db.transaction(work)).await
    }
}

fn unused(used: bool) -> Result<(), Error> {
    if used { Err(Error::RoleInUse) } else { Ok(()) }
}

/// Assigning takes no lock of the graph: the foreign key is what stops a role from going away under an assignment.
fn given_meanwhile(error: db::Error) -> Error {
    match error {
        db::Error::ForeignKey => Error::RoleInUse,
        other => other.into(),
    }
}
