//! Giving a group another name or description. What it holds and who is in it is not changed by that.

use crate::error::Error;
use crate::model::{Group, GroupDraft};
use crate::service::create_group::name_taken;
use crate::service::{Service, grant, policy, record};
use crate::store;
use contracts::permissions::GroupUpdated;
use contracts::{Caller, GroupId};
use platform::db::DbConn;
use platform::http::IfMatch;
use platform::outbox;

impl Service {
    /// Writes the group's new state, if it is still in one that the caller means.
    ///
    /// The caller must hold what being in the group brings: those who put people into groups go by the name.
    pub(crate) async fn update_group(
        &self,
        caller: &Caller,
        state: &IfMatch,
        id: GroupId,
        draft: GroupDraft,
    ) -> Result<Group, Error> {
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            store::graph::advance(tx).await?;
            let before = store::groups::find(tx, id).await?.ok_or(Error::GroupNotFound)?;
            state.check(before.revision)?;
            let policy = policy::read(tx).await?;
            grant::check_group(tx, caller, &policy, id, now).await?;
            let group = draft.into_group(id, Some(&before), now);
            store::groups::update(tx, &group).await.map_err(name_taken)?;
            let fact = GroupUpdated { group: id, name: group.name.to_string() };
            outbox::publish(tx, now, caller, &fact).await?;
            record::group(tx, now, caller, "permissions.group.updated", Some(&before), Some(&group)).await?;
            Ok(group)
        };
        self.memory.changing_policy(self.db.transaction(work)).await
    }
}
