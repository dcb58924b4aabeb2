//! Who may try a password now: failures are counted for an address from one network, and for an address from
//! anywhere. Unknown addresses are counted like known ones.
//!
//! A success forgives the failures from its own network only. Those from elsewhere are somebody else's, and a login
//! of the owner must not give a guesser new tries. And who is logged in from a network is not locked out there by
//! guesses from elsewhere: then only that network's own count matters. The same holds for a device that the owner has
//! logged in from before. So whoever keeps guessing from the whole world locks out the world, and not the owner.

use std::time::Duration;

use contracts::{Caller, Time, UserId};
use platform::db::{self, DbConn};
use platform::limits::{self, Bucket, Limit};

use super::attempts::{Place, Presence};
use super::passwords::busy;
use super::{Service, hourly};
use crate::error::Error;
use crate::model::{Network, Password, PasswordHash};
use crate::store::{accounts, sessions};

/// What failures from one network are counted under.
const NETWORK: &str = "auth.login.network";

/// A password that is being tried, with a login or to change it.
pub(super) struct Try {
    network: Counter,
    address: Counter,
    /// Only kept.
    _presence: Presence,
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
    /// 429 when there were too many failures already; 503 when too many are trying, altogether or from one network.
    pub(super) async fn admit(&self, caller: &Caller, address: &str) -> Result<Try, Error> {
        let from = Network::of(caller.client_address);
        let presence = self.attempts.arrive(from).ok_or_else(busy)?;
        let network = from.to_string();
        let settings = &self.settings.limits;
        let quarterly =
            Limit { capacity: settings.login_failures_per_network, window: Duration::from_secs(900) };
        let per_network = self.bucket(NETWORK, &[address, &network]);
        let per_address = self.bucket("auth.login.address", &[address]);
        let mut this = Try {
            network: self.counter(per_network, quarterly).await,
            address: self.counter(per_address, hourly(settings.login_failures_per_address)).await,
            _presence: presence,
        };
        while !self.has_room(&mut this, caller, address).await? {
            this.network.place.retract();
            this.address.place.retract();
            this.network.place.wait().await;
        }
        Ok(this)
    }

    /// Hashes a password that somebody chose, for himself or for somebody else. His network takes no more of the hashing
    /// threads with it than with passwords that are tried.
    ///
    /// # Errors
    /// 503 when too many are waiting already, altogether or from that network.
    pub(super) async fn hash_for(&self, caller: &Caller, password: &Password) -> Result<PasswordHash, Error> {
        let _presence = self.attempts.arrive(Network::of(caller.client_address)).ok_or_else(busy)?;
        self.passwords.hash(password).await
    }

    async fn counter(&self, bucket: Bucket, limit: Limit) -> Counter {
        let place = self.attempts.enter(&bucket, limit.capacity).await;
        Counter { bucket, limit, place }
    }

    /// False when it depends on how the tries before this one end.
    async fn has_room(&self, this: &mut Try, caller: &Caller, address: &str) -> Result<bool, Error> {
        let before = (this.network.place.declare(), this.address.place.declare());
        let (c, now) = (&mut self.db.read().await?, self.now());
        let here = this.network.has_room(c, now, before.0).await?;
        match this.address.has_room(c, now, before.1).await {
            Err(Error::TooManyFailures(_)) if self.is_at_home(c, caller, address, now).await? => Ok(here),
            anywhere => Ok(here && anywhere?),
        }
    }

    /// Whether the caller is where the owner of the address is logged in, or has logged in from.
    async fn is_at_home(
        &self,
        c: &mut DbConn,
        caller: &Caller,
        address: &str,
        now: Time,
    ) -> Result<bool, Error> {
        // Of nobody as much is looked for as of somebody.
        let owner = accounts::id_of(c, address).await?.unwrap_or_else(UserId::new);
        let used_after = now.minus(self.settings.tokens.idle());
        let addresses = sessions::client_addresses(c, owner, now, used_after).await?;
        let from = Network::of(caller.client_address);
        let mut networks = addresses.into_iter().flatten().map(|it| Network::of(it.parse().ok()));
        let is_logged_in = from != Network::Unknown && networks.any(|network| network == from);
        Ok(self.knows_device(c, caller, owner).await? || is_logged_in)
    }

    /// The failures that are counted from the caller's network for this address are forgiven, because its owner has
    /// shown up here.
    pub(super) async fn forgive_network(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        address: &str,
    ) -> Result<(), Error> {
        let network = Network::of(caller.client_address).to_string();
        Ok(limits::reset(tx, &self.bucket(NETWORK, &[address, &network])).await?)
    }
}

impl Counter {
    async fn has_room(&self, c: &mut DbConn, now: Time, before: u32) -> Result<bool, Error> {
        let verdict = limits::peek(c, now, &self.bucket, self.limit).await?;
        if !verdict.allowed {
            return Err(Error::TooManyFailures(verdict.retry_after_secs));
        }
        Ok(before == 0 || limits::peek_after(c, now, &self.bucket, self.limit, before).await?.allowed)
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
