//! Making a group. It holds nothing and nobody is in it, so whoever may write groups may make one.

use crate::error::Error;
use crate::model::{Group, GroupDraft};
use crate::service::{Service, record};
use crate::store;
use contracts::permissions::GroupCreated;
use contracts::{Caller, GroupId};
use platform::db::{self, DbConn};
use platform::http::IdempotencyKey;
use platform::idempotency::{self, Answer};
use platform::outbox;

impl Service {
    /// Makes a group and says so, in the form that `shape` gives the answer.
    pub(crate) async fn create_group(
        &self,
        caller: &Caller,
        key: Option<&IdempotencyKey>,
        draft: GroupDraft,
        shape: fn(&Group) -> contracts::Result<Answer>,
    ) -> Result<Answer, Error> {
        let now = self.clock.now();
        let work = async |tx: &mut DbConn| {
            idempotency::once(tx, now, key, async |tx| {
                store::graph::advance(tx).await?;
                let group = draft.into_group(GroupId::new(), None, now);
                store::groups::insert(tx, &group).await.map_err(name_taken)?;
                let fact = GroupCreated { group: group.id, name: group.name.to_string() };
                outbox::publish(tx, now, caller, &fact).await?;
                record::group(tx, now, caller, "permissions.group.created", None, Some(&group)).await?;
                Ok(shape(&group)?)
            })
            .await
        };
        self.memory.changing_policy(self.db.transaction(work)).await
    }
}

/// Of two who choose a name at once, the unique index lets one have it.
pub(super) fn name_taken(error: db::Error) -> Error {
    match error {
        db::Error::Duplicate => Error::GroupExists,
        other => other.into(),
    }
}
