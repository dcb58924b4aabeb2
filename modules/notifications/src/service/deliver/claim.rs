//! Taking what is due, under a lease: nobody else takes it until the lease ends or the try is over.

use std::collections::HashMap;
use std::time::Duration;

use contracts::{NotificationId, Time};
use metrics::gauge;
use platform::db::{self, DbConn};

use super::{Service, numbers};
use crate::model::{Delivery, DeliveryState, Message};
use crate::store::{deliveries, messages};

/// A delivery whose next try is ours.
pub(super) struct Claimed {
    /// As it is now: the number of attempts counts this one.
    pub(super) delivery: Delivery,
    pub(super) message: Message,
    /// Whether a try before this one never told how it ended.
    pub(super) lost: bool,
}

/// How many tries may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Free {
    /// Altogether.
    pub(super) places: usize,
    /// Of deliveries that are not urgent.
    pub(super) ordinary: usize,
}

impl Service {
    /// Deliveries that are due, the urgent ones first, and how long to wait before looking again when nothing else happens.
    /// While there is no place for any, nobody is asked: a place that gets free is what is waited for.
    pub(super) async fn claim(&self, free: Free) -> db::Result<(Vec<Claimed>, Duration)> {
        if free.places == 0 {
            return Ok((Vec::new(), self.poll_interval()));
        }
        let now = self.clock.now();
        let first_due = deliveries::first_due(&mut *self.db.read().await?, free.ordinary == 0).await?;
        let wait = first_due.map_or(self.poll_interval(), |due| due.since(now).min(self.poll_interval()));
        if first_due.is_none_or(|due| due > now) {
            return Ok((Vec::new(), wait.max(Duration::from_millis(1))));
        }
        let lease_until = now.plus(self.settings.lease());
        let work = async |tx: &mut DbConn| claim(tx, now, lease_until, free).await;
        Ok((self.db.transaction(work).await?, self.poll_interval()))
    }

    /// Ends every claim, so that what a killed process was sending is tried again at once and not after a lease: for the
    /// only process on a database, before it starts to work; tells how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_over(&self) -> db::Result<usize> {
        let now = self.clock.now();
        self.db.transaction(async |tx: &mut DbConn| deliveries::release(tx, now).await).await
    }

    /// Tells the metrics how much is left, over all processes.
    pub(super) async fn measure(&self) -> db::Result<()> {
        let left = deliveries::left(&mut *self.db.read().await?).await?;
        self.email.measure();
        self.sms.measure();
        gauge!(numbers::QUEUE_LENGTH).set(f64::from(i32::try_from(left).unwrap_or(i32::MAX)));
        Ok(())
    }
}

async fn claim(tx: &mut DbConn, now: Time, lease_until: Time, free: Free) -> db::Result<Vec<Claimed>> {
    let limit = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let mut due = deliveries::due(tx, now, true, limit(free.places)).await?;
    let ordinary = free.ordinary.min(free.places.saturating_sub(due.len()));
    if ordinary > 0 {
        due.extend(deliveries::due(tx, now, false, limit(ordinary)).await?);
    }
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = due.iter().map(|delivery| delivery.id).collect();
    let lost = due.iter().filter(|delivery| delivery.state == DeliveryState::Sending).map(|lost| lost.id);
    let lost: Vec<_> = lost.collect();
    if !lost.is_empty() {
        deliveries::interrupt_attempts(tx, lost, now).await?;
    }
    deliveries::claim(tx, ids, lease_until).await?;
    let begun: Vec<_> = due.iter().map(|delivery| (delivery.id, delivery.attempts + 1)).collect();
    deliveries::begin_attempts(tx, &begun, now).await?;
    let of: Vec<NotificationId> = due.iter().map(|delivery| delivery.message).collect();
    let found = messages::find_many(tx, of).await?;
    let found: HashMap<_, _> = found.into_iter().map(|message| (message.id, message)).collect();
    let claimed = due.into_iter().filter_map(|delivery| {
        let message = found.get(&delivery.message)?.clone();
        let lost = delivery.state == DeliveryState::Sending;
        let delivery = Delivery {
            state: DeliveryState::Sending,
            attempts: delivery.attempts + 1,
            due_at: Some(lease_until),
            ..delivery
        };
        Some(Claimed { delivery, message, lost })
    });
    Ok(claimed.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use platform::clock::Clock;
    use platform::db::Database;
    use platform::settings::MasterKey;
    use testkit::both_engines;
    use testkit::fakes::{FakeAuth, FakeUsers};

    use super::super::super::{Outlets, Parts};
    use super::*;
    use crate::settings::{Settings, Smtp};

    fn service(db: Database) -> Service {
        let parts = Parts {
            db,
            clock: Clock::manual(Time::from_seconds(1_767_225_600)),
            auth: Arc::<FakeAuth>::default(),
            users: Arc::<FakeUsers>::default(),
            settings: Settings::default(),
            smtp: Smtp::default(),
            master_key: MasterKey::generate().unwrap(),
            public_url: "https://id.example.org".parse().unwrap(),
            mailbox: true,
            notes: None,
            redis: None,
        };
        Service::with_outlets(parts, Outlets::default()).unwrap()
    }

    both_engines! {
        async fn without_a_free_place_nobody_is_asked_and_the_wait_is_not_cut_short(db: Database) {
            let service = service(db.clone());
            db.close();
            let (claimed, wait) = service.claim(Free { places: 0, ordinary: 0 }).await.unwrap();
            assert_eq!((claimed.len(), wait), (0, service.poll_interval()));
            let asked = service.claim(Free { places: 1, ordinary: 1 }).await;
            assert!(asked.is_err(), "whoever asks is told that the database is closed");
        }
    }
}
