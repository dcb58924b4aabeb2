//! Whether there is an administrator: somebody who can log in and who holds `admin` everywhere and for ever, himself or
//! through a group. Exact only while the lock of the graph is held.

use crate::model::ADMIN;
use crate::schema::{
    permissions_assignments as assignments, permissions_group_members as members,
    permissions_proven_subjects as proven, permissions_suspended_subjects as suspended,
};
use crate::store::HolderId;
use contracts::GroupId;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{DbConn, Result};

/// Who is looked for. Nobody who is known to be unable to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Only those who have proven their address.
    Proven,
    /// Those as well of whom that is not known.
    Anybody,
}

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
pub(crate) async fn any_user(tx: &mut DbConn, wanted: Wanted) -> Result<bool> {
    let mut query = assignments::table
        .filter(assignments::role.eq(ADMIN))
        .filter(assignments::subject_type.eq("user"))
        .filter(assignments::resource_type.is_null())
        .filter(assignments::expires_at.is_null())
        .filter(not(exists(suspended::table.filter(suspended::user_id.eq(assignments::subject_id)))))
        .select(assignments::subject_id)
        .into_boxed();
    if wanted == Wanted::Proven {
        query = query.filter(exists(proven::table.filter(proven::user_id.eq(assignments::subject_id))));
    }
    let some: Option<HolderId> = query.first(tx).await.optional()?;
    Ok(some.is_some())
}

/// Whether somebody is directly in one of these groups.
pub(crate) async fn any_member(tx: &mut DbConn, groups: &[GroupId], wanted: Wanted) -> Result<bool> {
    let mut query = members::table
        .filter(members::group_id.eq_any(groups.to_vec()))
        .filter(members::member_type.eq("user"))
        .filter(not(exists(suspended::table.filter(suspended::user_id.eq(members::member_id)))))
        .select(members::member_id)
        .into_boxed();
    if wanted == Wanted::Proven {
        query = query.filter(exists(proven::table.filter(proven::user_id.eq(members::member_id))));
    }
    let some: Option<HolderId> = query.first(tx).await.optional()?;
    Ok(some.is_some())
}
