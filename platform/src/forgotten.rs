//! People who were purged, until nothing that the platform keeps for a while names them any more.
//!
//! Whoever purges a person notes it in the transaction of the purge; from then on it can't be lost. What names the person
//! then goes in the background, in many short steps and without a deadline, however much there is to look through: events,
//! deliveries, answers kept for repeated requests, and what the trail holds of the person. The person is looked for again
//! until nothing is on its way that names him, and long enough that no request that was being served at the purge can
//! have left something behind. What was removed before a look broke off stays removed. Left out: the modules' own rows.

mod store;

use std::collections::HashSet;
use std::time::Duration;

use contracts::{Time, UserId};
use metrics::gauge;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::db::{self, Database, DbConn};
use crate::{SWEEP_BATCH, audit, bus, idempotency, outbox};

/// How often to see whether somebody is to be looked for.
const EVERY: Duration = Duration::from_secs(5);

/// How many people one look is for, at most.
const TOGETHER: i64 = 50;

/// How long a look may take, by a process that may be dead, before another one begins it anew.
const LEASE: Duration = Duration::from_secs(3_600);

/// The pause after the first look; each later one is four times as long, up to [`LONGEST`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause between two looks.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How many looks there are at least, the last of which is more than a minute after the purge.
const LEAST_LOOKS: i64 = 4;

/// Notes that a person was purged, in the transaction of the purge. Noted again, the person is looked for as if it were the
/// first time.
///
/// # Errors
/// When the database does not answer.
pub async fn note(tx: &mut DbConn, person: UserId, now: Time) -> db::Result<()> {
    store::note(tx, person, now).await
}

/// Looks for people who were noted, in one database. Several processes may: they take different people.
pub struct Forgetter {
    db: Database,
    clock: Clock,
}

impl Forgetter {
    /// For this database.
    #[must_use]
    pub fn new(db: Database, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Looks again and again until it is told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.run_once(&stop).await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(%error, "Copies that name purged people could not be looked through; it is tried again.");
                }
            }
            let _ = tokio::time::timeout(EVERY, stop.cancelled()).await;
        }
    }

    /// Looks once for those whose turn it is; tells how many they were. When it is told to stop, or the database goes away,
    /// their turn is not over: whoever is there next begins anew.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn run_once(&self, stop: &CancellationToken) -> db::Result<usize> {
        let now = self.clock.now();
        gauge!("doorward_forgotten_people").set(store::count(&mut *self.db.read().await?).await? as f64);
        if !store::any_due(&mut *self.db.read().await?, now).await? {
            return Ok(0);
        }
        let until = now.plus(LEASE);
        let taken = self.db.transaction(async |tx| store::take(tx, now, until, TOGETHER).await).await?;
        let looked = self.look(stop, &taken).await;
        let now = self.clock.now();
        let on_their_way = match looked {
            Ok(on_their_way) if !stop.is_cancelled() => on_their_way,
            broken_off => {
                let people = taken.iter().map(|(person, _)| *person).collect();
                store::give_back(&mut *self.db.write().await?, people, until, now).await?;
                return broken_off.map(|_| taken.len());
            }
        };
        for (person, looks) in &taken {
            if *looks + 1 >= LEAST_LOOKS && !on_their_way.contains(person) {
                store::done(&mut *self.db.write().await?, *person, until).await?;
            } else {
                let next = now.plus(pause(*looks));
                store::look_again(&mut *self.db.write().await?, *person, until, next).await?;
            }
        }
        Ok(taken.len())
    }

    /// Looks everywhere, and tells who is named by what is on its way.
    async fn look(&self, stop: &CancellationToken, taken: &[(UserId, i64)]) -> db::Result<HashSet<UserId>> {
        let mut look = Look::new(&self.db, stop, taken);
        look.through::<outbox::Events>().await?;
        look.through::<bus::desks::Deliveries>().await?;
        look.through::<idempotency::Answers>().await?;
        for (person, _) in taken {
            audit::forget(&self.db, *person, stop).await?;
        }
        self.db.truncate_log().await?;
        Ok(look.on_their_way)
    }
}

/// How long to wait after so many looks.
fn pause(looks: i64) -> Duration {
    let times = u32::try_from(looks).ok().and_then(|looks| 4_u32.checked_pow(looks));
    times.map_or(LONGEST, |times| FIRST_PAUSE.saturating_mul(times)).min(LONGEST)
}

/// Something that is kept for a while, as text.
pub(crate) struct Copy<I> {
    pub(crate) id: I,
    pub(crate) text: String,
    /// Somebody is still to get it; it stays, so that everybody hears that the person is gone.
    pub(crate) on_its_way: bool,
}

/// A table of what is kept for a while.
pub(crate) trait Shelf {
    type Id: Clone + Send + Sync;

    /// The next ones by their ids.
    fn after(
        c: &mut DbConn,
        after: Option<&Self::Id>,
        limit: i64,
    ) -> impl Future<Output = db::Result<Vec<Copy<Self::Id>>>> + Send;

    /// Removes those of these that are still what they were.
    fn remove(c: &mut DbConn, ids: Vec<Self::Id>) -> impl Future<Output = db::Result<()>> + Send;
}

/// One look for some people.
struct Look<'a> {
    db: &'a Database,
    stop: &'a CancellationToken,
    people: Vec<(UserId, String)>,
    on_their_way: HashSet<UserId>,
}

impl<'a> Look<'a> {
    fn new(db: &'a Database, stop: &'a CancellationToken, taken: &[(UserId, i64)]) -> Self {
        let people = taken.iter().map(|(person, _)| (*person, person.to_string())).collect();
        Self { db, stop, people, on_their_way: HashSet::new() }
    }

    /// Through a whole table in ranges, each by itself, so that nobody waits.
    async fn through<S: Shelf>(&mut self) -> db::Result<()> {
        let mut after = None;
        while !self.stop.is_cancelled() {
            let copies = S::after(&mut *self.db.read().await?, after.as_ref(), SWEEP_BATCH).await?;
            let Some(last) = copies.last() else { break };
            after = Some(last.id.clone());
            let theirs = copies.into_iter().filter_map(|copy| self.is_over(copy)).collect::<Vec<_>>();
            if !theirs.is_empty() {
                S::remove(&mut *self.db.write().await?, theirs).await?;
            }
        }
        Ok(())
    }

    /// What names one of the people and is not on its way.
    fn is_over<I>(&mut self, copy: Copy<I>) -> Option<I> {
        let named = self.people.iter().filter(|(_, name)| copy.text.contains(name));
        let named: Vec<_> = named.map(|(person, _)| *person).collect();
        if copy.on_its_way {
            self.on_their_way.extend(named);
            return None;
        }
        (!named.is_empty()).then_some(copy.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_the_least_looks_is_more_than_a_minute_after_the_purge() {
        let waited: Duration = (0..LEAST_LOOKS - 1).map(pause).sum();
        assert!(waited > Duration::from_secs(60), "{waited:?}");
        assert_eq!(pause(0), FIRST_PAUSE);
        assert_eq!(pause(i64::MAX), LONGEST);
        assert_eq!(pause(-1), LONGEST);
    }
}
