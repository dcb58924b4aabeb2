//! What decisions are made from, kept at hand: the roles as a graph, and what each user holds.
//!
//! Of the roles the cache keeps only the revision. The graph itself is worked out once for a revision and never
//! changes, so it can't be stale: an older one is simply not the one asked for.

use crate::model::{Held, RoleGraph};
use crate::service::roles;
use crate::store;
use contracts::UserId;
use platform::cache::{Cache, Settings};
use platform::db::{self, Database};
use std::sync::{Arc, PoisonError, RwLock};

/// The roles.
pub(super) struct Roles {
    revision: Cache<(), i64>,
    latest: RwLock<Arc<RoleGraph>>,
}

impl Roles {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { revision: Cache::new("permissions_roles", settings), latest: RwLock::default() }
    }

    /// The graph as it is now.
    pub(super) async fn graph(&self, db: &Database) -> db::Result<Arc<RoleGraph>> {
        let load = async || store::graph::revision(&mut *db.read().await?).await;
        let revision = self.revision.get_or_load(&(), load).await?;
        let latest = Arc::clone(&self.latest.read().unwrap_or_else(PoisonError::into_inner));
        if latest.revision() == revision {
            return Ok(latest);
        }
        let graph = Arc::new(roles::read(&mut *db.read().await?).await?);
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&graph);
        Ok(graph)
    }

    /// Asks the database for the revision next time.
    pub(crate) fn forget(&self) {
        self.revision.invalidate(&());
    }

    /// Forgets when it is dropped: whatever becomes of a change, and whether or not its caller waits for the answer.
    pub(super) fn changing(&self) -> impl Drop {
        OnDrop(|| self.forget())
    }
}

/// What users hold.
pub(super) struct Holders {
    held: Cache<UserId, Arc<[Held]>>,
}

impl Holders {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { held: Cache::new("permissions_holders", settings) }
    }

    /// What the user was given, what has ended included: time is judged by whoever decides.
    pub(super) async fn of(&self, db: &Database, user: UserId) -> db::Result<Arc<[Held]>> {
        let load = async || {
            let all = store::assignments::of_subject(&mut *db.read().await?, user).await?;
            Ok(all.iter().map(Held::from).collect())
        };
        self.held.get_or_load(&user, load).await
    }

    /// Asks the database for what this user holds next time.
    pub(crate) fn forget(&self, user: UserId) {
        self.held.invalidate(&user);
    }

    /// Forgets when it is dropped, as [`Roles::changing`] does.
    pub(super) fn changing(&self, user: UserId) -> impl Drop {
        OnDrop(move || self.forget(user))
    }
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
