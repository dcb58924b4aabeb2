//! What this module hears: that somebody was appointed administrator, that somebody proved his address, that an account
//! is gone for good, and its own changes.

use crate::error::Error;
use crate::model::{ADMIN, AssignmentDraft, Holder};
use crate::service::{Service, ensure};
use async_trait::async_trait;
use contracts::auth::{AccountPurged, AccountVerified, AdministratorAppointed};
use contracts::permissions::{
    AssignmentCreated, AssignmentDeleted, GroupCreated, GroupDeleted, GroupMemberAdded, GroupMemberRemoved,
    GroupUpdated, RoleCreated, RoleDeleted, RoleUpdated, Subject,
};
use contracts::{Event, Fact, UserId};
use platform::bus::{Subscriber, Subscription};
use platform::db::DbConn;
use platform::inbox;
use std::sync::Arc;

/// Who here hears what, whether this module runs in this process or elsewhere.
pub const SUBSCRIPTIONS: &[Subscription] = &[APPOINTMENTS, PROOFS, PURGES, FRESHNESS];

const APPOINTMENTS: Subscription =
    Subscription { name: "permissions.appointments", hears: &[AdministratorAppointed::TYPE] };

const PROOFS: Subscription = Subscription { name: "permissions.proofs", hears: &[AccountVerified::TYPE] };

const PURGES: Subscription = Subscription { name: "permissions.purges", hears: &[AccountPurged::TYPE] };

const FRESHNESS: Subscription = Subscription {
    name: "permissions.freshness",
    hears: &[
        RoleCreated::TYPE,
        RoleUpdated::TYPE,
        RoleDeleted::TYPE,
        AssignmentCreated::TYPE,
        AssignmentDeleted::TYPE,
        GroupCreated::TYPE,
        GroupUpdated::TYPE,
        GroupDeleted::TYPE,
        GroupMemberAdded::TYPE,
        GroupMemberRemoved::TYPE,
    ],
};

/// Everybody here who wants to hear something.
pub fn subscribers(service: &Arc<Service>) -> Vec<Arc<dyn Subscriber>> {
    vec![
        Arc::new(Appointments(Arc::clone(service))),
        Arc::new(Proofs(Arc::clone(service))),
        Arc::new(Purges(Arc::clone(service))),
        Arc::new(Freshness(Arc::clone(service))),
    ]
}

/// Makes whoever was appointed an administrator.
struct Appointments(Arc<Service>);

#[async_trait]
impl Subscriber for Appointments {
    fn name(&self) -> &'static str {
        APPOINTMENTS.name
    }

    fn hears(&self) -> &'static [&'static str] {
        APPOINTMENTS.hears
    }

    async fn hear(&self, event: &Event) -> contracts::Result<()> {
        let user = event.read::<AdministratorAppointed>()?.user;
        Ok(self.appoint(event, user).await?)
    }
}

impl Appointments {
    async fn appoint(&self, event: &Event, user: UserId) -> Result<(), Error> {
        let service = &self.0;
        let (now, caller) = (service.clock.now(), event.caller("permissions"));
        let role = ADMIN.parse().map_err(contracts::Error::internal)?;
        let draft = AssignmentDraft { subject: Holder::User(user), role, resource: None, expires_at: None };
        let work = async |tx: &mut DbConn| {
            if inbox::once(tx, self.name(), event.id, now).await? {
                ensure(tx, now, &caller, draft).await?;
            }
            Ok(())
        };
        service.changing_holder(user, service.db.transaction(work)).await
    }
}

/// Notes who proved his address.
struct Proofs(Arc<Service>);

#[async_trait]
impl Subscriber for Proofs {
    fn name(&self) -> &'static str {
        PROOFS.name
    }

    fn hears(&self) -> &'static [&'static str] {
        PROOFS.hears
    }

    /// Noting it twice does no harm, so there is no inbox here.
    async fn hear(&self, event: &Event) -> contracts::Result<()> {
        Ok(self.0.keep_proof(event.read::<AccountVerified>()?.user).await?)
    }
}

/// Forgets whoever is gone for good.
struct Purges(Arc<Service>);

#[async_trait]
impl Subscriber for Purges {
    fn name(&self) -> &'static str {
        PURGES.name
    }

    fn hears(&self) -> &'static [&'static str] {
        PURGES.hears
    }

    async fn hear(&self, event: &Event) -> contracts::Result<()> {
        let user = event.read::<AccountPurged>()?.user;
        let caller = event.caller("permissions");
        Ok(self.0.purge_person(self.name(), event.id, &caller, user).await?)
    }
}

/// Forgets what was kept when a change is heard of. The change forgot already, unless its process could not: when its
/// caller left in the very moment of the commit.
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
            AssignmentCreated::TYPE => self.forget(&event.read::<AssignmentCreated>()?.subject).await,
            AssignmentDeleted::TYPE => self.forget(&event.read::<AssignmentDeleted>()?.subject).await,
            GroupMemberAdded::TYPE => self.forget(&event.read::<GroupMemberAdded>()?.member).await,
            GroupMemberRemoved::TYPE => self.forget(&event.read::<GroupMemberRemoved>()?.member).await,
            _ => self.0.forget_policy().await,
        }
        Ok(())
    }
}

impl Freshness {
    async fn forget(&self, subject: &Subject) {
        if let Some(holder) = Holder::find(subject) {
            self.0.forget_holder(holder).await;
        }
    }
}
