//! Asking the owner of an account that somebody else made, or whose address changed, to prove the address: with the
//! password the account has, or by an invitation to choose one.
//!
//! Left out: accounts that somebody registered for himself; there each attempt brings its own password, see
//! `register.rs`.

use contracts::auth::{InvitationRequested, VerificationRequested};
use contracts::{Caller, OneTimeRequestId, UserId};
use platform::db::DbConn;
use platform::outbox;

use super::Service;
use crate::error::Error;
use crate::model::{OneTimeRequest, RequestKind};
use crate::store::{accounts, requests};

impl Service {
    /// The link that is still open, or a new one. Whoever has no password is invited: a mere proof would let nobody in.
    pub(super) async fn ask_for_proof(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        user: UserId,
        locale: Option<String>,
    ) -> Result<(), Error> {
        let kind = match accounts::has_password(tx, user).await? {
            true => RequestKind::Verification,
            false => RequestKind::Invitation,
        };
        let newest = requests::unspent(tx, user, kind, 1).await?.pop();
        match newest.filter(|request| request.is_open(self.now())) {
            Some(open) => self.tell_of_request(tx, caller, user, kind, open.id, locale).await,
            None => self.open_proof(tx, caller, user, kind, locale).await,
        }
    }

    /// A new request by which somebody proves the address.
    pub(super) async fn open_proof(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        user: UserId,
        kind: RequestKind,
        locale: Option<String>,
    ) -> Result<(), Error> {
        let (now, links) = (self.now(), &self.settings.links);
        let good_for =
            if kind == RequestKind::Invitation { links.invitation() } else { links.verification() };
        let request = OneTimeRequest {
            id: OneTimeRequestId::new(),
            kind,
            account: Some(user),
            session: None,
            password_hash: None,
            credential_version: None,
            created_at: now,
            expires_at: now.plus(good_for),
            used_at: None,
        };
        let id = request.id;
        requests::insert(tx, request).await?;
        self.tell_of_request(tx, caller, user, kind, id, locale).await
    }

    async fn tell_of_request(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        user: UserId,
        kind: RequestKind,
        request: OneTimeRequestId,
        locale: Option<String>,
    ) -> Result<(), Error> {
        let now = self.now();
        if kind == RequestKind::Invitation {
            outbox::publish(tx, now, caller, &InvitationRequested { user, request, locale }).await?;
        } else {
            outbox::publish(tx, now, caller, &VerificationRequested { user, request, locale }).await?;
        }
        Ok(())
    }
}
