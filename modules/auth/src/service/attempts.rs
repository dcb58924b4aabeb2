//! How many logins are being tried at this moment, by whom: what the database's counter can't know yet.
//!
//! Failures are counted in the database when they have happened. Between asking the counter and telling it of a
//! failure lies a hash, and who guesses in parallel would pass in that gap. So each try has a place in the lanes it
//! belongs to (one for the address, one for the address and the network), and is admitted only when the counter has
//! room for it and for everybody before it. Who finds no room waits for those before it to end, so that correct
//! logins in parallel don't block each other. The count is this process's own: so many replicas, so many lanes.
//!
//! All who try wait for the same hashing threads. One network gets half of the room at most, so that the other half is
//! there for everybody else.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use platform::limits::Bucket;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::model::Network;

/// A lane is one bucket of failures.
type Key = [u8; 32];

/// Everybody who is trying.
pub(super) struct Attempts {
    /// Waiting in lanes costs memory and patience, too: so many may be there altogether.
    all: Arc<Semaphore>,
    /// So many may come from one network.
    share: usize,
    networks: Arc<Mutex<HashMap<Network, usize>>>,
    lanes: Arc<Mutex<HashMap<Key, Lane>>>,
}

/// Somebody who was let in, for as long as this is kept.
pub(super) struct Presence {
    networks: Arc<Mutex<HashMap<Network, usize>>>,
    network: Network,
    /// Only kept.
    _permit: OwnedSemaphorePermit,
}

struct Lane {
    /// As many as the limit allows may be at work at once; the others wait here, first come first served.
    room: Arc<Semaphore>,
    /// Somebody's try has ended.
    ended: Arc<Notify>,
    /// Who has a place, waiting or at work; the lane goes with the last one.
    present: usize,
    /// Tries that may still turn out to be failures.
    undecided: u32,
}

/// Somebody in a lane.
pub(super) struct Place {
    lanes: Arc<Mutex<HashMap<Key, Lane>>>,
    key: Key,
    ended: Arc<Notify>,
    undecided: bool,
    permit: Option<OwnedSemaphorePermit>,
}

impl Attempts {
    pub(super) fn new(at_most: usize) -> Self {
        let (all, share) = (Arc::new(Semaphore::new(at_most)), at_most.div_ceil(2));
        Self { all, share, networks: Arc::default(), lanes: Arc::default() }
    }

    /// Lets somebody in; none when there are too many, or too many from that network.
    pub(super) fn arrive(&self, network: Network) -> Option<Presence> {
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut networks = held(&self.networks);
        let present = networks.entry(network).or_default();
        if *present >= self.share {
            return None;
        }
        *present += 1;
        Some(Presence { networks: Arc::clone(&self.networks), network, _permit: permit })
    }

    /// Waits until fewer than `capacity` are at work in the lane.
    pub(super) async fn enter(&self, bucket: &Bucket, capacity: u32) -> Place {
        let (mut place, room) = self.join(bucket.key_hash, capacity);
        // The semaphore is never closed; without a permit the counter alone decides.
        place.permit = room.acquire_owned().await.ok();
        place
    }

    fn join(&self, key: Key, capacity: u32) -> (Place, Arc<Semaphore>) {
        let mut lanes = held(&self.lanes);
        let lane = lanes.entry(key).or_insert_with(|| Lane {
            room: Arc::new(Semaphore::new(usize::try_from(capacity.max(1)).unwrap_or(1))),
            ended: Arc::default(),
            present: 0,
            undecided: 0,
        });
        lane.present += 1;
        let (room, ended) = (Arc::clone(&lane.room), Arc::clone(&lane.ended));
        (Place { lanes: Arc::clone(&self.lanes), key, ended, undecided: false, permit: None }, room)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Entry::Occupied(mut present) = held(&self.networks).entry(self.network) {
            *present.get_mut() -= 1;
            if *present.get() == 0 {
                present.remove();
            }
        }
    }
}

impl Place {
    /// Declares a try, and tells how many others are undecided. The counter must be asked after this: whoever ends
    /// in between is then seen twice rather than not at all.
    pub(super) fn declare(&mut self) -> u32 {
        self.retract();
        let mut lanes = held(&self.lanes);
        let Some(lane) = lanes.get_mut(&self.key) else { return 0 };
        let others = lane.undecided;
        lane.undecided += 1;
        self.undecided = true;
        others
    }

    /// Takes the declaration back.
    pub(super) fn retract(&mut self) {
        if std::mem::take(&mut self.undecided)
            && let Some(lane) = held(&self.lanes).get_mut(&self.key)
        {
            lane.undecided = lane.undecided.saturating_sub(1);
        }
    }

    /// Waits until somebody's try in this lane has ended, but not long: it may have ended just before.
    pub(super) async fn wait(&self) {
        let _ = tokio::time::timeout(Duration::from_millis(50), self.ended.notified()).await;
    }
}

/// To be dropped after a failure was counted.
impl Drop for Place {
    fn drop(&mut self) {
        self.retract();
        self.permit = None;
        self.ended.notify_waiters();
        if let Entry::Occupied(mut lane) = held(&self.lanes).entry(self.key) {
            lane.get_mut().present -= 1;
            if lane.get().present == 0 {
                lane.remove();
            }
        }
    }
}

fn held<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(name: &[u8]) -> Bucket {
        Bucket::of("test", &[name])
    }

    fn network(n: u8) -> Network {
        Network::of(Some([192, 0, n, 1].into()))
    }

    #[tokio::test]
    async fn everybody_sees_those_before() {
        let attempts = Attempts::new(100);
        let mut first = attempts.enter(&bucket(b"a"), 3).await;
        let mut second = attempts.enter(&bucket(b"a"), 3).await;
        let mut elsewhere = attempts.enter(&bucket(b"b"), 3).await;
        assert_eq!((first.declare(), second.declare(), elsewhere.declare()), (0, 1, 0));
        drop(first);
        assert_eq!(attempts.enter(&bucket(b"a"), 3).await.declare(), 1);
    }

    #[tokio::test]
    async fn declaring_again_counts_once() {
        let attempts = Attempts::new(100);
        let mut first = attempts.enter(&bucket(b"a"), 3).await;
        let mut second = attempts.enter(&bucket(b"a"), 3).await;
        for _ in 0..3 {
            assert_eq!((first.declare(), second.declare()), (0, 1));
            first.retract();
            assert_eq!(second.declare(), 0);
            second.retract();
        }
    }

    #[tokio::test]
    async fn a_full_lane_lets_the_next_one_in_when_somebody_leaves() {
        let attempts = Attempts::new(100);
        let first = attempts.enter(&bucket(b"a"), 1).await;
        let name = bucket(b"a");
        let mut second = Box::pin(attempts.enter(&name, 1));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        assert_eq!(second.await.declare(), 0);
    }

    #[tokio::test]
    async fn too_many_are_sent_away_at_once() {
        let attempts = Attempts::new(1);
        let first = attempts.arrive(network(1));
        assert!(first.is_some() && attempts.arrive(network(2)).is_none());
        drop(first);
        assert!(attempts.arrive(network(2)).is_some());
    }

    #[tokio::test]
    async fn one_network_leaves_half_of_the_room_to_the_others() {
        let attempts = Attempts::new(7);
        let mut greedy: Vec<Presence> = (0..100).filter_map(|_| attempts.arrive(network(1))).collect();
        assert_eq!(greedy.len(), 4);
        let others: Vec<Presence> = (2..100).filter_map(|n| attempts.arrive(network(n))).collect();
        assert_eq!(others.len(), 3);
        drop(others);
        assert!(attempts.arrive(network(1)).is_none());
        greedy.pop();
        assert!(attempts.arrive(network(1)).is_some());
        drop(greedy);
        assert!(held(&attempts.networks).is_empty(), "who has left is forgotten");
    }

    #[tokio::test]
    async fn an_empty_lane_is_forgotten() {
        let attempts = Attempts::new(100);
        let name = bucket(b"a");
        let place = attempts.enter(&name, 1).await;
        let mut given_up = Box::pin(attempts.enter(&name, 1));
        assert!(futures_util::poll!(&mut given_up).is_pending());
        drop(given_up);
        assert_eq!(held(&attempts.lanes).len(), 1);
        drop(place);
        assert_eq!(held(&attempts.lanes).len(), 0);
    }
}
