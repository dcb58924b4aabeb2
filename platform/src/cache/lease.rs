//! For how long, and in which epoch, this replica may answer with what was kept: rules without I/O.
//!
//! A replica renews its lease with one visit to the database: it counts its beat up, reads who else is there, and then
//! the epoch, in this order. The lease holds for [`Lease::length`] from the moment *before* the visit began. So once
//! that long has passed after a change of the epoch, no lease is left from before it: that is the one promise
//! everything else stands on, and it needs no two clocks that agree.
//!
//! - **Joining.** Who is new, or let his lease end, begins an epoch, and then keeps nothing for the length of a lease:
//!   whoever changes something by then knows him, or has no lease.
//! - **Peers.** A peer counts until his beat was seen to stand still for the length of a lease, by the clock of the one
//!   who looks: then his own lease is over, and when he comes back he is new.
//! - **Lengths.** Each says in its row for how long its lease holds. Whoever waits for the end of every lease waits for the
//!   longest one, so that processes with different settings wait for each other. The version before says nothing, and
//!   counts as having the same.
//! - **Suspension.** While not everybody hears of changes nobody keeps anything. When that has lasted for the length of
//!   a lease, changes need not be told. When it is lifted, everybody waits as long again before he keeps anything, by
//!   when nobody believes any more that changes need not be told.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The epoch as the database has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    pub(super) number: i64,
    pub(super) suspended: bool,
    pub(super) opened: i64,
}

/// Another replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) id: String,
    pub(super) beat: i64,
    /// For how long its lease holds; zero when it does not say.
    pub(super) length: Duration,
}

/// What one visit to the database brought, and when it began and ended.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) peers: Vec<Peer>,
    pub(super) epoch: Epoch,
}

/// What has to be done after a visit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Next {
    /// This replica is new, or as good as new: begin an epoch and call [`Lease::joined`].
    pub(super) join: bool,
    /// These are gone, and did not say so.
    pub(super) gone: Vec<Peer>,
}

/// The lease of this replica.
#[derive(Debug)]
pub(super) struct Lease {
    length: Duration,
    /// Of all that are there, this one included.
    longest: Duration,
    until: Option<Instant>,
    active_from: Option<Instant>,
    epoch: Option<(Epoch, Instant)>,
    suspended_since: Option<Instant>,
    peers: Vec<String>,
    beats: HashMap<String, (i64, Instant)>,
    retired: bool,
}

/// A lease as it was at a moment, for a writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) until: Instant,
    pub(super) epoch: i64,
    pub(super) peers: Vec<String>,
}

/// What a writer has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// Nothing: nobody keeps anything.
    Free,
    /// Look again at this moment: the suspension is young.
    Wait(Instant),
    /// Tell these.
    Tell(Held),
    /// It is not known who is there.
    Lost,
}

impl Lease {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length,
            longest: length,
            until: None,
            active_from: None,
            epoch: None,
            suspended_since: None,
            peers: Vec::new(),
            beats: HashMap::new(),
            retired: false,
        }
    }

    /// How long to wait for the end of every lease: somewhat longer, because clocks don't run alike.
    pub(super) fn patience(&self) -> Duration {
        patience(self.longest)
    }

    /// The longest lease of all that are there.
    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// Takes in for how long the leases of those hold that are there.
    pub(super) fn measure(&mut self, peers: &[Peer]) {
        self.longest = peers.iter().map(|peer| peer.length).fold(self.length, Duration::max);
    }

    /// The epoch in which something may be kept and answered at that moment.
    pub(super) fn stamp(&self, now: Instant) -> Option<i64> {
        let (epoch, _) = self.epoch?;
        let active = self.active_from.is_some_and(|from| now >= from);
        (active && !epoch.suspended && !self.retired && self.holds(now)).then_some(epoch.number)
    }

    /// Whether the lease holds at that moment.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// The others whose leases may hold.
    pub(super) fn peers(&self) -> &[String] {
        &self.peers
    }

    /// Keeps nothing any more, for good: this replica is stopping.
    pub(super) fn retire(&mut self) {
        self.retired = true;
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    /// The lease at that moment, when it holds.
    pub(super) fn held(&self, now: Instant) -> Option<Held> {
        let (epoch, until) = (self.epoch()?, self.until.filter(|until| now < *until)?);
        Some(Held { until, epoch: epoch.number, peers: self.peers.clone() })
    }

    /// The newest epoch that is known.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.epoch.map(|(epoch, _)| epoch)
    }

    /// Takes in a visit.
    pub(super) fn renew(&mut self, visit: &Visit) -> Next {
        // Who else is there may have thought the lease over from the moment on that it was.
        let lapsed = !self.holds(visit.ended);
        let put_back =
            self.epoch.is_some_and(|(known, at)| visit.epoch.number < known.number && visit.began > at);
        let join = lapsed || put_back || self.active_from.is_none();
        if join {
            self.active_from = None;
            self.epoch = None;
            self.suspended_since = None;
        }
        let until = visit.began + self.length;
        self.until = Some(self.until.filter(|current| *current > until && !join).unwrap_or(until));
        self.measure(&visit.peers);
        let gone = self.look_at(&visit.peers, visit.began, visit.ended);
        self.note(visit.epoch, visit.ended);
        Next { join, gone }
    }

    /// Takes in that a new epoch was begun for this replica's joining; the answer came at that moment.
    pub(super) fn joined(&mut self, epoch: Epoch, now: Instant) {
        self.note(epoch, now);
        self.active_from = Some(now + self.patience());
    }

    /// Takes in an epoch that an answer brought at that moment.
    pub(super) fn note(&mut self, epoch: Epoch, now: Instant) {
        let known = self.epoch.map(|(known, _)| known);
        if known.is_some_and(|known| known.number > epoch.number) {
            return;
        }
        let reopened =
            known.is_some_and(|known| known.opened != epoch.opened || (known.suspended && !epoch.suspended));
        let patience = self.patience();
        if reopened && let Some(from) = &mut self.active_from {
            *from = (*from).max(now + patience);
        }
        self.suspended_since = match self.suspended_since {
            Some(since) if epoch.suspended && !reopened => Some(since),
            _ => epoch.suspended.then_some(now),
        };
        self.epoch = Some((epoch, now));
    }

    /// Whether it has been suspended for so long that nobody keeps anything.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        self.suspended_since.map(|since| since + self.patience())
    }

    /// What a writer has to do after its commit, at that moment.
    pub(super) fn duty(&self, now: Instant) -> Duty {
        let Some(held) = self.held(now) else { return Duty::Lost };
        match self.quiet_since() {
            Some(quiet) if now >= quiet => Duty::Free,
            Some(quiet) => Duty::Wait(quiet),
            None => Duty::Tell(held),
        }
    }

    /// Sorts the peers by whether their leases may still hold.
    fn look_at(&mut self, peers: &[Peer], began: Instant, ended: Instant) -> Vec<Peer> {
        let beats = std::mem::take(&mut self.beats);
        let mut gone = Vec::new();
        self.peers.clear();
        for peer in peers {
            let first =
                beats.get(&peer.id).filter(|(beat, _)| *beat == peer.beat).map_or(ended, |(_, at)| *at);
            self.beats.insert(peer.id.clone(), (peer.beat, first));
            let (silent, length) = (began.saturating_duration_since(first), self.length.max(peer.length));
            if silent < patience(length) {
                self.peers.push(peer.id.clone());
            } else if silent >= length * 3 {
                gone.push(peer.clone());
            }
        }
        gone
    }
}

fn patience(length: Duration) -> Duration {
    length + length / 10
}

#[cfg(test)]
mod tests;
