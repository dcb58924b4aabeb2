//! Reading the mailbox of development.

use crate::error::Error;
use crate::model::DeliveryId;
use crate::store;
use crate::store::mailbox::Item;

use super::Service;

/// How many messages the mailbox shows; older ones stay in the database.
const SHOWN: i64 = 200;

impl Service {
    /// What is in the mailbox, newest first.
    pub(crate) async fn read_mailbox(&self) -> Result<Vec<Item>, Error> {
        let mut c = self.db.read().await?;
        Ok(store::mailbox::newest(&mut c, SHOWN).await?)
    }

    /// One message of the mailbox.
    pub(crate) async fn read_mail(&self, id: DeliveryId) -> Result<Item, Error> {
        let mut c = self.db.read().await?;
        store::mailbox::find(&mut c, id).await?.ok_or(Error::NotFound)
    }
}
