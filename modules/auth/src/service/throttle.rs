//! Who may try a password now: failures are counted for an address from one network, and for an address from
//! anywhere. Unknown addresses are counted like known ones.
//!
//! A success forgives the failures from its own network only. Those from elsewhere are somebody else's, and a login
//! of the owner must not give a guesser new tries.

use std::time::Duration;

use contracts::{Caller, Time};
use platform::db::{self, DbConn};
use platform::limits::{self, Bucket, Limit};

use super::attempts::Place;
use super::{Service, hourly};
use crate::error::Error;
use crate::model::Network;

/// A login that is being tried.
pub(super) struct Try {
    network: Counter,
    address: Counter,
}

/// A counter of failures, and this try's place among those that are not decided yet.
struct Counter {
    bucket: Bucket,
    limit: Limit,
    place: Place,
}

impl Service {
    /// Waits until the counters have room for this try and all before it.
    ///
    /// # Errors
    /// 429 when there were too many failures already.
    pub(super) async fn admit(&self, caller: &Caller, address: &str) -> Result<Try, Error> {
        let network = Network::of(caller.client_address).to_string();
        let settings = &self.settings.limits;
        let quarterly =
            Limit { capacity: settings.login_failures_per_network, window: Duration::from_secs(900) };
        let per_network = self.bucket("auth.login.network", &[address, &network]);
        let per_address = self.bucket("auth.login.address", &[address]);
        let mut this = Try {
            network: self.counter(per_network, quarterly).await,
            address: self.counter(per_address, hourly(settings.login_failures_per_address)).await,
        };
        while !self.has_room(&mut this).await? {
            this.network.place.retract();
            this.address.place.retract();
            this.network.place.wait().await;
        }
        Ok(this)
    }

    async fn counter(&self, bucket: Bucket, limit: Limit) -> Counter {
        let place = self.attempts.enter(&bucket, limit.capacity).await;
        Counter { bucket, limit, place }
    }

    /// False when it depends on how the tries before this one end.
    async fn has_room(&self, this: &mut Try) -> Result<bool, Error> {
        let before = (this.network.place.declare(), this.address.place.declare());
        let (c, now) = (&mut self.db.read().await?, self.now());
        Ok(this.network.has_room(c, now, before.0).await? && this.address.has_room(c, now, before.1).await?)
    }
}

impl Counter {
    async fn has_room(&self, c: &mut DbConn, now: Time, before: u32) -> Result<bool, Error> {
        let verdict = limits::peek(c, now, &self.bucket, self.limit).await?;
        if !verdict.allowed {
            return Err(Error::TooManyFailures(verdict.retry_after_secs));
        }
        Ok(before == 0 || limits::peek(c, now, &self.bucket, without(self.limit, before)).await?.allowed)
    }
}

impl Try {
    /// The password did not fit. To be committed before the try is dropped.
    pub(super) async fn count_failure(&self, tx: &mut DbConn, now: Time) -> db::Result<()> {
        limits::take(tx, now, &self.network.bucket, self.network.limit).await?;
        limits::take(tx, now, &self.address.bucket, self.address.limit).await?;
        Ok(())
    }

    /// The password fitted.
    pub(super) async fn forgive(&self, tx: &mut DbConn) -> db::Result<()> {
        limits::reset(tx, &self.network.bucket).await
    }
}

/// The limit, as if so many had been taken already: the same rate with that much less room.
fn without(limit: Limit, taken: u32) -> Limit {
    let capacity = limit.capacity.saturating_sub(taken);
    let each = limit.window.checked_div(limit.capacity).unwrap_or_default();
    Limit { capacity, window: each.saturating_mul(capacity) }
}
