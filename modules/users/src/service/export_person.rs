//! Everything that this module knows about one person, for the person's own copy.

use contracts::{PersonalData, UserId};
use serde_json::{Value, json};

use crate::error::Error;
use crate::service::Service;
use crate::store::{directory, preferences, profiles};

impl Service {
    /// # Errors
    /// 503.
    pub(super) async fn personal_data(&self, user: UserId) -> Result<PersonalData, Error> {
        let c = &mut *self.db.read().await?;
        let profile = profiles::find(c, user).await?.map(|it| {
            json!({
                "display_name": it.display_name, "given_name": it.given_name, "family_name": it.family_name,
                "phone": it.phone, "locale": it.locale, "time_zone": it.time_zone, "avatar_url": it.avatar_url,
                "attributes": it.attributes, "created_at": it.created_at, "updated_at": it.updated_at,
            })
        });
        let listed = directory::find(c, user).await?.map(|it| {
            json!({
                "email": it.email, "email_verified": it.email_verified, "state": it.state,
                "created_at": it.created_at, "updated_at": it.updated_at,
            })
        });
        let preferences = preferences::list(c, user).await?;
        let preferences: serde_json::Map<String, Value> =
            preferences.into_iter().map(|(namespace, value)| (namespace, Value::Object(value))).collect();
        let sections = [
            ("profile", json!(profile)),
            ("directory", json!(listed)),
            ("preferences", Value::Object(preferences)),
        ];
        Ok(PersonalData {
            sections: sections.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        })
    }
}
