//! One account, as other modules see it.

use contracts::auth::Account;
use contracts::{EmailAddress, Error as Shared, UserId};

use super::Service;
use crate::error::Error;
use crate::{model, store};

impl Service {
    pub(super) async fn account(&self, id: UserId) -> Result<Option<Account>, Error> {
        let found = store::accounts::find(&mut *self.db.read().await?, id).await?;
        found.as_ref().map(shared).transpose()
    }
}

fn shared(account: &model::Account) -> Result<Account, Error> {
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
