//! The one row that stands for all roles and groups together.
//!
//! Updating it takes a row lock that lasts until the transaction ends: on PostgreSQL this is what puts changes of
//! roles and groups, of who is in a group, and removals of administrators, one after the other.

use crate::model::Role;
use crate::schema::{permissions_graph as graph, permissions_roles as roles};
use crate::store::roles::RoleRow;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{DbConn, Result};

/// The id of the row.
const ONLY: i64 = 1;

/// Takes the lock and begins the next revision.
pub(crate) async fn advance(tx: &mut DbConn) -> Result<i64> {
    Ok(diesel::update(graph::table.find(ONLY))
        .set(graph::revision.eq(graph::revision + 1))
        .returning(graph::revision)
        .get_result(tx)
        .await?)
}

/// Takes the lock and leaves the revision as it is.
pub(crate) async fn lock(tx: &mut DbConn) -> Result<i64> {
    Ok(diesel::update(graph::table.find(ONLY))
        .set(graph::revision.eq(graph::revision))
        .returning(graph::revision)
        .get_result(tx)
        .await?)
}

/// The revision now.
pub(crate) async fn revision(c: &mut DbConn) -> Result<i64> {
    Ok(graph::table.find(ONLY).select(graph::revision).first(c).await?)
}

/// All roles with the revision they belong to, seen at one moment: one statement, because on PostgreSQL two
/// statements of one transaction may see two states.
pub(crate) async fn load(c: &mut DbConn) -> Result<(i64, Vec<Role>)> {
    let rows: Vec<(i64, Option<RoleRow>)> = graph::table
        .left_join(roles::table.on(graph::id.eq(ONLY)))
        .select((graph::revision, Option::<RoleRow>::as_select()))
        .load(c)
        .await?;
    let revision = rows.as_slice().first().map(|(revision, _)| *revision).unwrap_or_default();
    Ok((revision, rows.into_iter().filter_map(|(_, row)| row.map(Role::from)).collect()))
}
