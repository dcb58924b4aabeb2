//! What a person wants to get: reading it, and deciding anew.

use contracts::notifications::NotificationPreferencesChanged;
use contracts::{Caller, Time, UserId};
use platform::audit::{self, Entry, Outcome};
use platform::db::{self, DbConn};
use platform::http::IfMatch;
use platform::outbox;
use serde_json::json;

use super::Service;
use crate::error::Error;
use crate::model::category::{Choices, check_choices, whole};
use crate::store::preferences::{self, Decided};

/// How often a change is tried when others change the same at the same time.
const TRIES: usize = 5;

impl Service {
    /// What a person decided, for every category and channel, and the number of the state.
    pub(crate) async fn read_preferences(&self, user: UserId) -> Result<Decided, Error> {
        let decided = preferences::find(&mut *self.db.read().await?, user).await?;
        Ok(self.whole(decided))
    }

    /// Replaces what a person decided.
    ///
    /// # Errors
    /// 412 when `If-Match` names another state, 422 for a category or channel that there is not, and for `security`
    /// switched off.
    pub(crate) async fn decide(
        &self,
        caller: &Caller,
        user: UserId,
        choices: Choices,
        if_match: &IfMatch,
    ) -> Result<Decided, Error> {
        check_choices(&choices, &self.settings.categories)?;
        for _ in 0..TRIES {
            let before = preferences::find(&mut *self.db.read().await?, user).await?;
            if_match.check(before.revision)?;
            let now = self.clock.now();
            let work = async |tx: &mut DbConn| change(tx, now, caller, user, &before, &choices).await;
            if self.db.transaction(work).await? {
                let after = Decided { revision: before.revision + 1, choices };
                return Ok(self.whole(after));
            }
        }
        Err(platform::http::precondition_failed().into())
    }

    fn whole(&self, mut decided: Decided) -> Decided {
        decided.choices = whole(&decided.choices, &self.settings.categories);
        decided
    }
}

/// Writes the next state; false when the state before is not there any more.
pub(super) async fn change(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    user: UserId,
    before: &Decided,
    choices: &Choices,
) -> db::Result<bool> {
    if !preferences::write(tx, user, before.revision, choices, now).await? {
        return Ok(false);
    }
    outbox::publish(tx, now, caller, &NotificationPreferencesChanged { user }).await?;
    let entry = Entry {
        action: "notifications.preferences.changed",
        outcome: Outcome::Succeeded,
        subject_type: "user",
        subject_id: user.to_string(),
        before: Some(json!(before.choices)),
        after: Some(json!(choices)),
    };
    audit::record(tx, now, caller, entry).await?;
    Ok(true)
}
