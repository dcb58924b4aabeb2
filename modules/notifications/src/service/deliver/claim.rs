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

impl Service {
    /// At most `free` deliveries that are due, and how long to wait before looking again when nothing else happens.
    pub(super) async fn claim(&self, free: usize) -> db::Result<(Vec<Claimed>, Duration)> {
        let now = self.clock.now();
        let first_due = deliveries::first_due(&mut *self.db.read().await?).await?;
        let wait = first_due.map_or(self.poll_interval(), |due| due.since(now).min(self.poll_interval()));
        if free == 0 || first_due.is_none_or(|due| due > now) {
            return Ok((Vec::new(), wait.max(Duration::from_millis(1))));
        }
        let lease_until = now.plus(self.settings.lease());
        let limit = i64::try_from(free).unwrap_or(i64::MAX);
        let work = async |tx: &mut DbConn| claim(tx, now, lease_until, limit).await;
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

async fn claim(tx: &mut DbConn, now: Time, lease_until: Time, limit: i64) -> db::Result<Vec<Claimed>> {
    let due = deliveries::due(tx, now, limit).await?;
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
