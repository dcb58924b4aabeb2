//! What this module knows about one person, for the person's own copy: no secret, no hash, and no key of one.

use contracts::{PersonalData, UserId};
use serde_json::{Value, json};

use super::Service;
use crate::error::Error;
use crate::store::sessions::Told;
use crate::store::{accounts, devices, sessions};

impl Service {
    pub(super) async fn personal_data(&self, user: UserId) -> Result<PersonalData, Error> {
        let mut c = self.db.read().await?;
        let account = accounts::find(&mut c, user).await?;
        let last_login_at = accounts::last_login(&mut c, user).await?;
        let account = account.map(|it| {
            json!({
                "id": it.id,
                "email": it.email.0,
                "email_verified": it.verified_at.is_some(),
                "state": it.state,
                "verified_at": it.verified_at,
                "last_login_at": last_login_at,
                "deleted_at": it.deleted_at,
                "created_at": it.created_at,
                "updated_at": it.updated_at,
            })
        });
        let sessions: Vec<Value> = sessions::all(&mut c, user).await?.iter().map(session).collect();
        let devices = devices::seen(&mut c, user).await?.into_iter();
        let devices: Vec<Value> =
            devices.map(|(first, last)| json!({ "first_seen_at": first, "last_seen_at": last })).collect();
        let sections =
            [("account", json!(account)), ("sessions", json!(sessions)), ("devices", json!(devices))];
        Ok(PersonalData { sections: sections.map(|(name, value)| (name.to_owned(), value)).into() })
    }
}

fn session(told: &Told) -> Value {
    json!({
        "id": told.id,
        "ip": told.client_address,
        "user_agent": told.user_agent,
        "created_at": told.created_at,
        "last_used_at": told.last_used_at,
        "expires_at": told.expires_at,
        "ended_at": told.revoked_at,
        "ended_because": told.revoked_reason.map(|reason| reason.as_str()),
    })
}
