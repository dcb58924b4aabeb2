//! The local bus: within one process the desks are all there is, and take events straight from the outbox.

use async_trait::async_trait;
use contracts::{Error, Event};

use super::Bus;
use super::desks::{Desks, Whose};

/// The bus of a Doorward that stands alone, or of replicas that share a database.
pub type LocalBus = Desks;

#[async_trait]
impl Bus for Desks {
    async fn publish(&self, events: &[Event]) -> Result<(), Error> {
        Ok(self.accept(events, Whose::Everybodys).await?)
    }
}
