//! What this module hears: that accounts come, change and go.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::auth::{
    AccountEmailChanged, AccountPurged, AccountRegistered, AccountStateChanged, AccountVerified,
};
use contracts::{Event, Fact};
use platform::bus::{Subscriber, Subscription};

use crate::error::Error;
use crate::service::Service;

/// Who here hears what, whether this module runs in this process or elsewhere.
pub const SUBSCRIPTIONS: &[Subscription] = &[PROFILES, DIRECTORY];

const PROFILES: Subscription =
    Subscription { name: "users.profiles", hears: &[AccountRegistered::TYPE, AccountPurged::TYPE] };

const DIRECTORY: Subscription = Subscription {
    name: "users.directory",
    hears: &[AccountVerified::TYPE, AccountStateChanged::TYPE, AccountEmailChanged::TYPE],
};

/// Everybody here who wants to hear something.
#[must_use]
pub fn subscribers(service: &Arc<Service>) -> Vec<Arc<dyn Subscriber>> {
    vec![Arc::new(Profiles(Arc::clone(service))), Arc::new(Directory(Arc::clone(service)))]
}

/// Makes a profile for whoever registered, and forgets whoever is gone.
struct Profiles(Arc<Service>);

#[async_trait]
impl Subscriber for Profiles {
    fn name(&self) -> &'static str {
        PROFILES.name
    }

    fn hears(&self) -> &'static [&'static str] {
        PROFILES.hears
    }

    async fn hear(&self, event: &Event) -> contracts::Result<()> {
        let heard = if event.is::<AccountPurged>() {
            let fact = event.read::<AccountPurged>()?;
            self.0.hear_purge(self.name(), event, fact.user).await
        } else {
            self.0.hear_registration(self.name(), event, event.read()?).await
        };
        Ok(heard?)
    }
}

/// Keeps the directory up with accounts that change.
struct Directory(Arc<Service>);

#[async_trait]
impl Subscriber for Directory {
    fn name(&self) -> &'static str {
        DIRECTORY.name
    }

    fn hears(&self) -> &'static [&'static str] {
        DIRECTORY.hears
    }

    async fn hear(&self, event: &Event) -> contracts::Result<()> {
        Ok(self.take_over(event).await?)
    }
}

impl Directory {
    async fn take_over(&self, event: &Event) -> Result<(), Error> {
        let user = if event.is::<AccountVerified>() {
            event.read::<AccountVerified>()?.user
        } else if event.is::<AccountStateChanged>() {
            event.read::<AccountStateChanged>()?.user
        } else {
            event.read::<AccountEmailChanged>()?.user
        };
        self.0.hear_change(event, user).await
    }
}
