//! Whether there is an administrator: somebody whose account can be used and who holds `admin` everywhere and for
//! ever, himself or through a group. Exact only while the lock of the graph is held.

use crate::model::ADMIN;
use crate::schema::{
    permissions_assignments as assignments, permissions_group_members as members,
    permissions_suspended_subjects as suspended,
};
use crate::store::HolderId;
use contracts::GroupId;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{DbConn, Result};

/// The groups that were given `admin` everywhere and for ever.
pub(crate) async fn groups(tx: &mut DbConn) -> Result<Vec<GroupId>> {
    let ids: Vec<HolderId> = assignments::table
        .filter(assignments::role.eq(ADMIN))
        .filter(assignments::subject_type.eq("group"))
        .filter(assignments::resource_type.is_null())
        .filter(assignments::expires_at.is_null())
        .select(assignments::subject_id)
        .load(tx)
        .await?;
    Ok(ids.into_iter().map(|id| GroupId::from_uuid(id.uuid())).collect())
}

/// Whether somebody was given it himself.
pub(crate) async fn any_user(tx: &mut DbConn) -> Result<bool> {
    let some: Option<HolderId> = assignments::table
        .filter(assignments::role.eq(ADMIN))
        .filter(assignments::subject_type.eq("user"))
        .filter(assignments::resource_type.is_null())
        .filter(assignments::expires_at.is_null())
        .filter(not(exists(suspended::table.filter(suspended::user_id.eq(assignments::subject_id)))))
        .select(assignments::subject_id)
        .first(tx)
        .await
        .optional()?;
    Ok(some.is_some())
}

/// Whether somebody is directly in one of these groups.
pub(crate) async fn any_member(tx: &mut DbConn, groups: Vec<GroupId>) -> Result<bool> {
    let some: Option<HolderId> = members::table
        .filter(members::group_id.eq_any(groups))
        .filter(members::member_type.eq("user"))
        .filter(not(exists(suspended::table.filter(suspended::user_id.eq(members::member_id)))))
        .select(members::member_id)
        .first(tx)
        .await
        .optional()?;
    Ok(some.is_some())
}
