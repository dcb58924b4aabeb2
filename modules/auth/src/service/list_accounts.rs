//! Accounts in the order of their ids, for whoever goes through all of them.

use contracts::Fields;
use contracts::auth::{Accounts, ListAccounts};

use super::Service;
use super::find_account::shared;
use super::register::broken;
use crate::error::Error;
use crate::store::accounts;

/// More than so many are not told at once.
const AT_MOST: u32 = 1_000;

impl Service {
    /// # Errors
    /// 422 for a limit above a thousand: fewer than asked for would look like the end.
    pub(super) async fn accounts(&self, ask: ListAccounts) -> Result<Accounts, Error> {
        if ask.limit > AT_MOST {
            let mut fields = Fields::default();
            fields.broken("/limit", "too_large", "At most 1000 accounts are listed at once.");
            return Err(broken(fields));
        }
        let found = accounts::page(&mut *self.db.read().await?, ask.after, ask.limit.into()).await?;
        Ok(Accounts { items: found.iter().map(shared).collect::<Result<_, Error>>()? })
    }
}
