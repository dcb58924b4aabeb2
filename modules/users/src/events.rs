//! What this module hears: that somebody registered.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::auth::AccountRegistered;
use contracts::{Event, Fact};
use platform::bus::Subscriber;
use platform::db::DbConn;
use platform::inbox;

use crate::error::Error;
use crate::service::{Service, fill};

/// Everybody here who wants to hear something.
#[must_use]
pub fn subscribers(service: &Arc<Service>) -> Vec<Arc<dyn Subscriber>> {
    vec![Arc::new(Profiles(Arc::clone(service)))]
}

/// Makes a profile for whoever registered.
struct Profiles(Arc<Service>);

#[async_trait]
impl Subscriber for Profiles {
    fn name(&self) -> &'static str {
        "users.profiles"
    }

    fn hears(&self) -> &'static [&'static str] {
        &[AccountRegistered::TYPE]
    }

    async fn hear(&self, event: &Event) -> contracts::Result<()> {
        Ok(self.take_over(event).await?)
    }
}

impl Profiles {
    async fn take_over(&self, event: &Event) -> Result<(), Error> {
        let fact = event.read::<AccountRegistered>()?;
        let (now, caller) = (self.0.clock.now(), event.caller("users"));
        let work = async |tx: &mut DbConn| {
            if inbox::once(tx, self.name(), event.id, now).await? {
                fill(tx, now, &caller, fact).await?;
            }
            Ok(())
        };
        self.0.db.transaction(work).await
    }
}
