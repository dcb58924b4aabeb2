//! Showing messages and what became of them.

use contracts::NotificationId;

use super::Service;
use crate::error::Error;
use crate::model::{Attempt, Delivery, Message};
use crate::store;
use crate::store::messages::Filter;

/// A delivery with its tries.
pub(crate) struct Tried {
    pub(crate) delivery: Delivery,
    pub(crate) attempts: Vec<Attempt>,
}

/// A message with all that was done about it.
pub(crate) struct Details {
    pub(crate) message: Message,
    pub(crate) deliveries: Vec<Tried>,
}

impl Service {
    /// At most `limit` messages, newest first.
    pub(crate) async fn list_messages(&self, filter: Filter, limit: i64) -> Result<Vec<Message>, Error> {
        let mut c = self.db.read().await?;
        Ok(store::messages::page(&mut c, filter, limit).await?)
    }

    /// One message with every delivery and every try.
    pub(crate) async fn get_message(&self, id: NotificationId) -> Result<Details, Error> {
        let mut c = self.db.read().await?;
        let message = store::messages::find(&mut c, id).await?.ok_or(Error::NotFound)?;
        let deliveries = store::deliveries::of_message(&mut c, id).await?;
        let ids = deliveries.iter().map(|delivery| delivery.id).collect();
        let attempts = store::deliveries::attempts_of(&mut c, ids).await?;
        let tried = |delivery: Delivery| {
            let its = attempts.iter().filter(|attempt| attempt.delivery == delivery.id).cloned();
            Tried { attempts: its.collect(), delivery }
        };
        Ok(Details { message, deliveries: deliveries.into_iter().map(tried).collect() })
    }
}
