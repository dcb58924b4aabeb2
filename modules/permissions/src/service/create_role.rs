//! Making a role.

use crate::error::Error;
use crate::model::{Role, RoleDraft, RoleName};
use crate::service::{Service, grant, policy, record};
use crate::store;
use contracts::Caller;
use contracts::permissions::RoleCreated;
use platform::db::DbConn;
use platform::http::IdempotencyKey;
use platform::idempotency::{self, Answer};
use platform::outbox;

impl Service {
    /// Makes a role and says so, in the form that `shape` gives the answer.
    ///
    /// The first statement takes the lock of the graph: what is checked against the other roles stays true until
    /// the commit.
    pub(crate) async fn create_role(
        &self,
        caller: &Caller,
        key: Option<&IdempotencyKey>,
        draft: RoleDraft,
        shape: fn(&Role) -> contracts::Result<Answer>,
    ) -> Result<Answer, Error> {
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            idempotency::once(tx, now, key, async |tx| {
                store::graph::advance(tx).await?;
                let policy = policy::read(tx).await?;
                free(&draft.name, policy.roles.get(draft.name.as_str()))?;
                let role = draft.into_role(None, now);
                policy.roles.check(&role).map_err(Error::Graph)?;
                grant::check_role(tx, caller, &policy, None, &role, now).await?;
                store::roles::insert(tx, &role).await?;
                let fact = RoleCreated { role: role.name.to_string() };
                outbox::publish(tx, now, caller, &fact).await?;
                record::role(tx, now, caller, "permissions.role.created", None, Some(&role)).await?;
                Ok(shape(&role)?)
            })
            .await
        };
        self.memory.changing_policy(self.db.transaction(work)).await
    }
}

fn free(name: &RoleName, there: Option<&Role>) -> Result<(), Error> {
    match there {
        _ if name.is_builtin() => Err(Error::RoleBuiltin),
        Some(_) => Err(Error::RoleExists),
        None => Ok(()),
    }
}
