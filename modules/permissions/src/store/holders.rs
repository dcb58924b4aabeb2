//! Who holds a role, in the order of their ids: everywhere, or on one thing.

use crate::model::{Resource, RoleName};
use crate::schema::permissions_assignments as assignments;
use crate::store::HolderId;
use contracts::{Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{DbConn, Result};

/// The type of subject that a person is.
const USER: &str = "user";

/// The next users who hold a role at that moment: everywhere, or on exactly this resource.
pub(crate) async fn page(
    c: &mut DbConn,
    role: &RoleName,
    resource: Option<&Resource>,
    now: Time,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<UserId>> {
    let after = after.map_or_else(Default::default, UserId::uuid);
    let (role, after) = (role.as_str().to_owned(), HolderId::from_uuid(after));
    let ids: Vec<HolderId> = match resource {
        None => everywhere(role, now, after, limit).load(c).await?,
        Some(Resource { kind, id }) => {
            somewhere(role, kind.clone(), id.clone(), now, after, limit).load(c).await?
        }
    };
    Ok(ids.into_iter().map(|id| UserId::from_uuid(id.uuid())).collect())
}

/// The query for those who hold it everywhere.
#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn everywhere(role: String, now: Time, after: HolderId, limit: i64) -> _ {
    let user: &'static str = USER;
    assignments::table
        .filter(assignments::role.eq(role))
        .filter(assignments::subject_type.eq(user))
        .filter(assignments::resource_type.is_null())
        .filter(assignments::subject_id.gt(after))
        .filter(assignments::expires_at.is_null().or(assignments::expires_at.gt(now)))
        .order(assignments::subject_id.asc())
        .limit(limit)
        .select(assignments::subject_id)
}

/// The query for those who hold it on one thing.
#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn somewhere(role: String, kind: String, id: String, now: Time, after: HolderId, limit: i64) -> _ {
    let user: &'static str = USER;
    assignments::table
        .filter(assignments::resource_type.eq(kind))
        .filter(assignments::resource_id.eq(id))
        .filter(assignments::role.eq(role))
        .filter(assignments::subject_type.eq(user))
        .filter(assignments::subject_id.gt(after))
        .filter(assignments::expires_at.is_null().or(assignments::expires_at.gt(now)))
        .order(assignments::subject_id.asc())
        .limit(limit)
        .select(assignments::subject_id)
}
