//! What decisions are made from, kept at hand in three layers: the policy (roles and groups of one revision), what
//! each user has of his own, and all that hot users may do in the end.
//!
//! Of the policy the cache keeps only the revision. The policy itself is worked out once for a revision and never
//! changes, so it can't be stale: an older one is simply not the one asked for. The last layer is in `hot`; it
//! is emptied with those it is made of, also when another process changed something. Whoever writes does it inside of
//! `changing_…`; after it, whatever became of the transaction, what was kept is forgotten everywhere.

use crate::model::{Effective, Held, Holder, Own, Policy};
use crate::service::hot::Hot;
use crate::service::policy;
use crate::store;
use contracts::{Time, UserId};
use platform::cache::{Cache, Caches, Invalidation};
use platform::db::{self, Database, DbConn};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// All that is kept.
pub(super) struct Memory {
    revision: Cache<(), i64>,
    latest: RwLock<Arc<Policy>>,
    own: Cache<UserId, Kept>,
    hot: Arc<Hot>,
    /// How many changes are being made here, and how many are known since the start.
    changing: AtomicU64,
    changed: Arc<AtomicU64>,
}

/// What a user has of his own, as the cache keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Own", into = "Own")]
struct Kept(Arc<Own>);

impl From<Own> for Kept {
    fn from(own: Own) -> Self {
        Self(Arc::new(own))
    }
}

impl From<Kept> for Own {
    fn from(kept: Kept) -> Self {
        Self::clone(&kept.0)
    }
}

/// What a change touches.
#[derive(Clone, Copy, Debug)]
enum Touched {
    Policy,
    User(UserId),
}

/// A moment, as far as changes are known in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(Option<u64>);

impl Memory {
    pub(super) fn new(caches: &Caches) -> Self {
        let revision: Cache<(), i64> = caches.shared_cache("permissions_roles");
        let own: Cache<UserId, Kept> = caches.shared_cache("permissions_holders");
        let (hot, changed) = (Arc::new(Hot::new(caches)), Arc::<AtomicU64>::default());
        let (of_all, of_one) =
            ((Arc::clone(&hot), Arc::clone(&changed)), (Arc::clone(&hot), Arc::clone(&changed)));
        revision.when_forgotten(move |()| {
            of_all.0.forget_all();
            of_all.1.fetch_add(1, Ordering::SeqCst);
        });
        own.when_forgotten(move |user| {
            of_one.0.forget(*user);
            of_one.1.fetch_add(1, Ordering::SeqCst);
        });
        Self { revision, latest: RwLock::default(), own, hot, changing: AtomicU64::new(0), changed }
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
        let load =
            async || Ok::<_, db::Error>(Kept::from(own(&mut *db.read().await?, Holder::User(user)).await?));
        Ok(self.own.get_or_load(&user, load).await?.0)
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
    pub(super) fn forget_policy(&self) -> Invalidation {
        self.revision.invalidate(&())
    }

    /// Asks the database for what this user has of his own next time.
    pub(super) fn forget_user(&self, user: UserId) -> Invalidation {
        self.own.invalidate(&user)
    }

    /// Forgets the policy after the work: whatever becomes of it, and whether or not its caller waits for the end.
    pub(super) async fn changing_policy<T>(&self, work: impl Future<Output = T>) -> T {
        self.changing(Touched::Policy, work).await
    }

    /// Forgets one user after the work.
    pub(super) async fn changing_user<T>(&self, user: UserId, work: impl Future<Output = T>) -> T {
        self.changing(Touched::User(user), work).await
    }

    /// Forgets a user after the work, or the policy, which is where the groups are.
    pub(super) async fn changing_holder<T>(&self, holder: Holder, work: impl Future<Output = T>) -> T {
        let touched = match holder {
            Holder::User(user) => Touched::User(user),
            Holder::Group(_) => Touched::Policy,
        };
        self.changing(touched, work).await
    }

    async fn changing<T>(&self, touched: Touched, work: impl Future<Output = T>) -> T {
        self.changing.fetch_add(1, Ordering::SeqCst);
        let changing = Changing { memory: self, touched: Some(touched) };
        let result = work.await;
        changing.end().await;
        result
    }

    fn forget(&self, touched: Touched) -> Invalidation {
        match touched {
            Touched::Policy => self.forget_policy(),
            Touched::User(user) => self.forget_user(user),
        }
    }

    /// The moment now. Two that are equal have no known change between them, and none of this process under way.
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

struct Changing<'m> {
    memory: &'m Memory,
    touched: Option<Touched>,
}

impl Changing<'_> {
    fn end(mut self) -> Invalidation {
        self.touched.take().map_or_else(Invalidation::done, |touched| self.memory.forget(touched))
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        if let Some(touched) = self.touched {
            // Whoever gave up waits for nothing; it is made known all the same.
            drop(self.memory.forget(touched));
        }
        self.memory.changing.fetch_sub(1, Ordering::SeqCst);
    }
}
