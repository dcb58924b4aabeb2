//! What this module hears, from itself: that a session ended and that an account changed.
//!
//! Whoever ends a session or changes an account forgets what is remembered of it before he answers, unless his caller
//! left in the very moment of the commit and the rest of the request was dropped. Then this forgets it a moment later,
//! and tells permissions whether the account can be used; also when somebody got a role, or
//! came into a group.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::auth::{
    AccountEmailChanged, AccountPurged, AccountStateChanged, AccountVerified, AdministratorAppointed,
    PasswordChanged, SessionRevoked, StandingDoubted,
};
use contracts::permissions::{AssignmentCreated, GroupMemberAdded, Subject};
use contracts::{Error, Event, Fact};
use platform::bus::{Subscriber, Subscription};

use crate::Service;

/// Who here hears what, whether this module runs in this process or elsewhere.
pub const SUBSCRIPTIONS: &[Subscription] = &[FRESHNESS, STANDINGS];

const FRESHNESS: Subscription = Subscription {
    name: "auth.freshness",
    hears: &[
        SessionRevoked::TYPE,
        AccountVerified::TYPE,
        AccountStateChanged::TYPE,
        AccountEmailChanged::TYPE,
        AccountPurged::TYPE,
        AdministratorAppointed::TYPE,
        PasswordChanged::TYPE,
    ],
};

const STANDINGS: Subscription = Subscription {
    name: "auth.standings",
    hears: &[
        AccountStateChanged::TYPE,
        StandingDoubted::TYPE,
        AssignmentCreated::TYPE,
        GroupMemberAdded::TYPE,
    ],
};

/// The subscribers of this module.
#[must_use]
pub fn subscribers(service: &Arc<Service>) -> Vec<Arc<dyn Subscriber>> {
    vec![Arc::new(Freshness(Arc::clone(service))), Arc::new(Standings(Arc::clone(service)))]
}

struct Freshness(Arc<Service>);

#[async_trait]
impl Subscriber for Freshness {
    fn name(&self) -> &'static str {
        FRESHNESS.name
    }

    fn hears(&self) -> &'static [&'static str] {
        FRESHNESS.hears
    }

    /// Forgetting twice does no harm, so there is no inbox here.
    async fn hear(&self, event: &Event) -> contracts::Result<()> {
        match event.event_type.as_str() {
            SessionRevoked::TYPE => self.0.forget_standings(&[event.read::<SessionRevoked>()?.session]).await,
            PasswordChanged::TYPE => self.0.forget_account(event.read::<PasswordChanged>()?.user).await,
            _ => self.0.forget_account(event.subject.parse().map_err(Error::internal)?).await,
        }
        Ok(())
    }
}

/// Tells permissions what is true, should the change itself not have come to it.
struct Standings(Arc<Service>);

#[async_trait]
impl Subscriber for Standings {
    fn name(&self) -> &'static str {
        STANDINGS.name
    }

    fn hears(&self) -> &'static [&'static str] {
        STANDINGS.hears
    }

    /// What is told is what is true when it is told, so twice does no harm.
    async fn hear(&self, event: &Event) -> contracts::Result<()> {
        let caller = event.caller("auth");
        match event.event_type.as_str() {
            StandingDoubted::TYPE => {
                Ok(self.0.tell_standing(&caller, event.read::<StandingDoubted>()?.user).await?)
            }
            AssignmentCreated::TYPE => {
                self.appointed(event, &event.read::<AssignmentCreated>()?.subject).await
            }
            GroupMemberAdded::TYPE => self.appointed(event, &event.read::<GroupMemberAdded>()?.member).await,
            _ => Ok(self.0.repeat_standing(&caller, event.read::<AccountStateChanged>()?.user).await?),
        }
    }
}

impl Standings {
    /// Somebody may count as administrator from now on, whose address was proven before anybody asked, or elsewhere.
    async fn appointed(&self, event: &Event, subject: &Subject) -> contracts::Result<()> {
        match (subject.subject_type.as_str(), subject.id.parse()) {
            ("user", Ok(user)) => Ok(self.0.confirm_usable(&event.caller("auth"), user).await?),
            _ => Ok(()),
        }
    }
}
