//! The mailbox of development: every message as its receiver would see it.

use contracts::Time;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Json, Result};

use crate::model::{DeliveryId, Medium};
use crate::schema::notifications_mailbox as mailbox;

/// A message in the mailbox.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = mailbox, check_for_backend(Db), treat_none_as_default_value = false)]
pub(crate) struct Item {
    pub(crate) delivery_id: DeliveryId,
    pub(crate) channel: Medium,
    pub(crate) recipient: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    pub(crate) links: Json<Vec<String>>,
    pub(crate) created_at: Time,
}

/// Puts a message into the mailbox; the second of one delivery changes nothing.
pub(crate) async fn insert(c: &mut DbConn, item: &Item) -> Result<()> {
    diesel::insert_into(mailbox::table)
        .values(item)
        .on_conflict(mailbox::delivery_id)
        .do_nothing()
        .execute(c)
        .await?;
    Ok(())
}

/// At most `limit` messages, newest first.
pub(crate) async fn newest(c: &mut DbConn, limit: i64) -> Result<Vec<Item>> {
    let items = mailbox::table
        .order((mailbox::created_at.desc(), mailbox::delivery_id.desc()))
        .limit(limit)
        .select(Item::as_select())
        .load(c)
        .await?;
    Ok(items)
}

/// One message, or none.
pub(crate) async fn find(c: &mut DbConn, id: DeliveryId) -> Result<Option<Item>> {
    Ok(mailbox::table.find(id).select(Item::as_select()).first(c).await.optional()?)
}

/// Deletes what is in the mailbox of these messages.
pub(crate) async fn delete(c: &mut DbConn, ids: Vec<DeliveryId>) -> Result<usize> {
    Ok(diesel::delete(mailbox::table.filter(mailbox::delivery_id.eq_any(ids))).execute(c).await?)
}

/// Deletes at most `limit` messages that are older; how many that were.
pub(crate) async fn delete_old(c: &mut DbConn, before: Time, limit: i64) -> Result<usize> {
    let old = mailbox::table.filter(mailbox::created_at.lt(before)).order(mailbox::created_at).limit(limit);
    let old: Vec<DeliveryId> = old.select(mailbox::delivery_id).load(c).await?;
    delete(c, old).await
}
