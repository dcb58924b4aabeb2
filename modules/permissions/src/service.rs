//! What this module does, one use case a file, and the contract it answers.
//!
//! Services begin and commit transactions. Every change is told to the world and to the audit trail in the
//! transaction of the change, and what was kept of the state before is forgotten before anybody has the answer.

mod assign_role;
mod assignments;
mod create_group;
mod create_role;
mod delete_group;
mod delete_role;
mod evaluate;
mod evaluate_all;
mod export_person;
mod find_outranking;
mod grant;
mod groups;
mod guard;
mod hot;
mod list_holdings;
mod members;
mod memory;
mod policy;
mod prove_administrators;
mod purge_person;
mod record;
mod remove_assignment;
mod roles;
mod search;
mod set_standing;
mod sweep_assignments;
mod update_group;
mod update_role;

pub(crate) use assign_role::ensure;
pub(crate) use evaluate_all::{Answer, Explanation, Semantic};
pub(crate) use list_holdings::{HeldRole, Holding, Source, Through};

use crate::Settings;
use crate::model::{AssignmentText, Holder};
use async_trait::async_trait;
use contracts::permissions::{
    AssignRole, AssignedRole, Decision, Evaluate, FindOutranking, Outranking, Permissions, SetStanding,
    Standing,
};
use contracts::{Caller, ExportPerson, PersonalData, UserId};
use evaluate::Meter;
use memory::Memory;
use platform::cache::{Caches, Invalidation};
use platform::clock::Clock;
use platform::db::Database;

/// Roles, groups, assignments and decisions.
pub struct Service {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    settings: Settings,
    memory: Memory,
    meter: Meter,
}

impl Service {
    /// The service over this database.
    #[must_use]
    pub fn new(db: Database, clock: Clock, settings: Settings, caches: &Caches) -> Self {
        Self { db, clock, settings, memory: Memory::new(caches), meter: Meter::new() }
    }

    /// Makes decisions ask the database about what the user holds, after this work.
    pub(crate) async fn changing_holder<T>(&self, user: UserId, work: impl Future<Output = T>) -> T {
        self.memory.changing_user(user, work).await
    }

    /// Makes the next decision ask the database about all roles and groups.
    pub(crate) fn forget_policy(&self) -> Invalidation {
        self.memory.forget_policy()
    }

    /// Makes the next decision ask the database about what the subject holds.
    pub(crate) fn forget_holder(&self, holder: Holder) -> Invalidation {
        match holder {
            Holder::User(user) => self.memory.forget_user(user),
            Holder::Group(_) => self.memory.forget_policy(),
        }
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

    async fn set_standing(&self, caller: &Caller, ask: SetStanding) -> contracts::Result<Standing> {
        let active = ask.active;
        self.keep_standing(caller, ask).await?;
        Ok(Standing { active })
    }

    async fn find_outranking(&self, _: &Caller, ask: FindOutranking) -> contracts::Result<Outranking> {
        Ok(Outranking { users: self.list_outranking(ask).await? })
    }

    async fn export_person(&self, _: &Caller, ask: ExportPerson) -> contracts::Result<PersonalData> {
        Ok(self.export_person_data(ask.user).await?)
    }
}
