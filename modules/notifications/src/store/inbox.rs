//! Inboxes, and the numbers of what is in them.
//!
//! A number is taken in the transaction that adds the item: the counter's row stays locked until that commits, so
//! whoever sees a number sees all the smaller ones.

use contracts::{NotificationId, Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Json, Result};

use crate::model::inbox::{InboxItem, InboxItemId};
use crate::schema::{notifications_inbox as inbox, notifications_inbox_counters as counters};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = inbox, check_for_backend(Db), treat_none_as_default_value = false)]
struct Row {
    id: InboxItemId,
    user_id: UserId,
    sequence: i64,
    message_id: NotificationId,
    template: String,
    category: String,
    subject: String,
    text: String,
    links: Json<Vec<String>>,
    created_at: Time,
    read_at: Option<Time>,
}

impl From<Row> for InboxItem {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            sequence: row.sequence,
            message: row.message_id,
            template: row.template,
            category: row.category,
            subject: row.subject,
            text: row.text,
            links: row.links.0,
            created_at: row.created_at,
            read_at: row.read_at,
        }
    }
}

/// The next number of a person's inbox.
pub(crate) async fn next_sequence(tx: &mut DbConn, user: UserId) -> Result<i64> {
    let next = diesel::insert_into(counters::table)
        .values((counters::user_id.eq(user), counters::last_sequence.eq(1_i64)))
        .on_conflict(counters::user_id)
        .do_update()
        .set(counters::last_sequence.eq(counters::last_sequence + 1))
        .returning(counters::last_sequence)
        .get_result(tx)
        .await?;
    Ok(next)
}

/// The last number that a person's inbox gave out; 0 when there was none.
pub(crate) async fn last_sequence(c: &mut DbConn, user: UserId) -> Result<i64> {
    let last = counters::table.find(user).select(counters::last_sequence).first(c).await.optional()?;
    Ok(last.unwrap_or(0))
}

/// Adds an item.
pub(crate) async fn insert(tx: &mut DbConn, user: UserId, item: InboxItem) -> Result<()> {
    let row = Row {
        id: item.id,
        user_id: user,
        sequence: item.sequence,
        message_id: item.message,
        template: item.template,
        category: item.category,
        subject: item.subject,
        text: item.text,
        links: Json(item.links),
        created_at: item.created_at,
        read_at: item.read_at,
    };
    diesel::insert_into(inbox::table).values(row).execute(tx).await?;
    Ok(())
}

/// At most `limit` items after this number, in order.
pub(crate) async fn after(c: &mut DbConn, user: UserId, sequence: i64, limit: i64) -> Result<Vec<InboxItem>> {
    let rows: Vec<Row> = inbox::table
        .filter(inbox::user_id.eq(user))
        .filter(inbox::sequence.gt(sequence))
        .order(inbox::sequence)
        .limit(limit)
        .select(Row::as_select())
        .load(c)
        .await?;
    Ok(rows.into_iter().map(InboxItem::from).collect())
}

/// At most `limit` items, newest first, those before this number when one is given; only unread ones when wanted.
pub(crate) async fn page(
    c: &mut DbConn,
    user: UserId,
    unread: bool,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<InboxItem>> {
    let mut query = inbox::table.filter(inbox::user_id.eq(user)).select(Row::as_select()).into_boxed();
    if unread {
        query = query.filter(inbox::read_at.is_null());
    }
    if let Some(before) = before {
        query = query.filter(inbox::sequence.lt(before));
    }
    let rows: Vec<Row> = query.order(inbox::sequence.desc()).limit(limit).load(c).await?;
    Ok(rows.into_iter().map(InboxItem::from).collect())
}

/// How many items were not read yet.
pub(crate) async fn unread(c: &mut DbConn, user: UserId) -> Result<i64> {
    let unread = inbox::table.filter(inbox::user_id.eq(user)).filter(inbox::read_at.is_null());
    Ok(unread.count().get_result(c).await?)
}

/// Whether the person has this item.
pub(crate) async fn has(c: &mut DbConn, user: UserId, id: InboxItemId) -> Result<bool> {
    let one = inbox::table.find(id).filter(inbox::user_id.eq(user));
    Ok(one.count().get_result::<i64>(c).await? > 0)
}

/// Marks one item, or all up to now, as read; how many that changed.
pub(crate) async fn mark_read(
    tx: &mut DbConn,
    user: UserId,
    only: Option<InboxItemId>,
    now: Time,
) -> Result<usize> {
    let unread = inbox::user_id.eq(user).and(inbox::read_at.is_null());
    let read = inbox::read_at.eq(Some(now));
    let marked = match only {
        Some(id) => diesel::update(inbox::table.find(id).filter(unread)).set(read).execute(tx).await?,
        None => diesel::update(inbox::table.filter(unread)).set(read).execute(tx).await?,
    };
    Ok(marked)
}

/// Forgets everything of a person.
pub(crate) async fn delete(tx: &mut DbConn, user: UserId) -> Result<()> {
    diesel::delete(inbox::table.filter(inbox::user_id.eq(user))).execute(tx).await?;
    diesel::delete(counters::table.find(user)).execute(tx).await?;
    Ok(())
}

/// Deletes at most `limit` items that are older; how many that were.
pub(crate) async fn delete_old(tx: &mut DbConn, before: Time, limit: i64) -> Result<usize> {
    let old = inbox::table.filter(inbox::created_at.lt(before)).order(inbox::created_at).limit(limit);
    let old: Vec<InboxItemId> = old.select(inbox::id).load(tx).await?;
    Ok(diesel::delete(inbox::table.filter(inbox::id.eq_any(old))).execute(tx).await?)
}
