//! Who is in which group. Writes expect that the caller holds the lock of the graph.

use crate::model::Holder;
use crate::schema::permissions_group_members as members;
use crate::store::{HolderId, holder};
use contracts::{GroupId, Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Result};

/// The type of member that a person is.
const USER: &str = "user";

/// The type of member that a group is.
const GROUP: &str = "group";

/// Somebody who is in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// In which.
    pub(crate) group: GroupId,
    /// Who.
    pub(crate) member: Holder,
    /// Since when.
    pub(crate) added_at: Time,
}

/// A member as a row.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = members, check_for_backend(Db), treat_none_as_default_value = false)]
pub(super) struct MemberRow {
    group_id: GroupId,
    member_type: String,
    member_id: HolderId,
    added_at: Time,
}

impl From<MemberRow> for Member {
    fn from(row: MemberRow) -> Self {
        let member = holder(&row.member_type, row.member_id);
        Self { group: row.group_id, member, added_at: row.added_at }
    }
}

/// Puts somebody into a group; false when he is in it already. `ForeignKey` when there is no such group.
pub(crate) async fn insert(tx: &mut DbConn, member: Member) -> Result<bool> {
    let row = MemberRow {
        group_id: member.group,
        member_type: member.member.kind().to_owned(),
        member_id: member.member.into(),
        added_at: member.added_at,
    };
    Ok(diesel::insert_into(members::table).values(row).on_conflict_do_nothing().execute(tx).await? == 1)
}

/// Takes somebody out of a group; none when he is not in it.
pub(crate) async fn delete(tx: &mut DbConn, group: GroupId, member: Holder) -> Result<Option<Member>> {
    let key = (group, member.kind().to_owned(), HolderId::from(member));
    let row = diesel::delete(members::table.find(key))
        .returning(MemberRow::as_returning())
        .get_result(tx)
        .await
        .optional()?;
    Ok(row.map(Member::from))
}

/// Takes somebody out of all groups; those he was in.
pub(crate) async fn delete_all_of(tx: &mut DbConn, member: Holder) -> Result<Vec<Member>> {
    let rows: Vec<MemberRow> = diesel::delete(members::table)
        .filter(members::member_id.eq(HolderId::from(member)))
        .filter(members::member_type.eq(member.kind()))
        .returning(MemberRow::as_returning())
        .get_results(tx)
        .await?;
    Ok(rows.into_iter().map(Member::from).collect())
}

/// The groups that somebody is directly in.
pub(crate) async fn of_member(c: &mut DbConn, member: Holder) -> Result<Vec<Member>> {
    let rows: Vec<MemberRow> = of_member_query(member).select(MemberRow::as_select()).load(c).await?;
    Ok(rows.into_iter().map(Member::from).collect())
}

/// The query of [`of_member`].
#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn of_member_query(member: Holder) -> _ {
    let kind: &'static str = member.kind();
    let id: HolderId = member.into();
    members::table
        .filter(members::member_id.eq(id))
        .filter(members::member_type.eq(kind))
        .order(members::group_id.asc())
}

/// The groups that each of these users is directly in.
pub(crate) async fn of_users(c: &mut DbConn, users: &[UserId]) -> Result<Vec<Member>> {
    let ids: Vec<HolderId> = users.iter().map(|user| Holder::User(*user).into()).collect();
    let rows = members::table
        .filter(members::member_id.eq_any(ids))
        .filter(members::member_type.eq(USER))
        .select(MemberRow::as_select())
        .load(c)
        .await?;
    Ok(rows.into_iter().map(Member::from).collect())
}

/// Which group is directly inside of which: the outer one first.
pub(crate) async fn nested(c: &mut DbConn) -> Result<Vec<(GroupId, GroupId)>> {
    let pairs: Vec<(GroupId, HolderId)> = members::table
        .filter(members::member_type.eq(GROUP))
        .select((members::group_id, members::member_id))
        .load(c)
        .await?;
    Ok(pairs.into_iter().map(|(outer, inner)| (outer, GroupId::from_uuid(inner.uuid()))).collect())
}

/// The next members of a group, groups first, each by id. Each kind is sought by the primary key: one condition on kind
/// and id together would be walked to.
pub(crate) async fn page(
    c: &mut DbConn,
    group: GroupId,
    after: Option<Holder>,
    limit: i64,
) -> Result<Vec<Member>> {
    let mut rows: Vec<MemberRow> = vec![];
    if after.and_then(Holder::user).is_none() {
        let after = after.map(HolderId::from);
        rows = of_kind(group, GROUP, after, limit).load(c).await?;
    }
    let left = limit.saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
    if left > 0 {
        let after = after.filter(|after| after.user().is_some()).map(HolderId::from);
        let users: Vec<MemberRow> = of_kind(group, USER, after, left).load(c).await?;
        rows.extend(users);
    }
    Ok(rows.into_iter().map(Member::from).collect())
}

type Ordered<'q> = members::BoxedQuery<'q, Db, diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<MemberRow, Db>>>;

/// The query for the next members of one kind.
pub(super) fn of_kind<'q>(
    group: GroupId,
    kind: &'static str,
    after: Option<HolderId>,
    limit: i64,
) -> Ordered<'q> {
    let query = members::table
        .filter(members::group_id.eq(group))
        .filter(members::member_type.eq(kind))
        .order(members::member_id.asc())
        .limit(limit)
        .select(MemberRow::as_select())
        .into_boxed();
    match after {
        Some(after) => query.filter(members::member_id.gt(after)),
        None => query,
    }
}

/// The next users that are directly in a group, by id.
pub(crate) async fn users_of(
    c: &mut DbConn,
    group: GroupId,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<UserId>> {
    let after = HolderId::from_uuid(after.map_or_else(Default::default, UserId::uuid));
    let ids: Vec<HolderId> = users_of_query(group, after, limit).load(c).await?;
    Ok(ids.into_iter().map(|id| UserId::from_uuid(id.uuid())).collect())
}

/// The query of [`users_of`].
#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn users_of_query(group: GroupId, after: HolderId, limit: i64) -> _ {
    let user: &'static str = USER;
    members::table
        .filter(members::group_id.eq(group))
        .filter(members::member_type.eq(user))
        .filter(members::member_id.gt(after))
        .order(members::member_id.asc())
        .limit(limit)
        .select(members::member_id)
}
