//! The link of a request, at the moment it is sent: a new secret each time, of which only the hash stays here.

use contracts::auth::MintedLink;
use contracts::{OneTimeRequestId, Time};
use platform::db::DbConn;

use super::Service;
use crate::error::Error;
use crate::model::{Invitation, OneTimeRequest, RequestKind, Secret, SecretKind, Verification};
use crate::store::requests;

impl Service {
    pub(super) async fn link(&self, id: OneTimeRequestId) -> Result<MintedLink, Error> {
        let now = self.now();
        self.db
            .transaction(async |tx| {
                let request = requests::find(tx, id).await?;
                let mailed = |it: &OneTimeRequest| {
                    matches!(it.kind, RequestKind::Verification | RequestKind::Invitation)
                };
                let request = request.filter(mailed).ok_or(Error::UnknownRequest)?;
                if !request.is_open(now) {
                    return Err(Error::SpentToken);
                }
                let url = if request.kind == RequestKind::Invitation {
                    self.url("invitation", &add_secret::<Invitation>(tx, id, now).await?)
                } else {
                    self.url("verify", &add_secret::<Verification>(tx, id, now).await?)
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
