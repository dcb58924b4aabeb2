//! Changing one's own profile, without ever losing what came in between.

use contracts::users::UserUpdated;
use contracts::{Caller, Time, UserId};
use platform::audit::{self, Entry, Outcome};
use platform::db::DbConn;
use platform::http::IfMatch;
use platform::outbox;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::model::{Change, Object, Profile};
use crate::service::directory::note_profile;
use crate::service::{Me, Service, TRIES};
use crate::store::profiles;

impl Service {
    /// # Errors
    /// Every broken rule at once; 412 when `If-Match` names another state; 404; 503.
    pub(crate) async fn update_profile(
        &self,
        caller: &Caller,
        user: UserId,
        patch: &Object,
        if_match: &IfMatch,
    ) -> Result<Me, Error> {
        self.profiles.forgetting(vec![user], self.update_until_it_fits(caller, user, patch, if_match)).await
    }

    async fn update_until_it_fits(
        &self,
        caller: &Caller,
        user: UserId,
        patch: &Object,
        if_match: &IfMatch,
    ) -> Result<Me, Error> {
        for _ in 0..TRIES {
            let account = self.account(caller, user).await?;
            let me = Me { account, profile: self.touch_stored(caller, user).await? };
            if_match.check(me.revision())?;
            let change = Change::patch(&me.profile, patch)?;
            if change.changed.is_empty() {
                return Ok(me);
            }
            let now = self.clock.now();
            let work = async |tx: &mut DbConn| write(tx, now, caller, &me.profile, change).await;
            if let Some(profile) = self.db.transaction(work).await? {
                return Ok(Me { profile, ..me });
            }
        }
        Err(Error::Stale)
    }
}

/// Writes a change over exactly the state it was decided against, and tells of it; none when somebody else was faster.
pub(super) async fn write(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    before: &Profile,
    change: Change,
) -> Result<Option<Profile>, Error> {
    let Change { profile, changed } = change;
    let after = Profile { revision: before.revision + 1, updated_at: now, ..profile };
    if !profiles::update(tx, after.clone()).await? {
        return Ok(None);
    }
    if changed.iter().any(|name| name.ends_with("_name")) {
        note_profile(tx, &after).await?;
    }
    let names = changed.iter().map(|name| (*name).to_owned()).collect();
    outbox::publish(tx, now, caller, &UserUpdated { user: after.id, changed: names }).await?;
    let entry = Entry {
        action: "users.user.updated",
        outcome: Outcome::Succeeded,
        subject_type: "user",
        subject_id: after.id.to_string(),
        before: Some(told(before, &changed)),
        after: Some(told(&after, &changed)),
    };
    audit::record(tx, now, caller, entry).await?;
    Ok(Some(after))
}

/// What the audit trail is told: language and time zone as they are, of everything else only whether it was there.
/// Names, numbers and pictures are personal, and the trail outlives the person's account.
fn told(profile: &Profile, changed: &[&'static str]) -> Value {
    let present = |value: &Option<String>| Value::Bool(value.is_some());
    let told = changed.iter().map(|name| {
        let value = match *name {
            "locale" => profile.locale.clone().into(),
            "time_zone" => profile.time_zone.clone().into(),
            "display_name" => present(&profile.display_name),
            "given_name" => present(&profile.given_name),
            "family_name" => present(&profile.family_name),
            "phone" => present(&profile.phone),
            "avatar_url" => present(&profile.avatar_url),
            _ => Value::Bool(!profile.attributes.is_empty()),
        };
        ((*name).to_owned(), value)
    });
    Value::Object(told.collect::<Map<_, _>>())
}
