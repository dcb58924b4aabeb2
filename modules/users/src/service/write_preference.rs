//! Writing one's own preferences: replacing, patching and removing the object of a namespace.

use contracts::users::PreferenceChanged;
use contracts::{Caller, Error as Told, UserId};
use platform::audit::{self, Entry, Outcome};
use platform::db::DbConn;
use platform::http::IfMatch;
use platform::outbox;
use serde_json::{Value, json};

use crate::error::Error;
use crate::model::{MAX_BYTES, Namespace, Object, Preference, extent, merge};
use crate::service::{Service, TRIES};
use crate::store::{preferences, profiles};

/// How deep preferences may be nested.
const MAX_DEPTH: usize = 32;

/// What a write left behind.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) preference: Preference,
    /// The namespace was not there before.
    pub(crate) created: bool,
}

impl Service {
    /// Replaces the object of a namespace. What changes nothing is not written, and nobody is told.
    ///
    /// # Errors
    /// 412 when `If-Match` names another state, 413, 422, 409 for one namespace too many; 503.
    pub(crate) async fn put_preference(
        &self,
        caller: &Caller,
        user: UserId,
        namespace: &Namespace,
        value: &Object,
        if_match: &IfMatch,
    ) -> Result<Written, Error> {
        self.change(caller, user, namespace, if_match, |_| Ok(value.clone())).await
    }

    /// Patches the object of a namespace.
    ///
    /// # Errors
    /// As for putting, and 404 when there is none under that name.
    pub(crate) async fn patch_preference(
        &self,
        caller: &Caller,
        user: UserId,
        namespace: &Namespace,
        patch: &Object,
        if_match: &IfMatch,
    ) -> Result<Written, Error> {
        let patched = |before: Option<&Preference>| {
            let mut value = before.ok_or(Error::NamespaceNotFound)?.value.clone();
            merge(&mut value, patch.clone());
            Ok(value)
        };
        self.change(caller, user, namespace, if_match, patched).await
    }

    /// Removes a namespace.
    ///
    /// # Errors
    /// 404 when it is not there, 412 when `If-Match` names another state; 503.
    pub(crate) async fn delete_preference(
        &self,
        caller: &Caller,
        user: UserId,
        namespace: &Namespace,
        if_match: &IfMatch,
    ) -> Result<(), Error> {
        self.touch_stored(caller, user).await?;
        for _ in 0..TRIES {
            let before = self.get_preference(user, namespace).await?;
            if_match.check(before.revision)?;
            let work = async |tx: &mut DbConn| {
                let removed = profiles::lock(tx, user).await?;
                if !preferences::delete(tx, user, &before).await? {
                    return Ok(false);
                }
                profiles::set_removed(tx, user, removed.max(before.revision)).await?;
                self.tell(tx, caller, user, Some(&before), None).await?;
                Ok::<_, Error>(true)
            };
            if self.db.transaction(work).await? {
                return Ok(());
            }
        }
        Err(Error::Stale)
    }

    async fn change(
        &self,
        caller: &Caller,
        user: UserId,
        namespace: &Namespace,
        if_match: &IfMatch,
        next: impl Fn(Option<&Preference>) -> Result<Object, Error>,
    ) -> Result<Written, Error> {
        for _ in 0..TRIES {
            let before = preferences::find(&mut *self.db.read().await?, user, namespace).await?;
            expected(if_match, before.as_ref())?;
            let value = checked(next(before.as_ref())?)?;
            if let Some(preference) = before.as_ref().filter(|before| before.value == value) {
                return Ok(Written { preference: preference.clone(), created: false });
            }
            let preference = Preference {
                namespace: namespace.clone(),
                value,
                revision: before.as_ref().map_or(0, |before| before.revision) + 1,
                updated_at: self.clock.now(),
            };
            if let Some(preference) = self.write(caller, user, before.as_ref(), preference).await? {
                return Ok(Written { preference, created: before.is_none() });
            }
        }
        Err(Error::Stale)
    }

    /// What was written; none when somebody else was faster.
    async fn write(
        &self,
        caller: &Caller,
        user: UserId,
        before: Option<&Preference>,
        after: Preference,
    ) -> Result<Option<Preference>, Error> {
        if before.is_none() {
            self.touch_stored(caller, user).await?;
        }
        let work = async |tx: &mut DbConn| {
            let written = match before {
                Some(_) => preferences::update(tx, user, &after).await?.then_some(after),
                None => self.add(tx, user, after).await?,
            };
            if written.is_some() {
                self.tell(tx, caller, user, before, written.as_ref()).await?;
            }
            Ok(written)
        };
        self.db.transaction(work).await
    }

    /// New namespaces of one person are added, and old ones removed, one after the other, by a lock on the profile's
    /// row: the last free one is given once, and no revision is given twice.
    async fn add(
        &self,
        tx: &mut DbConn,
        user: UserId,
        preference: Preference,
    ) -> Result<Option<Preference>, Error> {
        let removed = profiles::lock(tx, user).await?;
        let most = self.settings.max_preference_namespaces;
        if preferences::count(tx, user).await? >= i64::from(most) {
            return Err(Error::TooManyNamespaces(most));
        }
        let preference = Preference { revision: removed + 1, ..preference };
        Ok(preferences::insert(tx, user, &preference).await?.then_some(preference))
    }

    /// The trail is told which namespace changed and how large it is; what stands in it is the person's own.
    async fn tell(
        &self,
        tx: &mut DbConn,
        caller: &Caller,
        user: UserId,
        before: Option<&Preference>,
        after: Option<&Preference>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let namespace =
            before.or(after).map(|preference| preference.namespace.to_string()).unwrap_or_default();
        let told = |preference: &Preference| json!({ "namespace": preference.namespace, "revision": preference.revision, "keys": preference.value.len() });
        let entry = Entry {
            action: "users.preference.changed",
            outcome: Outcome::Succeeded,
            subject_type: "user",
            subject_id: user.to_string(),
            before: before.map(told),
            after: after.map(told),
        };
        outbox::publish(tx, now, caller, &PreferenceChanged { user, namespace }).await?;
        audit::record(tx, now, caller, entry).await?;
        Ok(())
    }
}

/// `If-Match` on what is not there matches nothing (RFC 9110 section 13.1.1).
fn expected(if_match: &IfMatch, before: Option<&Preference>) -> Result<(), Error> {
    match before {
        Some(before) => Ok(if_match.check(before.revision)?),
        None if *if_match == IfMatch::Absent => Ok(()),
        None => Err(Error::Stale),
    }
}

fn checked(value: Object) -> Result<Object, Error> {
    let value = Value::Object(value);
    let (depth, bytes) = extent(&value);
    if bytes > MAX_BYTES {
        return Err(Error::TooLarge(MAX_BYTES));
    }
    if depth > MAX_DEPTH {
        let rule = "Preferences are nested at most 32 levels deep.";
        return Err(Told::invalid("users.preferences_too_deep", rule).at("", "too_deep", rule).into());
    }
    let Value::Object(value) = value else { return Ok(Object::new()) };
    Ok(value)
}
