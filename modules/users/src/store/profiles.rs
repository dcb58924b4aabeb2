//! The rows of profiles.

use contracts::{Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Json, Result};

use crate::model::{Object, Profile};
use crate::schema::users_profiles as profiles;

/// A profile as a row.
#[derive(Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = profiles, check_for_backend(Db), treat_none_as_default_value = false, treat_none_as_null = true)]
struct ProfileRow {
    id: UserId,
    display_name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    phone: Option<String>,
    locale: Option<String>,
    time_zone: Option<String>,
    avatar_url: Option<String>,
    attributes: Json<Object>,
    revision: i64,
    created_at: Time,
    updated_at: Time,
}

impl From<ProfileRow> for Profile {
    fn from(row: ProfileRow) -> Self {
        Self {
            id: row.id,
            display_name: row.display_name,
            given_name: row.given_name,
            family_name: row.family_name,
            phone: row.phone,
            locale: row.locale,
            time_zone: row.time_zone,
            avatar_url: row.avatar_url,
            attributes: row.attributes.0,
            revision: row.revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl From<Profile> for ProfileRow {
    fn from(profile: Profile) -> Self {
        Self {
            id: profile.id,
            display_name: profile.display_name,
            given_name: profile.given_name,
            family_name: profile.family_name,
            phone: profile.phone,
            locale: profile.locale,
            time_zone: profile.time_zone,
            avatar_url: profile.avatar_url,
            attributes: Json(profile.attributes),
            revision: profile.revision,
            created_at: profile.created_at,
            updated_at: profile.updated_at,
        }
    }
}

/// One profile.
pub(crate) async fn find(c: &mut DbConn, id: UserId) -> Result<Option<Profile>> {
    let row = profiles::table.find(id).select(ProfileRow::as_select()).first(c).await.optional()?;
    Ok(row.map(Profile::from))
}

/// Adds a profile unless there is one; true when it was added.
pub(crate) async fn insert(tx: &mut DbConn, profile: Profile) -> Result<bool> {
    let row = ProfileRow::from(profile);
    Ok(diesel::insert_into(profiles::table).values(row).on_conflict_do_nothing().execute(tx).await? == 1)
}

/// Writes the new state over the revision before it; false when that is not what is there.
pub(crate) async fn update(tx: &mut DbConn, profile: Profile) -> Result<bool> {
    let before = profile.revision - 1;
    let target = profiles::table.find(profile.id).filter(profiles::revision.eq(before));
    Ok(diesel::update(target).set(ProfileRow::from(profile)).execute(tx).await? == 1)
}

/// Holds a profile's row until the transaction ends; the highest revision of any namespace that was removed.
pub(crate) async fn lock(tx: &mut DbConn, id: UserId) -> Result<i64> {
    Ok(diesel::update(profiles::table.find(id))
        .set(profiles::revision.eq(profiles::revision))
        .returning(profiles::removed_preference_revision)
        .get_result(tx)
        .await?)
}

/// Remembers the highest revision of any namespace that was removed.
pub(crate) async fn set_removed(tx: &mut DbConn, id: UserId, revision: i64) -> Result<()> {
    let removed = profiles::removed_preference_revision.eq(revision);
    diesel::update(profiles::table.find(id)).set(removed).execute(tx).await?;
    Ok(())
}

/// Those of these users who have a profile, in no order.
pub(crate) async fn some(c: &mut DbConn, ids: &[UserId]) -> Result<Vec<Profile>> {
    let rows: Vec<ProfileRow> =
        profiles::table.filter(profiles::id.eq_any(ids)).select(ProfileRow::as_select()).load(c).await?;
    Ok(rows.into_iter().map(Profile::from).collect())
}

/// Holds a profile's row until the transaction ends, when there is one.
pub(crate) async fn hold(tx: &mut DbConn, id: UserId) -> Result<()> {
    let same = profiles::revision.eq(profiles::revision);
    diesel::update(profiles::table.find(id)).set(same).execute(tx).await?;
    Ok(())
}

/// Removes a profile.
pub(crate) async fn delete(tx: &mut DbConn, id: UserId) -> Result<bool> {
    Ok(diesel::delete(profiles::table.find(id)).execute(tx).await? == 1)
}
