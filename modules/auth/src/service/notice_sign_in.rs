//! Remembering what somebody logs in from, and telling the owner of what was not seen before.
//!
//! A device is a network and a kind of client (see `model/device.rs`): an interface without cookies can't know more.
//! One notice for each new device, and not more than a few an hour, because whoever knows the password can call himself
//! something else each time; none for the very first login of an account, which its owner has just made. The
//! notice carries a link by which the owner disowns the login, see `report_session`.

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
        first_ever: bool,
    ) -> Result<(), Error> {
        let fingerprint = device(caller).fingerprint(&self.devices_key, session.account);
        let is_new = devices::note(tx, session.account, &fingerprint, now).await?;
        if !is_new || first_ever || !self.settings.devices.notice {
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

    /// Whether the caller's device is one that the owner of the address has logged in from. It takes the same one
    /// query for every address there is or is not.
    pub(super) async fn knows_device(
        &self,
        c: &mut DbConn,
        caller: &Caller,
        address: &str,
    ) -> Result<bool, Error> {
        let device = device(caller);
        let known = devices::of_address(c, address).await?;
        let is_it = |(user, fingerprint): &(UserId, Vec<u8>)| {
            device.fingerprint(&self.devices_key, *user).0.as_slice() == fingerprint
        };
        Ok(device.is_somewhere() && known.iter().any(is_it))
    }
}

fn device(caller: &Caller) -> Device {
    Device::of(caller.client_address, caller.user_agent.as_deref())
}
