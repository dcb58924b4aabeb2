//! Reading one's own preferences.

use contracts::UserId;
use serde_json::Value;

use crate::error::Error;
use crate::model::{Namespace, Object, Preference};
use crate::service::Service;
use crate::store::preferences;

impl Service {
    /// All of them, by namespace.
    pub(crate) async fn list_preferences(&self, user: UserId) -> Result<Object, Error> {
        let all = preferences::list(&mut *self.db.read().await?, user).await?;
        Ok(all.into_iter().map(|(namespace, value)| (namespace, Value::Object(value))).collect())
    }

    /// # Errors
    /// 404 when there are none under that name; 503.
    pub(crate) async fn get_preference(
        &self,
        user: UserId,
        namespace: &Namespace,
    ) -> Result<Preference, Error> {
        let found = preferences::find(&mut *self.db.read().await?, user, namespace).await?;
        found.ok_or(Error::NamespaceNotFound)
    }
}
