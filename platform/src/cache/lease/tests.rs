//! The rules of the lease, told with a clock that is only counted on.

use super::*;

const LENGTH: Duration = Duration::from_millis(1_000);

/// A replica's view, and the moment from which milliseconds are counted.
struct Told {
    lease: Lease,
    start: Instant,
}

impl Told {
    fn new() -> Self {
        Self { lease: Lease::new(LENGTH), start: Instant::now() }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn visit(&mut self, from: u64, to: u64, peers: &[(&str, i64)], epoch: Epoch) -> Next {
        let peer = |(id, beat): &(&str, i64)| Peer { id: (*id).to_owned(), beat: *beat, length: LENGTH };
        let peers = peers.iter().map(peer).collect();
        self.lease.renew(&Visit { began: self.at(from), ended: self.at(to), peers, epoch })
    }

    fn stamp(&self, ms: u64) -> Option<i64> {
        self.lease.stamp(self.at(ms))
    }

    fn duty(&self, ms: u64) -> Duty {
        self.lease.duty(self.at(ms))
    }

    /// One that has joined at 0 and is in use.
    fn in_use() -> Self {
        let mut it = Self::new();
        assert!(it.visit(0, 10, &[], open(1)).join);
        it.lease.joined(open(2), it.at(20));
        for ms in (300..=1_500).step_by(300) {
            assert_eq!(it.visit(ms, ms + 10, &[], open(2)), Next::default());
        }
        it
    }
}

fn open(number: i64) -> Epoch {
    Epoch { number, suspended: false, opened: 1 }
}

fn suspended(number: i64) -> Epoch {
    Epoch { number, suspended: true, opened: 1 }
}

#[test]
fn one_who_joined_keeps_nothing_for_the_length_of_a_lease_and_then_as_long_as_it_holds() {
    let it = Told::in_use();
    assert_eq!((it.stamp(1_110), it.stamp(1_120)), (None, Some(2)));
    assert_eq!((it.stamp(2_499), it.stamp(2_500)), (Some(2), None), "from before the visit began");
    assert!(matches!(it.duty(2_499), Duty::Tell(_)) && it.duty(2_500) == Duty::Lost);
}

#[test]
fn a_lease_that_ended_before_it_was_renewed_makes_its_holder_a_new_one() {
    let mut it = Told::in_use();
    // The answer came too late, whenever the database did it.
    assert!(it.visit(2_400, 2_501, &[], open(2)).join);
    assert_eq!(it.stamp(2_501), None);
    it.lease.joined(open(3), it.at(2_510));
    it.visit(3_300, 3_310, &[], open(3));
    assert_eq!((it.stamp(3_600), it.stamp(3_611)), (None, Some(3)));
}

#[test]
fn a_new_epoch_counts_from_the_answer_that_brings_it_and_never_goes_back() {
    let mut it = Told::in_use();
    it.lease.note(open(7), it.at(1_600));
    assert_eq!(it.stamp(1_600), Some(7));
    it.lease.note(open(6), it.at(1_601));
    assert_eq!(it.stamp(1_601), Some(7), "an answer that was overtaken");
    let before = it.at(1_599);
    let late = Visit { began: before, ended: it.at(1_610), peers: Vec::new(), epoch: open(6) };
    assert!(!it.lease.renew(&late).join, "it was asked before the other one was answered");
    assert!(it.visit(1_700, 1_710, &[], open(6)).join, "the database was put back");
}

#[test]
fn a_peer_counts_until_his_beat_stood_still_for_a_lease_and_is_gone_after_three() {
    let mut it = Told::in_use();
    let mut beats = Vec::new();
    for ms in (1_800..6_000).step_by(300) {
        let next = it.visit(ms, ms + 10, &[("b", 5)], open(2));
        beats.push((ms, it.lease.peers().len(), next.gone.len()));
    }
    // First seen at 1810; judged by when the visit began.
    assert!(beats.iter().all(|(ms, peers, _)| (*peers == 1) == (*ms < 1_810 + 1_100)), "{beats:?}");
    assert!(beats.iter().all(|(ms, _, gone)| (*gone == 1) == (*ms >= 1_810 + 3_000)), "{beats:?}");
    it.visit(6_000, 6_010, &[("b", 6)], open(2));
    assert_eq!(it.lease.peers(), ["b"], "he is back");
}

#[test]
fn while_it_is_suspended_nothing_is_kept_and_after_a_lease_nothing_needs_to_be_told() {
    let mut it = Told::in_use();
    it.lease.note(suspended(8), it.at(1_600));
    assert_eq!(it.stamp(1_601), None);
    assert_eq!(it.duty(1_700), Duty::Wait(it.at(2_700)));
    it.visit(1_800, 1_810, &[], suspended(8));
    it.visit(2_600, 2_610, &[], suspended(9));
    assert_eq!((it.duty(2_699), it.duty(2_700)), (Duty::Wait(it.at(2_700)), Duty::Free));
    assert_eq!(it.duty(3_600), Duty::Lost, "what is not known any more is not relied on");
}

#[test]
fn when_a_suspension_is_lifted_nothing_is_kept_for_another_lease() {
    let mut it = Told::in_use();
    it.lease.note(suspended(8), it.at(1_600));
    it.visit(2_300, 2_310, &[], suspended(8));
    let lifted = Epoch { number: 9, suspended: false, opened: 9 };
    it.visit(2_800, 2_810, &[], lifted);
    assert!(matches!(it.duty(2_811), Duty::Tell(_)));
    for ms in (3_100..4_000).step_by(300) {
        it.visit(ms, ms + 10, &[], lifted);
    }
    assert_eq!((it.stamp(3_909), it.stamp(3_910)), (None, Some(9)));
}

#[test]
fn a_suspension_that_came_and_went_between_two_visits_is_noticed() {
    let mut it = Told::in_use();
    let later = Epoch { number: 12, suspended: false, opened: 11 };
    it.visit(1_800, 1_810, &[], later);
    assert_eq!(it.stamp(1_811), None, "somebody may still believe that nothing needs to be told");
    let mut other = Told::in_use();
    other.lease.note(suspended(8), other.at(1_600));
    other.visit(2_400, 2_410, &[], Epoch { number: 14, suspended: true, opened: 11 });
    assert_eq!(other.duty(2_700), Duty::Wait(other.at(3_510)), "it is another suspension");
}

#[test]
fn one_who_stops_keeps_nothing_and_still_tells() {
    let mut it = Told::in_use();
    it.lease.retire();
    assert_eq!(it.stamp(1_600), None);
    assert!(matches!(it.duty(1_600), Duty::Tell(_)));
}

/// Three times as long as its own.
fn patient() -> Peer {
    Peer { id: "b".to_owned(), beat: 5, length: LENGTH * 3 }
}

#[test]
fn who_waits_for_the_end_of_every_lease_waits_for_the_longest() {
    let mut it = Told::in_use();
    assert_eq!(it.lease.patience(), Duration::from_millis(1_100));
    let visit = |it: &Told, ms| Visit {
        began: it.at(ms),
        ended: it.at(ms + 10),
        peers: vec![patient()],
        epoch: open(2),
    };
    let first = visit(&it, 1_800);
    it.lease.renew(&first);
    assert_eq!(it.lease.patience(), Duration::from_millis(3_300));
    let mut seen = Vec::new();
    for ms in (2_100..12_000).step_by(300) {
        let next = visit(&it, ms);
        let gone = it.lease.renew(&next).gone;
        seen.push((ms, it.lease.peers().len(), gone.len()));
    }
    assert!(seen.iter().all(|(ms, peers, _)| (*peers == 1) == (*ms < 1_810 + 3_300)), "{seen:?}");
    assert!(seen.iter().all(|(ms, _, gone)| (*gone == 1) == (*ms >= 1_810 + 9_000)), "{seen:?}");
    it.visit(12_000, 12_010, &[], open(2));
    assert_eq!(it.lease.patience(), Duration::from_millis(1_100), "it is gone");
    it.lease.measure(&[Peer { length: Duration::ZERO, ..patient() }]);
    assert_eq!(it.lease.patience(), Duration::from_millis(1_100), "one of the version before");
}
