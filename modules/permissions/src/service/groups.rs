//! Reading groups and who is in them.

use crate::error::Error;
use crate::model::{Group, Holder, RoleName};
use crate::service::Service;
use crate::store;
use crate::store::members::Member;
use contracts::GroupId;

impl Service {
    /// One group.
    pub(crate) async fn get_group(&self, id: GroupId) -> Result<Group, Error> {
        let mut c = self.db.read().await?;
        store::groups::find(&mut c, id).await?.ok_or(Error::GroupNotFound)
    }

    /// The next groups by name, at most `limit`.
    pub(crate) async fn list_groups(
        &self,
        after: Option<&RoleName>,
        limit: i64,
    ) -> Result<Vec<Group>, Error> {
        let mut c = self.db.read().await?;
        Ok(store::groups::page(&mut c, after, limit).await?)
    }

    /// The next who are directly in a group, groups first, each by id; at most `limit`.
    pub(crate) async fn list_members(
        &self,
        group: GroupId,
        after: Option<Holder>,
        limit: i64,
    ) -> Result<Vec<Member>, Error> {
        let mut c = self.db.read().await?;
        store::groups::find(&mut c, group).await?.ok_or(Error::GroupNotFound)?;
        Ok(store::members::page(&mut c, group, after, limit).await?)
    }
}
