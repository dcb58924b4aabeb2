//! The words that users are found by.

use std::collections::{BTreeSet, HashSet};

use contracts::UserId;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Result};

use crate::model::end_of;
use crate::schema::users_search_terms as terms;

/// A word of a user.
#[derive(Debug, Insertable)]
#[diesel(table_name = terms, check_for_backend(Db), treat_none_as_default_value = false)]
struct Row {
    term: String,
    user_id: UserId,
}

/// At most `limit` of those who have a word that begins so, in the order of the words; some of them several times.
pub(crate) async fn find(c: &mut DbConn, word: &str, limit: i64) -> Result<Vec<UserId>> {
    Ok(beginning(word).limit(limit).load(c).await?)
}

/// Those of these users who have a word that begins so.
pub(crate) async fn having(c: &mut DbConn, users: &[UserId], word: &str) -> Result<HashSet<UserId>> {
    let found: Vec<UserId> = of_these(users, word).load(c).await?;
    Ok(found.into_iter().collect())
}

/// Gives a user these words and no others.
pub(crate) async fn set(tx: &mut DbConn, user: UserId, words: BTreeSet<String>) -> Result<()> {
    let had: Vec<String> = terms::table.filter(terms::user_id.eq(user)).select(terms::term).load(tx).await?;
    let gone: Vec<&String> = had.iter().filter(|word| !words.contains(*word)).collect();
    if !gone.is_empty() {
        let gone = terms::table.filter(terms::user_id.eq(user)).filter(terms::term.eq_any(gone));
        diesel::delete(gone).execute(tx).await?;
    }
    let new = words.into_iter().filter(|word| !had.contains(word));
    let new: Vec<Row> = new.map(|term| Row { term, user_id: user }).collect();
    if !new.is_empty() {
        diesel::insert_into(terms::table).values(new).on_conflict_do_nothing().execute(tx).await?;
    }
    Ok(())
}

pub(super) type Ids<'q> = terms::BoxedQuery<'q, Db, diesel::sql_types::Uuid>;

/// In the order of the index, so that no engine thinks of reading the whole table until it has enough.
pub(super) fn beginning<'q>(word: &str) -> Ids<'q> {
    let range = terms::term.ge(word.to_owned()).and(terms::term.lt(end_of(word)));
    terms::table
        .filter(range)
        .order((terms::term.asc(), terms::user_id.asc()))
        .select(terms::user_id)
        .into_boxed()
}

pub(super) fn of_these<'q>(users: &[UserId], word: &str) -> Ids<'q> {
    let range = terms::term.ge(word.to_owned()).and(terms::term.lt(end_of(word)));
    let these = terms::table.filter(terms::user_id.eq_any(users.to_vec()));
    these.filter(range).select(terms::user_id).into_boxed()
}
