//! What decisions are made from, kept at hand in three layers: the policy (roles and groups of one revision), what
//! each user has of his own, and all that hot users may do in the end.
//!
//! Of the policy the cache keeps only the revision. The policy itself is worked out once for a revision and never
//! changes, so it can't be stale: an older one is simply not the one asked for. The last layer is in `hot`; it
//! is emptied after those it is made of. Whoever writes holds a guard from before the transaction begins; when it is
//! dropped, whatever became of the transaction, what was kept is forgotten.

use crate::model::{Effective, Held, Holder, Own, Policy};
use crate::service::hot::Hot;
use crate::service::policy;
use crate::store;
use contracts::{Time, UserId};
use platform::cache::{Cache, Settings};
use platform::db::{self, Database, DbConn};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// All that is kept.
pub(super) struct Memory {
    revision: Cache<(), i64>,
    latest: RwLock<Arc<Policy>>,
    own: Cache<UserId, Arc<Own>>,
    hot: Hot,
    /// How many changes are being made, and how many were made since the start.
    changing: AtomicU64,
    changed: AtomicU64,
}

/// A moment, as far as changes made in this process are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(Option<u64>);

impl Memory {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            revision: Cache::new("permissions_roles", settings),
            latest: RwLock::default(),
            own: Cache::new("permissions_holders", settings),
            hot: Hot::new(settings),
            changing: AtomicU64::new(0),
            changed: AtomicU64::new(0),
        }
    }

    /// The policy as it is now.
    pub(super) async fn policy(&self, db: &Database) -> db::Result<Arc<Policy>> {
        let load = async || store::graph::revision(&mut *db.read().await?).await;
        let revision = self.revision.get_or_load(&(), load).await?;
        let latest = Arc::clone(&self.latest.read().unwrap_or_else(PoisonError::into_inner));
        if latest.revision == revision {
            return Ok(latest);
        }
        let policy = Arc::new(policy::read(&mut *db.read().await?).await?);
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&policy);
        Ok(policy)
    }

    /// What the user has of his own, what has ended included: time is judged by whoever decides.
    pub(super) async fn own(&self, db: &Database, user: UserId) -> db::Result<Arc<Own>> {
        let load = async || Ok(Arc::new(own(&mut *db.read().await?, Holder::User(user)).await?));
        self.own.get_or_load(&user, load).await
    }

    /// Reads from what the user may do at that moment, when it is at hand.
    pub(super) fn recall<R>(&self, user: UserId, now: Time, read: impl FnOnce(&Effective) -> R) -> Option<R> {
        self.hot.recall(user, now, read)
    }

    /// All that the user may do at that moment.
    pub(super) async fn effective(
        &self,
        db: &Database,
        user: UserId,
        now: Time,
    ) -> db::Result<Arc<Effective>> {
        let ticket = self.hot.begin(user);
        let (policy, own) = (self.policy(db).await?, self.own(db, user).await?);
        let effective = Arc::new(Effective::new(&policy, &own, now));
        self.hot.keep(ticket, user, now, &effective);
        Ok(effective)
    }

    /// Asks the database for the roles and groups next time.
    pub(super) fn forget_policy(&self) {
        self.revision.invalidate(&());
        self.hot.forget_all();
        self.changed.fetch_add(1, Ordering::SeqCst);
    }

    /// Asks the database for what this user has of his own next time.
    pub(super) fn forget_user(&self, user: UserId) {
        self.own.invalidate(&user);
        self.hot.forget(user);
        self.changed.fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets the policy when it is dropped: whatever becomes of a change, and whether or not its caller waits for
    /// the answer.
    pub(super) fn changing_policy(&self) -> impl Drop {
        self.changing(|| self.forget_policy())
    }

    /// Forgets one user when it is dropped.
    pub(super) fn changing_user(&self, user: UserId) -> impl Drop {
        self.changing(move || self.forget_user(user))
    }

    /// Forgets a user, or the policy, which is where the groups are.
    pub(super) fn changing_holder(&self, holder: Holder) -> impl Drop {
        self.changing(move || match holder {
            Holder::User(user) => self.forget_user(user),
            Holder::Group(_) => self.forget_policy(),
        })
    }

    fn changing<F: Fn()>(&self, forget: F) -> Changing<'_, F> {
        self.changing.fetch_add(1, Ordering::SeqCst);
        Changing { memory: self, forget }
    }

    /// The moment now. Two that are equal have no change of this process between them, and none under way.
    pub(super) fn moment(&self) -> Moment {
        let quiet = self.changing.load(Ordering::SeqCst) == 0;
        Moment(quiet.then(|| self.changed.load(Ordering::SeqCst)))
    }

    /// Whether nothing has changed since that moment, and nothing was changing then.
    pub(super) fn is_still(&self, moment: Moment) -> bool {
        moment.0.is_some() && self.moment() == moment
    }
}

/// What somebody has of his own, as this connection sees it.
pub(super) async fn own(c: &mut DbConn, holder: Holder) -> db::Result<Own> {
    let Holder::User(_) = holder else { return Ok(holder.group().map(Own::group).unwrap_or_default()) };
    let held = store::assignments::of_subject(c, holder).await?.iter().map(Held::from).collect();
    let groups = store::members::of_member(c, holder).await?.iter().map(|member| member.group).collect();
    Ok(Own::user(held, groups))
}

struct Changing<'m, F: Fn()> {
    memory: &'m Memory,
    forget: F,
}

impl<F: Fn()> Drop for Changing<'_, F> {
    fn drop(&mut self) {
        (self.forget)();
        self.memory.changing.fetch_sub(1, Ordering::SeqCst);
    }
}
