//! Reading one's own profile: what auth knows about the account, and what the person says about himself.

use contracts::auth::Account;
use contracts::{Caller, UserId};

use crate::error::Error;
use crate::model::Profile;
use crate::service::Service;

/// Somebody, from both sides.
#[derive(Debug)]
pub(crate) struct Me {
    pub(crate) account: Account,
    pub(crate) profile: Profile,
}

impl Me {
    /// Changes with every change of either side. Both revisions only ever rise, so their sum never comes back.
    pub(crate) fn revision(&self) -> i64 {
        self.account.revision.saturating_add(self.profile.revision)
    }
}

impl Service {
    /// # Errors
    /// 404 when the account is gone; 503.
    pub(crate) async fn read_profile(&self, caller: &Caller, user: UserId) -> Result<Me, Error> {
        let account = self.account(caller, user).await?;
        let profile = self.touch(caller, user).await?;
        Ok(Me { account, profile })
    }
}
