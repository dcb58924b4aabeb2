//! The rows of preferences.

use contracts::{Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Json, Result};

use crate::model::{Namespace, Object, Preference};
use crate::schema::users_preferences as preferences;

/// Preferences as a row.
#[derive(Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = preferences, check_for_backend(Db), treat_none_as_default_value = false)]
struct PreferenceRow {
    user_id: UserId,
    namespace: String,
    value: Json<Object>,
    revision: i64,
    updated_at: Time,
}

impl PreferenceRow {
    fn new(user: UserId, preference: &Preference) -> Self {
        Self {
            user_id: user,
            namespace: preference.namespace.to_string(),
            value: Json(preference.value.clone()),
            revision: preference.revision,
            updated_at: preference.updated_at,
        }
    }
}

/// Everything somebody prefers, by namespace.
pub(crate) async fn list(c: &mut DbConn, user: UserId) -> Result<Vec<(String, Object)>> {
    let all = preferences::table.filter(preferences::user_id.eq(user)).order(preferences::namespace.asc());
    let rows = all.select((preferences::namespace, preferences::value)).load(c).await?;
    Ok(rows.into_iter().map(|(namespace, value): (String, Json<Object>)| (namespace, value.0)).collect())
}

/// The preferences of one namespace.
pub(crate) async fn find(c: &mut DbConn, user: UserId, namespace: &Namespace) -> Result<Option<Preference>> {
    let one = preferences::table.find((user, namespace.as_str())).select(PreferenceRow::as_select());
    let row = one.first(c).await.optional()?;
    Ok(row.map(|row| Preference {
        namespace: namespace.clone(),
        value: row.value.0,
        revision: row.revision,
        updated_at: row.updated_at,
    }))
}

/// How many namespaces somebody has.
pub(crate) async fn count(c: &mut DbConn, user: UserId) -> Result<i64> {
    Ok(preferences::table.filter(preferences::user_id.eq(user)).count().get_result(c).await?)
}

/// Adds a namespace unless there is one; true when it was added.
pub(crate) async fn insert(tx: &mut DbConn, user: UserId, preference: &Preference) -> Result<bool> {
    let row = PreferenceRow::new(user, preference);
    Ok(diesel::insert_into(preferences::table).values(row).on_conflict_do_nothing().execute(tx).await? == 1)
}

/// Writes the new state over the revision before it; false when that is not what is there.
pub(crate) async fn update(tx: &mut DbConn, user: UserId, preference: &Preference) -> Result<bool> {
    let before = preference.revision - 1;
    let one = preferences::table.find((user, preference.namespace.as_str()));
    let target = one.filter(preferences::revision.eq(before));
    Ok(diesel::update(target).set(PreferenceRow::new(user, preference)).execute(tx).await? == 1)
}

/// Removes a namespace at this revision; false when that is not what is there.
pub(crate) async fn delete(tx: &mut DbConn, user: UserId, preference: &Preference) -> Result<bool> {
    let one = preferences::table.find((user, preference.namespace.as_str()));
    Ok(diesel::delete(one.filter(preferences::revision.eq(preference.revision))).execute(tx).await? == 1)
}

/// Removes everything somebody prefers.
pub(crate) async fn delete_all(tx: &mut DbConn, user: UserId) -> Result<usize> {
    Ok(diesel::delete(preferences::table.filter(preferences::user_id.eq(user))).execute(tx).await?)
}
