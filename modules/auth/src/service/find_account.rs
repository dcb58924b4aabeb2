//! One account, as other modules see it.
//!
//! It is asked for with every look at a profile, so what is asked for often is kept in memory. Whatever changes an
//! account forgets it after its commit and before its own answer.

use contracts::auth::Account;
use contracts::{EmailAddress, Error as Shared, UserId};
use platform::cache::Invalidation;

use super::Service;
use crate::error::Error;
use crate::{model, store};

impl Service {
    pub(super) async fn account(&self, id: UserId) -> Result<Option<Account>, Error> {
        self.accounts
            .get_or_load(&id, async || {
                let found = store::accounts::find(&mut *self.db.read().await?, id).await?;
                found.as_ref().map(shared).transpose()
            })
            .await
    }

    /// To be called after the commit that changed the account, and awaited before anybody is told of the change.
    pub(crate) fn forget_account(&self, id: UserId) -> Invalidation {
        self.accounts.invalidate(&id)
    }
}

/// The account in the words of the contract.
pub(super) fn shared(account: &model::Account) -> Result<Account, Error> {
    Ok(Account {
        id: account.id,
        email: EmailAddress::parse(&account.email.0).map_err(Shared::internal)?,
        email_verified: account.verified_at.is_some(),
        state: account.state,
        revision: account.revision,
        created_at: account.created_at,
        updated_at: account.updated_at,
    })
}
