//! The rows of the directory: what users are listed by.
//!
//! A page is a walk along an index: the bound is a plain comparison with the leading column, so that both engines begin
//! where the page before ended.

use contracts::auth::{Account, AccountState};
use contracts::{Time, UserId};
use diesel::prelude::*;
use diesel::query_dsl::methods;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Result};

use crate::model::{Entry, Position, Sort};
use crate::schema::users_directory as directory;

/// An entry as a row.
#[derive(Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = directory, check_for_backend(Db), treat_none_as_default_value = false)]
struct Row {
    id: UserId,
    email: String,
    email_verified: bool,
    state: AccountState,
    account_revision: i64,
    created_at: Time,
    updated_at: Time,
}

impl Row {
    fn new(account: &Account) -> Self {
        Self {
            id: account.id,
            email: account.email.as_str().to_owned(),
            email_verified: account.email_verified,
            state: account.state,
            account_revision: account.revision,
            created_at: account.created_at,
            updated_at: account.updated_at,
        }
    }
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            email: row.email,
            email_verified: row.email_verified,
            state: row.state,
            revision: row.account_revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Takes over an account, unless what is there is as new; true when it was taken over.
pub(crate) async fn upsert(tx: &mut DbConn, account: &Account) -> Result<bool> {
    let upsert = diesel::insert_into(directory::table)
        .values(Row::new(account))
        .on_conflict(directory::id)
        .do_update()
        .set(Row::new(account));
    let newer = directory::account_revision.lt(account.revision);
    Ok(methods::FilterDsl::filter(upsert, newer).execute(tx).await? == 1)
}

/// Makes sure that there is a row of somebody's id that nobody else is about to add, until the transaction ends: waits for
/// whoever is. One that it added itself says nothing and is to be deleted.
pub(crate) async fn claim(tx: &mut DbConn, id: UserId, now: Time) -> Result<()> {
    let (email, email_verified, state) = (String::new(), false, AccountState::Deleted);
    let row = Row { id, email, email_verified, state, account_revision: 0, created_at: now, updated_at: now };
    diesel::insert_into(directory::table).values(row).on_conflict_do_nothing().execute(tx).await?;
    Ok(())
}

/// Holds somebody's row until the transaction ends; the address in it.
pub(crate) async fn lock(tx: &mut DbConn, id: UserId) -> Result<Option<String>> {
    Ok(diesel::update(directory::table.find(id))
        .set(directory::account_revision.eq(directory::account_revision))
        .returning(directory::email)
        .get_result(tx)
        .await
        .optional()?)
}

/// One entry.
pub(crate) async fn find(c: &mut DbConn, id: UserId) -> Result<Option<Entry>> {
    let row = directory::table.find(id).select(Row::as_select()).first(c).await.optional()?;
    Ok(row.map(Entry::from))
}

/// These of them, in no order.
pub(crate) async fn some(c: &mut DbConn, ids: &[UserId]) -> Result<Vec<Entry>> {
    let rows: Vec<Row> =
        directory::table.filter(directory::id.eq_any(ids)).select(Row::as_select()).load(c).await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// Those whose ids come after this one, in the order of their ids.
pub(crate) async fn by_id(c: &mut DbConn, after: Option<UserId>, limit: i64) -> Result<Vec<Entry>> {
    let mut query = directory::table.select(Row::as_select()).into_boxed();
    if let Some(after) = after {
        query = query.filter(directory::id.gt(after));
    }
    let rows: Vec<Row> = query.order(directory::id.asc()).limit(limit).load(c).await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// At most `limit` entries in this order, after this position.
pub(crate) async fn walk(
    c: &mut DbConn,
    sort: Sort,
    state: Option<AccountState>,
    after: Option<&Position>,
    limit: i64,
) -> Result<Vec<Entry>> {
    let rows: Vec<Row> = ordered(sort, state, after).limit(limit).load(c).await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// Forgets somebody.
pub(crate) async fn delete(tx: &mut DbConn, id: UserId) -> Result<bool> {
    Ok(diesel::delete(directory::table.find(id)).execute(tx).await? == 1)
}

type Ordered<'q> = directory::BoxedQuery<'q, Db, diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<Row, Db>>>;

fn ordered<'q>(sort: Sort, state: Option<AccountState>, after: Option<&Position>) -> Ordered<'q> {
    use directory::{created_at, email, id};
    let mut query = directory::table.select(Row::as_select()).into_boxed();
    if let Some(state) = state {
        query = query.filter(directory::state.eq(state));
    }
    match (sort, after.cloned()) {
        (Sort::Newest, Some(Position::Time(at, last))) => {
            query = query.filter(created_at.le(at)).filter(created_at.lt(at).or(id.lt(last)));
        }
        (Sort::Oldest, Some(Position::Time(at, last))) => {
            query = query.filter(created_at.ge(at)).filter(created_at.gt(at).or(id.gt(last)));
        }
        (Sort::Email, Some(Position::Email(end, last))) => {
            query = query.filter(email.ge(end.clone())).filter(email.gt(end).or(id.gt(last)));
        }
        (Sort::EmailBackwards, Some(Position::Email(end, last))) => {
            query = query.filter(email.le(end.clone())).filter(email.lt(end).or(id.lt(last)));
        }
        _ => {}
    }
    match sort {
        Sort::Newest => query.order((created_at.desc(), id.desc())),
        Sort::Oldest => query.order((created_at.asc(), id.asc())),
        Sort::Email => query.order((email.asc(), id.asc())),
        Sort::EmailBackwards => query.order((email.desc(), id.desc())),
    }
}

#[cfg(test)]
#[path = "plans.rs"]
mod plans;
