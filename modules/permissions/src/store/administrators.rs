//! Whether there is an administrator: somebody who can log in and who holds `admin` everywhere and for ever, himself or
//! through a group; and who holds it without being known to have proven his address. Exact only while the lock of the
//! graph is held.

use crate::model::ADMIN;
use crate::schema::{
    permissions_assignments as assignments, permissions_group_members as members,
    permissions_proven_subjects as proven, permissions_suspended_subjects as suspended,
};
use crate::store::HolderId;
use contracts::{GroupId, UserId};
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
pub(crate) async fn groups(c: &mut DbConn) -> Result<Vec<GroupId>> {
    let ids: Vec<HolderId> = assignments::table
        .filter(assignments::role.eq(ADMIN))
        .filter(assignments::subject_type.eq("group"))
        .filter(assignments::resource_type.is_null())
        .filter(assignments::expires_at.is_null())
        .select(assignments::subject_id)
        .load(c)
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

/// The next by id who were given it themselves, are not known to be unable to log in, and of whom no proof is known.
pub(crate) async fn unproven_users(c: &mut DbConn, after: Option<UserId>, limit: i64) -> Result<Vec<UserId>> {
    let ids: Vec<HolderId> = assignments::table
        .filter(assignments::role.eq(ADMIN))
        .filter(assignments::subject_type.eq("user"))
        .filter(assignments::resource_type.is_null())
        .filter(assignments::expires_at.is_null())
        .filter(assignments::subject_id.gt(position(after)))
        .filter(not(exists(suspended::table.filter(suspended::user_id.eq(assignments::subject_id)))))
        .filter(not(exists(proven::table.filter(proven::user_id.eq(assignments::subject_id)))))
        .order(assignments::subject_id.asc())
        .limit(limit)
        .select(assignments::subject_id)
        .load(c)
        .await?;
    Ok(ids.into_iter().map(|id| UserId::from_uuid(id.uuid())).collect())
}

/// The next by id who are directly in one of these groups, otherwise as in [`unproven_users`].
pub(crate) async fn unproven_members(
    c: &mut DbConn,
    groups: &[GroupId],
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<UserId>> {
    let ids: Vec<HolderId> = members::table
        .filter(members::group_id.eq_any(groups.to_vec()))
        .filter(members::member_type.eq("user"))
        .filter(members::member_id.gt(position(after)))
        .filter(not(exists(suspended::table.filter(suspended::user_id.eq(members::member_id)))))
        .filter(not(exists(proven::table.filter(proven::user_id.eq(members::member_id)))))
        .order(members::member_id.asc())
        .limit(limit)
        .select(members::member_id)
        .distinct()
        .load(c)
        .await?;
    Ok(ids.into_iter().map(|id| UserId::from_uuid(id.uuid())).collect())
}

fn position(after: Option<UserId>) -> HolderId {
    HolderId::from_uuid(after.map_or_else(Default::default, UserId::uuid))
}
