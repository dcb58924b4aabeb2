//! Remembering what somebody logs in from, and telling the owner of what was not seen before.
//!
//! A device is a network and a kind of client (see `model/device.rs`): an interface without cookies can't know more.
//! One notice for each new device, and not more than a few an hour, because whoever knows the password can call himself
//! something else each time; none for the very first login of an account that its owner registered, because the link in
//! the owner's mail made its password good. Of an account that somebody else made, the first one to log in may be anybody
//! who has seen its password; only the device on which an invitation was accepted is the owner's. The notice carries a
//! link by which the owner disowns the login, see `report_session`.

use contracts::auth::SignInNoticed;
use contracts::{Caller, OneTimeRequestId, Time, UserId};
use platform::db::DbConn;
use platform::{limits, outbox};

use super::{Service, hourly};
use crate::error::Error;
use crate::model::{Device, OneTimeRequest, RequestKind, Session};
use crate::store::{devices, requests};

/// Notices that one account gets in an hour; by then its owner knows.
const AT_MOST: u32 = 20;

impl Service {
    pub(super) async fn note_device(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        now: Time,
        session: &Session,
        is_owner: bool,
    ) -> Result<(), Error> {
        let is_new = self.remember_device(tx, caller, now, session.account).await?;
        if !is_new || is_owner || !self.settings.devices.notice {
            return Ok(());
        }
        let bucket = self.bucket("auth.notices", &[&session.account.to_string()]);
        if !limits::take(tx, now, &bucket, hourly(AT_MOST)).await?.allowed {
            return Ok(());
        }
        let request = OneTimeRequest {
            id: OneTimeRequestId::new(),
            kind: RequestKind::SessionReport,
            account: Some(session.account),
            session: Some(session.id),
            password_hash: None,
            credential_version: Some(session.credential_version),
            created_at: now,
            expires_at: now.plus(self.settings.links.report()),
            used_at: None,
        };
        let fact = SignInNoticed {
            user: session.account,
            session: session.id,
            request: request.id,
            at: now,
            client_address: session.client_address.clone(),
            user_agent: session.user_agent.clone(),
        };
        requests::insert(tx, request).await?;
        outbox::publish(tx, now, caller, &fact).await?;
        metrics::counter!("doorward_sign_in_notices_total").increment(1);
        Ok(())
    }

    /// Remembers the caller's device; true when it is a new one.
    pub(super) async fn remember_device(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        now: Time,
        account: UserId,
    ) -> Result<bool, Error> {
        let fingerprint = device(caller).fingerprint(&self.devices_key, account);
        Ok(devices::note(tx, account, &fingerprint, now).await?)
    }

    /// Whether the caller's device is one that is remembered of the account.
    pub(super) async fn knows_device(
        &self,
        c: &mut DbConn,
        caller: &Caller,
        account: UserId,
    ) -> Result<bool, Error> {
        let device = device(caller);
        let known = devices::is_known(c, &device.fingerprint(&self.devices_key, account)).await?;
        Ok(known && device.is_somewhere())
    }
}

fn device(caller: &Caller) -> Device {
    Device::of(caller.client_address, caller.user_agent.as_deref())
}
