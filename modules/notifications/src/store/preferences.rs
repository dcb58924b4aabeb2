//! What people decided about categories and channels.

use contracts::{Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Json, Result};

use crate::model::category::Choices;
use crate::schema::notifications_preferences as preferences;

/// What somebody decided, and how often that changed; 0 when never.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Decided {
    pub(crate) revision: i64,
    pub(crate) choices: Choices,
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = preferences, check_for_backend(Db), treat_none_as_default_value = false)]
struct Row {
    user_id: UserId,
    revision: i64,
    choices: Json<Choices>,
    updated_at: Time,
}

/// What somebody decided.
pub(crate) async fn find(c: &mut DbConn, user: UserId) -> Result<Decided> {
    let row: Option<Row> =
        preferences::table.find(user).select(Row::as_select()).first(c).await.optional()?;
    Ok(row.map(|row| Decided { revision: row.revision, choices: row.choices.0 }).unwrap_or_default())
}

/// Writes the state after this revision; false when that is not what is there.
pub(crate) async fn write(
    tx: &mut DbConn,
    user: UserId,
    before: i64,
    choices: &Choices,
    now: Time,
) -> Result<bool> {
    let row = Row { user_id: user, revision: before + 1, choices: Json(choices.clone()), updated_at: now };
    let written = if before == 0 {
        diesel::insert_into(preferences::table).values(row).on_conflict_do_nothing().execute(tx).await?
    } else {
        let same = preferences::table.find(user).filter(preferences::revision.eq(before));
        diesel::update(same).set(row).execute(tx).await?
    };
    Ok(written == 1)
}

/// Forgets what somebody decided.
pub(crate) async fn delete(tx: &mut DbConn, user: UserId) -> Result<()> {
    diesel::delete(preferences::table.find(user)).execute(tx).await?;
    Ok(())
}
