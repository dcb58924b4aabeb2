//! The link of a request, at the moment it is sent: a new secret each time, of which only the hash stays here.

use contracts::auth::MintedLink;
use contracts::{OneTimeRequestId, Time};
use platform::db::DbConn;

use super::Service;
use crate::error::Error;
use crate::model::{
    Invitation, OneTimeRequest, PasswordReset, RequestKind, Secret, SecretKind, SessionReport, Verification,
};
use crate::store::{accounts, requests};

impl Service {
    pub(super) async fn link(&self, id: OneTimeRequestId) -> Result<MintedLink, Error> {
        let now = self.now();
        self.db
            .transaction(async |tx| {
                // A set-up link is printed at the start and never sent.
                let request = requests::find(tx, id).await?.filter(|it| it.kind != RequestKind::Setup);
                let request = request.ok_or(Error::UnknownRequest)?;
                if !request.is_open(now) || !still_stands(tx, &request).await? {
                    return Err(Error::SpentToken);
                }
                let url = match request.kind {
                    RequestKind::Verification => {
                        self.url::<Verification>("verify", &add_secret(tx, id, now).await?)
                    }
                    RequestKind::PasswordReset => {
                        self.url::<PasswordReset>("password-reset", &add_secret(tx, id, now).await?)
                    }
                    RequestKind::Invitation => {
                        self.url::<Invitation>("invitation", &add_secret(tx, id, now).await?)
                    }
                    RequestKind::SessionReport => {
                        self.url::<SessionReport>("session-report", &add_secret(tx, id, now).await?)
                    }
                    RequestKind::Setup => return Err(Error::UnknownRequest),
                };
                Ok(MintedLink { url, expires_at: request.expires_at })
            })
            .await
    }

    /// A page of ours with a secret behind the `#`, where no server, proxy or `Referer` sees it.
    pub(super) fn url<K: SecretKind>(&self, page: &str, secret: &Secret<K>) -> String {
        format!("{}/{page}#token={}", self.issuer, secret.reveal())
    }
}

/// A reset is for the password that was forgotten: when that has changed since, its message is not worth sending.
async fn still_stands(tx: &mut DbConn, request: &OneTimeRequest) -> Result<bool, Error> {
    let (RequestKind::PasswordReset, Some(user)) = (request.kind, request.account) else { return Ok(true) };
    let account = accounts::find(tx, user).await?;
    Ok(account.map(|it| it.credential_version) == request.credential_version)
}

/// One more secret that opens the request.
pub(super) async fn add_secret<K: SecretKind>(
    tx: &mut DbConn,
    request: OneTimeRequestId,
    now: Time,
) -> Result<Secret<K>, Error> {
    let secret = Secret::fresh()?;
    requests::insert_secret(tx, secret.hash(), request, now).await?;
    Ok(secret)
}
