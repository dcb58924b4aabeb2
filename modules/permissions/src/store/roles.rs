//! The rows of roles. Writes expect that the caller holds the lock of the graph.

use crate::model::{Permission, Role, RoleName};
use crate::schema::permissions_roles as roles;
use contracts::Time;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Json, Result};

/// A role as a row.
#[derive(Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = roles, check_for_backend(Db), treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct RoleRow {
    #[diesel(deserialize_as = String, serialize_as = String)]
    name: RoleName,
    description: Option<String>,
    permissions: Json<Vec<Permission>>,
    inherits: Json<Vec<RoleName>>,
    revision: i64,
    created_at: Time,
    updated_at: Time,
}

impl From<RoleRow> for Role {
    fn from(row: RoleRow) -> Self {
        Self {
            name: row.name,
            description: row.description,
            permissions: row.permissions.0,
            inherits: row.inherits.0,
            revision: row.revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl From<&Role> for RoleRow {
    fn from(role: &Role) -> Self {
        Self {
            name: role.name.clone(),
            description: role.description.clone(),
            permissions: Json(role.permissions.clone()),
            inherits: Json(role.inherits.clone()),
            revision: role.revision,
            created_at: role.created_at,
            updated_at: role.updated_at,
        }
    }
}

/// Adds a role.
pub(crate) async fn insert(tx: &mut DbConn, role: &Role) -> Result<()> {
    diesel::insert_into(roles::table).values(RoleRow::from(role)).execute(tx).await?;
    Ok(())
}

/// Writes the new state of a role.
pub(crate) async fn update(tx: &mut DbConn, role: &Role) -> Result<()> {
    diesel::update(roles::table.find(role.name.as_str())).set(RoleRow::from(role)).execute(tx).await?;
    Ok(())
}

/// Removes a role. `ForeignKey` while an assignment names it.
pub(crate) async fn delete(tx: &mut DbConn, name: &RoleName) -> Result<()> {
    diesel::delete(roles::table.find(name.as_str())).execute(tx).await?;
    Ok(())
}

/// One role.
pub(crate) async fn find(c: &mut DbConn, name: &RoleName) -> Result<Option<Role>> {
    let row = roles::table.find(name.as_str()).select(RoleRow::as_select()).first(c).await.optional()?;
    Ok(row.map(Role::from))
}

/// The next roles by name.
pub(crate) async fn page(c: &mut DbConn, after: Option<&RoleName>, limit: i64) -> Result<Vec<Role>> {
    let mut query = roles::table.select(RoleRow::as_select()).into_boxed();
    if let Some(after) = after {
        query = query.filter(roles::name.gt(after.as_str().to_owned()));
    }
    let rows = query.order(roles::name.asc()).limit(limit).load(c).await?;
    Ok(rows.into_iter().map(Role::from).collect())
}
