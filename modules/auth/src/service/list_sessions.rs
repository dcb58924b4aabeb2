//! Where somebody is logged in.

use contracts::{Time, UserId};

use super::Service;
use crate::error::Error;
use crate::model::Session;
use crate::store::sessions;

impl Service {
    /// The live sessions of a person, the one used last first. One that was not refreshed for so long that it can't be
    /// any more is over, although nobody ended it.
    pub(crate) async fn sessions(&self, user: UserId) -> Result<Vec<Session>, Error> {
        let now: Time = self.now();
        let used_after = now.minus(self.settings.tokens.idle());
        Ok(sessions::live(&mut *self.db.read().await?, user, now, used_after).await?)
    }
}
