//! The rows of groups. Writes expect that the caller holds the lock of the graph.

use crate::model::{Group, RoleName};
use crate::schema::permissions_groups as groups;
use contracts::{GroupId, Time};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Result};

/// A group as a row.
#[derive(Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = groups, check_for_backend(Db), treat_none_as_default_value = false, treat_none_as_null = true)]
struct GroupRow {
    id: GroupId,
    #[diesel(deserialize_as = String, serialize_as = String)]
    name: RoleName,
    description: Option<String>,
    revision: i64,
    created_at: Time,
    updated_at: Time,
}

impl From<GroupRow> for Group {
    fn from(row: GroupRow) -> Self {
        let GroupRow { id, name, description, revision, created_at, updated_at } = row;
        Self { id, name, description, revision, created_at, updated_at }
    }
}

impl From<&Group> for GroupRow {
    fn from(group: &Group) -> Self {
        let Group { id, name, description, revision, created_at, updated_at } = group.clone();
        Self { id, name, description, revision, created_at, updated_at }
    }
}

/// Adds a group; `Unique` when the name is taken.
pub(crate) async fn insert(tx: &mut DbConn, group: &Group) -> Result<()> {
    diesel::insert_into(groups::table).values(GroupRow::from(group)).execute(tx).await?;
    Ok(())
}

/// Writes the new state of a group; `Unique` when the name is taken.
pub(crate) async fn update(tx: &mut DbConn, group: &Group) -> Result<()> {
    diesel::update(groups::table.find(group.id)).set(GroupRow::from(group)).execute(tx).await?;
    Ok(())
}

/// Removes a group and who was in it.
pub(crate) async fn delete(tx: &mut DbConn, id: GroupId) -> Result<()> {
    diesel::delete(groups::table.find(id)).execute(tx).await?;
    Ok(())
}

/// One group.
pub(crate) async fn find(c: &mut DbConn, id: GroupId) -> Result<Option<Group>> {
    let row = groups::table.find(id).select(GroupRow::as_select()).first(c).await.optional()?;
    Ok(row.map(Group::from))
}

/// The ids and names of all groups.
pub(crate) async fn all(c: &mut DbConn) -> Result<Vec<Group>> {
    let rows = groups::table.select(GroupRow::as_select()).load(c).await?;
    Ok(rows.into_iter().map(Group::from).collect())
}

/// The next groups by name.
pub(crate) async fn page(c: &mut DbConn, after: Option<&RoleName>, limit: i64) -> Result<Vec<Group>> {
    let mut query = groups::table.select(GroupRow::as_select()).into_boxed();
    if let Some(after) = after {
        query = query.filter(groups::name.gt(after.as_str().to_owned()));
    }
    let rows = query.order(groups::name.asc()).limit(limit).load(c).await?;
    Ok(rows.into_iter().map(Group::from).collect())
}
