//! The profiles that are asked for often, kept in memory: never older than a change that was acknowledged.
//!
//! Whoever changes a profile holds a [`Forgetting`] while he does. What decides a change is read from the database.

use contracts::UserId;
use platform::cache::{self, Cache};

use crate::model::Profile;

/// Profiles in memory.
pub(crate) struct Profiles(Cache<UserId, Profile>);

impl Profiles {
    pub(super) fn new(settings: &cache::Settings) -> Self {
        Self(Cache::new("profiles", settings))
    }

    pub(super) fn cache(&self) -> &Cache<UserId, Profile> {
        &self.0
    }

    /// Forgets these profiles when it goes, also when the request is given up in the middle.
    pub(crate) fn forgetting(&self, users: Vec<UserId>) -> Forgetting<'_> {
        Forgetting(&self.0, users)
    }
}

/// Profiles that are being changed.
pub(crate) struct Forgetting<'p>(&'p Cache<UserId, Profile>, Vec<UserId>);

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        for user in &self.1 {
            self.0.invalidate(user);
        }
    }
}
