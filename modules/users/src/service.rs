//! What this module does, one use case a file, and the contract it answers.
//!
//! A change is decided against what was read, and written only over exactly that: whoever comes in between makes it
//! start again, or is told to the caller who said which state he meant.

mod change_user;
mod create_user;
mod directory;
mod export_person;
mod export_users;
mod find_profile;
mod hear;
mod import_users;
mod list_users;
mod preferences;
mod profiles;
mod rank;
mod read_profile;
mod update_profile;
mod write_preference;

use std::sync::Arc;

use async_trait::async_trait;
use contracts::auth::{Account, Auth, FindAccount};
use contracts::permissions::Permissions;
use contracts::users::{FindProfile, Profile as Shown, Users};
use contracts::{Caller, ExportPerson, PersonalData, UserId};
use platform::cache::Caches;
use platform::clock::Clock;
use platform::db::Database;
use platform::settings::MasterKey;

use crate::error::Error;
use crate::model::{AccountIds, Checksums};
use crate::settings::Settings;

pub(crate) use create_user::NewUser;
pub(crate) use import_users::Importing;
use profiles::Profiles;
pub(crate) use read_profile::Me;

/// How often a change that nobody bound to a state is tried again when others come in between.
const TRIES: u32 = 16;

/// What the service is made of.
pub struct Parts {
    /// Where profiles are kept.
    pub db: Database,
    /// What time it is.
    pub clock: Clock,
    /// Knows the accounts.
    pub auth: Arc<dyn Auth>,
    /// Knows who may do what.
    pub permissions: Arc<dyn Permissions>,
    /// The bounds.
    pub settings: Settings,
    /// What the checksums of imports, and the ids that follow from a request, are made with.
    pub master_key: MasterKey,
}

/// Profiles and preferences.
pub struct Service {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    auth: Arc<dyn Auth>,
    permissions: Arc<dyn Permissions>,
    settings: Settings,
    checksums: Checksums,
    account_ids: AccountIds,
    profiles: Profiles,
}

impl Service {
    /// The service over these parts.
    #[must_use]
    pub fn new(parts: Parts, caches: &Caches) -> Self {
        let Parts { db, clock, auth, permissions, settings, master_key } = parts;
        let checksums = Checksums::new(&master_key.derive("users.imports"));
        let account_ids = AccountIds::new(&master_key.derive("users.account_ids"));
        let profiles = Profiles::new(caches);
        Self { db, clock, auth, permissions, settings, checksums, account_ids, profiles }
    }

    async fn account(&self, caller: &Caller, user: UserId) -> Result<Account, Error> {
        self.auth.find_account(caller, FindAccount { user }).await?.ok_or(Error::AccountGone)
    }
}

#[async_trait]
impl Users for Service {
    async fn find_profile(&self, _: &Caller, ask: FindProfile) -> contracts::Result<Option<Shown>> {
        Ok(self.shown_profile(ask.user).await?)
    }

    async fn export_person(&self, _: &Caller, ask: ExportPerson) -> contracts::Result<PersonalData> {
        Ok(self.personal_data(ask.user).await?)
    }
}
