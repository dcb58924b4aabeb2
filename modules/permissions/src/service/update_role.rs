//! Giving a role a new state.

use crate::error::Error;
use crate::model::{Role, RoleDraft};
use crate::service::{Service, grant, policy, record, roles};
use crate::store;
use contracts::Caller;
use contracts::permissions::RoleUpdated;
use platform::db::DbConn;
use platform::http::IfMatch;
use platform::outbox;

impl Service {
    /// Writes the role's new state, if it is still in one that the caller means.
    ///
    /// Whoever holds the role, or one that inherits it, has the new permissions at once and has lost the old ones. That is
    /// why the caller must hold all of both, those he leaves as they are included.
    pub(crate) async fn update_role(
        &self,
        caller: &Caller,
        state: &IfMatch,
        draft: RoleDraft,
    ) -> Result<Role, Error> {
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            store::graph::advance(tx).await?;
            let policy = policy::read(tx).await?;
            let before = policy.roles.get(draft.name.as_str()).ok_or(Error::RoleNotFound)?;
            roles::changeable(before)?;
            state.check(before.revision)?;
            let role = draft.into_role(Some(before), now);
            policy.roles.check(&role).map_err(Error::Graph)?;
            grant::check_role(tx, caller, &policy, Some(before), &role, now).await?;
            store::roles::update(tx, &role).await?;
            let fact = RoleUpdated { role: role.name.to_string() };
            outbox::publish(tx, now, caller, &fact).await?;
            record::role(tx, now, caller, "permissions.role.updated", Some(before), Some(&role)).await?;
            Ok(role)
        };
        self.memory.changing_policy(self.db.transaction(work)).await
    }
}
