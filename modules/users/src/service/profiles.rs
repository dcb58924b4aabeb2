//! The profiles that are asked for often, kept in memory: never older than a change that was acknowledged.
//!
//! Whoever changes a profile does it inside of [`Profiles::forgetting`]. What decides a change is read from the database.

use contracts::UserId;
use platform::cache::{Cache, Caches, Invalidation};

use crate::model::Profile;

/// Profiles in memory.
pub(crate) struct Profiles(Cache<UserId, Profile>);

impl Profiles {
    pub(super) fn new(caches: &Caches) -> Self {
        Self(caches.shared_cache("profiles"))
    }

    pub(super) fn cache(&self) -> &Cache<UserId, Profile> {
        &self.0
    }

    /// Forgets these profiles after the work, whatever became of it, and also when it is given up in the middle. Comes
    /// back when nobody answers any more with what was there before.
    pub(crate) async fn forgetting<T>(&self, users: Vec<UserId>, work: impl Future<Output = T>) -> T {
        let changing = Changing(&self.0, users);
        let result = work.await;
        changing.end().await;
        result
    }
}

/// Profiles that are being changed.
struct Changing<'p>(&'p Cache<UserId, Profile>, Vec<UserId>);

impl Changing<'_> {
    fn end(mut self) -> Invalidation {
        self.0.invalidate_each(&std::mem::take(&mut self.1))
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        // Whoever gave up waits for nothing; it is made known all the same.
        drop(self.0.invalidate_each(&self.1));
    }
}
