//! What this module does, one use case a file, and the contract it answers.
//!
//! Services begin and commit transactions. Every change is told to the world and to the audit trail in the
//! transaction of the change, and what was kept of the state before is forgotten before anybody has the answer.

mod assign_role;
mod assignments;
mod create_role;
mod delete_role;
mod evaluate;
mod grant;
mod list_holdings;
mod memory;
mod record;
mod remove_assignment;
mod roles;
mod sweep_assignments;
mod update_role;

pub(crate) use assign_role::ensure;
pub(crate) use list_holdings::{Holding, Source};

use crate::Settings;
use crate::model::AssignmentText;
use async_trait::async_trait;
use contracts::permissions::{
    AssignRole, AssignedRole, Decision, Evaluate, Permissions, SetStanding, Standing,
};
use contracts::{Caller, ExportPerson, PersonalData, UserId};
use memory::{Holders, Roles};
use platform::cache;
use platform::clock::Clock;
use platform::db::Database;

/// Roles, assignments and decisions.
pub struct Service {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    settings: Settings,
    roles: Roles,
    held: Holders,
}

impl Service {
    /// The service over this database. Switch the cache off where several processes share the database.
    #[must_use]
    pub fn new(db: Database, clock: Clock, settings: Settings, cache: &cache::Settings) -> Self {
        Self { db, clock, settings, roles: Roles::new(cache), held: Holders::new(cache) }
    }

    /// Makes decisions ask the database about what the user holds, once the returned guard is dropped.
    pub(crate) fn changing_holder(&self, user: UserId) -> impl Drop {
        self.held.changing(user)
    }

    /// Makes the next decision ask the database about all roles.
    pub(crate) fn forget_roles(&self) {
        self.roles.forget();
    }

    /// Makes the next decision ask the database about what the user holds.
    pub(crate) fn forget_holder(&self, user: UserId) {
        self.held.forget(user);
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[async_trait]
impl Permissions for Service {
    async fn evaluate(&self, _: &Caller, ask: Evaluate) -> contracts::Result<Decision> {
        Ok(Self::evaluate(self, &ask).await?.into())
    }

    async fn assign_role(&self, caller: &Caller, ask: AssignRole) -> contracts::Result<AssignedRole> {
        let AssignRole { subject, role, resource, expires_at } = ask;
        let text = AssignmentText { subject, role, resource, expires_at };
        Ok(AssignedRole { assignment: self.ensure_assignment(caller, text).await?.id })
    }

    async fn set_standing(&self, _: &Caller, _: SetStanding) -> contracts::Result<Standing> {
        Err(contracts::Error::unavailable("permissions.not_built", "This is not built yet."))
    }

    async fn export_person(&self, _: &Caller, _: ExportPerson) -> contracts::Result<PersonalData> {
        Err(contracts::Error::unavailable("permissions.not_built", "This is not built yet."))
    }
}
