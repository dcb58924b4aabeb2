//! The rows of assignments.

use crate::model::{Assignment, Holder, Resource, RoleName};
use crate::schema::permissions_assignments as assignments;
use crate::store::{HolderId, holder};
use contracts::{AssignmentId, Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Result};

/// An assignment as a row.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = assignments, check_for_backend(Db), treat_none_as_default_value = false)]
pub(super) struct AssignmentRow {
    id: AssignmentId,
    subject_type: String,
    subject_id: HolderId,
    #[diesel(deserialize_as = String, serialize_as = String)]
    role: RoleName,
    resource_type: Option<String>,
    resource_id: Option<String>,
    expires_at: Option<Time>,
    created_at: Time,
}

impl From<AssignmentRow> for Assignment {
    fn from(row: AssignmentRow) -> Self {
        Self {
            id: row.id,
            subject: holder(&row.subject_type, row.subject_id),
            role: row.role,
            resource: row.resource_type.zip(row.resource_id).map(|(kind, id)| Resource { kind, id }),
            expires_at: row.expires_at,
            created_at: row.created_at,
        }
    }
}

impl From<&Assignment> for AssignmentRow {
    fn from(assignment: &Assignment) -> Self {
        Self {
            id: assignment.id,
            subject_type: assignment.subject.kind().to_owned(),
            subject_id: assignment.subject.into(),
            role: assignment.role.clone(),
            resource_type: assignment.resource.as_ref().map(|resource| resource.kind.clone()),
            resource_id: assignment.resource.as_ref().map(|resource| resource.id.clone()),
            expires_at: assignment.expires_at,
            created_at: assignment.created_at,
        }
    }
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Of users only, or of groups only.
    pub(crate) subject_type: Option<String>,
    /// Of this user or group only.
    pub(crate) subject: Option<HolderId>,
    /// Of this role only.
    pub(crate) role: Option<RoleName>,
    /// On things of this type only.
    pub(crate) resource_type: Option<String>,
    /// On things of this id only.
    pub(crate) resource_id: Option<String>,
    /// Those that count at that moment, or those that don't.
    pub(crate) counting: Option<(bool, Time)>,
    /// Those made after this one.
    pub(crate) after: Option<AssignmentId>,
    /// At most so many.
    pub(crate) limit: i64,
}

/// Adds an assignment; false when the subject already holds the role there. `ForeignKey` when there is no such role.
pub(crate) async fn insert(tx: &mut DbConn, assignment: &Assignment) -> Result<bool> {
    let added = diesel::insert_into(assignments::table)
        .values(AssignmentRow::from(assignment))
        .on_conflict_do_nothing()
        .execute(tx)
        .await?;
    Ok(added == 1)
}

/// One assignment.
pub(crate) async fn find(c: &mut DbConn, id: AssignmentId) -> Result<Option<Assignment>> {
    let row = assignments::table.find(id).select(AssignmentRow::as_select()).first(c).await.optional()?;
    Ok(row.map(Assignment::from))
}

/// The assignment of that role to that subject, there.
pub(crate) async fn twin(
    c: &mut DbConn,
    subject: Holder,
    role: &RoleName,
    resource: Option<&Resource>,
) -> Result<Option<Assignment>> {
    let query = assignments::table
        .filter(assignments::subject_type.eq(subject.kind()))
        .filter(assignments::subject_id.eq(HolderId::from(subject)))
        .filter(assignments::role.eq(role.as_str().to_owned()))
        .select(AssignmentRow::as_select())
        .into_boxed();
    let query = match resource {
        None => query.filter(assignments::resource_type.is_null()),
        Some(Resource { kind, id }) => query
            .filter(assignments::resource_type.eq(kind.clone()))
            .filter(assignments::resource_id.eq(id.clone())),
    };
    Ok(query.first(c).await.optional()?.map(Assignment::from))
}

/// Everything a subject was assigned, expired ones included.
pub(crate) async fn of_subject(c: &mut DbConn, subject: Holder) -> Result<Vec<Assignment>> {
    let rows: Vec<AssignmentRow> =
        of_subject_query(subject).select(AssignmentRow::as_select()).load(c).await?;
    Ok(rows.into_iter().map(Assignment::from).collect())
}

/// The query of [`of_subject`].
#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn of_subject_query(subject: Holder) -> _ {
    let kind: &'static str = subject.kind();
    let id: HolderId = subject.into();
    assignments::table
        .filter(assignments::subject_id.eq(id))
        .filter(assignments::subject_type.eq(kind))
        .order(assignments::id.asc())
}

/// Everything that these users were assigned, expired ones included.
pub(crate) async fn of_users(c: &mut DbConn, users: &[UserId]) -> Result<Vec<Assignment>> {
    let ids: Vec<HolderId> = users.iter().map(|user| Holder::User(*user).into()).collect();
    let rows = assignments::table
        .filter(assignments::subject_id.eq_any(ids))
        .filter(assignments::subject_type.eq("user"))
        .select(AssignmentRow::as_select())
        .load(c)
        .await?;
    Ok(rows.into_iter().map(Assignment::from).collect())
}

/// Everything that groups were assigned, expired ones included.
pub(crate) async fn of_groups(c: &mut DbConn) -> Result<Vec<Assignment>> {
    let rows = assignments::table
        .filter(assignments::subject_type.eq("group"))
        .order(assignments::id.asc())
        .select(AssignmentRow::as_select())
        .load(c)
        .await?;
    Ok(rows.into_iter().map(Assignment::from).collect())
}

/// The next assignments by id, which is the order they were made in.
pub(crate) async fn page(c: &mut DbConn, filter: &Filter) -> Result<Vec<Assignment>> {
    let mut query = assignments::table.select(AssignmentRow::as_select()).into_boxed();
    if let Some(kind) = &filter.subject_type {
        query = query.filter(assignments::subject_type.eq(kind.clone()));
    }
    if let Some(subject) = filter.subject {
        query = query.filter(assignments::subject_id.eq(subject));
    }
    if let Some(role) = &filter.role {
        query = query.filter(assignments::role.eq(role.as_str().to_owned()));
    }
    if let Some(kind) = &filter.resource_type {
        query = query.filter(assignments::resource_type.eq(kind.clone()));
    }
    if let Some(id) = &filter.resource_id {
        query = query.filter(assignments::resource_id.eq(id.clone()));
    }
    query = match filter.counting {
        Some((true, now)) => {
            query.filter(assignments::expires_at.is_null().or(assignments::expires_at.gt(now)))
        }
        Some((false, now)) => query.filter(assignments::expires_at.le(now)),
        None => query,
    };
    if let Some(after) = filter.after {
        query = query.filter(assignments::id.gt(after));
    }
    let rows = query.order(assignments::id.asc()).limit(filter.limit).load(c).await?;
    Ok(rows.into_iter().map(Assignment::from).collect())
}

/// Whether somebody holds the role at that moment.
pub(crate) async fn is_held(tx: &mut DbConn, role: &RoleName, now: Time) -> Result<bool> {
    let some: Option<AssignmentId> = assignments::table
        .filter(assignments::role.eq(role.as_str()))
        .filter(assignments::expires_at.is_null().or(assignments::expires_at.gt(now)))
        .select(assignments::id)
        .first(tx)
        .await
        .optional()?;
    Ok(some.is_some())
}

/// Removes one assignment; none when it is gone already.
pub(crate) async fn delete(tx: &mut DbConn, id: AssignmentId) -> Result<Option<Assignment>> {
    let row = diesel::delete(assignments::table.find(id))
        .returning(AssignmentRow::as_returning())
        .get_result(tx)
        .await
        .optional()?;
    Ok(row.map(Assignment::from))
}

/// Removes the assignments of a role that have ended at that moment.
pub(crate) async fn delete_ended(tx: &mut DbConn, role: &RoleName, now: Time) -> Result<usize> {
    Ok(diesel::delete(assignments::table)
        .filter(assignments::role.eq(role.as_str()))
        .filter(assignments::expires_at.le(now))
        .execute(tx)
        .await?)
}

/// The ids of assignments that ended before that moment, the oldest first.
pub(crate) async fn ended(tx: &mut DbConn, before: Time, limit: i64) -> Result<Vec<AssignmentId>> {
    Ok(assignments::table
        .filter(assignments::expires_at.lt(before))
        .order(assignments::expires_at.asc())
        .limit(limit)
        .select(assignments::id)
        .load(tx)
        .await?)
}
