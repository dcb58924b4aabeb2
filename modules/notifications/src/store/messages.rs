//! Messages: kept, found, listed, and marked with what became of them.

use contracts::notifications::Recipient;
use contracts::{EmailAddress, NotificationId, PhoneNumber, Time, UserId};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Json, Result};
use serde_json::{Map, Value};

use crate::model::{Medium, Message, MessageState};
use crate::schema::{notifications_deliveries as deliveries, notifications_messages as messages};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = messages, check_for_backend(Db), treat_none_as_default_value = false)]
struct Row {
    id: NotificationId,
    to_user: Option<UserId>,
    to_address: Option<String>,
    to_phone: Option<String>,
    address_key: Option<String>,
    about_user: Option<UserId>,
    template: String,
    locale: Option<String>,
    data: Json<Value>,
    category: String,
    state: String,
    deduplication_key: Option<String>,
    created_at: Time,
    updated_at: Time,
}

impl Row {
    fn of(message: &Message, kept: Kept<'_>) -> Self {
        let (to_user, to_address, to_phone) = match &message.to {
            Some(Recipient::User(user)) => (Some(*user), None, None),
            Some(Recipient::Email(address)) => (None, Some(address.as_str().to_owned()), None),
            Some(Recipient::Phone(number)) => (None, None, Some(number.as_str().to_owned())),
            None => (None, None, None),
        };
        Self {
            id: message.id,
            to_user,
            to_address,
            to_phone,
            address_key: kept.address_key,
            about_user: message.about,
            template: message.template.clone(),
            locale: message.locale.clone(),
            data: Json(Value::Object(message.data.clone())),
            category: message.category.clone(),
            state: message.state.as_str().to_owned(),
            deduplication_key: kept.deduplication_key.map(str::to_owned),
            created_at: message.created_at,
            updated_at: message.updated_at,
        }
    }

    /// Whatever stands in it, so that one row that can't be read holds up no other. An address may have been kept under a
    /// laxer rule, and what a newer version calls the state of a message is not over for this one.
    fn message(self) -> Message {
        let to = match (self.to_user, self.to_address, self.to_phone) {
            (Some(user), _, _) => Some(Recipient::User(user)),
            (None, Some(address), _) => EmailAddress::parse(&address).ok().map(Recipient::Email),
            (None, None, number) => {
                PhoneNumber::parse(&number.unwrap_or_default()).ok().map(Recipient::Phone)
            }
        };
        let data = match self.data.0 {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        Message {
            id: self.id,
            to,
            about: self.about_user,
            template: self.template,
            locale: self.locale,
            data,
            category: self.category,
            state: MessageState::from_word(&self.state).unwrap_or(MessageState::Queued),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// What is kept with a message and not read back.
#[derive(Default)]
pub(crate) struct Kept<'a> {
    /// Messages with the same key are one.
    pub(crate) deduplication_key: Option<&'a str>,
    /// Stands for the address or the number it goes to.
    pub(crate) address_key: Option<String>,
}

/// Which messages to list; what is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) state: Option<MessageState>,
    pub(crate) user: Option<UserId>,
    pub(crate) template: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) medium: Option<Medium>,
    /// Only those that are older than this one.
    pub(crate) before: Option<NotificationId>,
}

/// Keeps a message; false when one with its deduplication key is there already.
pub(crate) async fn insert(c: &mut DbConn, message: &Message, kept: Kept<'_>) -> Result<bool> {
    let inserted = diesel::insert_into(messages::table)
        .values(Row::of(message, kept))
        .on_conflict(messages::deduplication_key)
        .do_nothing()
        .execute(c)
        .await?;
    Ok(inserted > 0)
}

/// The message that was sent under a deduplication key.
pub(crate) async fn by_deduplication_key(c: &mut DbConn, key: &str) -> Result<NotificationId> {
    let found =
        messages::table.filter(messages::deduplication_key.eq(key)).select(messages::id).first(c).await?;
    Ok(found)
}

/// One message, or none.
pub(crate) async fn find(c: &mut DbConn, id: NotificationId) -> Result<Option<Message>> {
    let row: Option<Row> = messages::table.find(id).select(Row::as_select()).first(c).await.optional()?;
    Ok(row.map(Row::message))
}

/// The messages with these ids, in no order.
pub(crate) async fn find_many(c: &mut DbConn, ids: Vec<NotificationId>) -> Result<Vec<Message>> {
    let rows: Vec<Row> =
        messages::table.filter(messages::id.eq_any(ids)).select(Row::as_select()).load(c).await?;
    Ok(rows.into_iter().map(Row::message).collect())
}

/// At most `limit` messages, newest first.
pub(crate) async fn page(c: &mut DbConn, filter: Filter, limit: i64) -> Result<Vec<Message>> {
    let mut query = messages::table.select(Row::as_select()).into_boxed();
    if let Some(state) = filter.state {
        query = query.filter(messages::state.eq(state));
    }
    if let Some(user) = filter.user {
        query = query.filter(messages::to_user.eq(user));
    }
    if let Some(template) = filter.template {
        query = query.filter(messages::template.eq(template));
    }
    if let Some(category) = filter.category {
        query = query.filter(messages::category.eq(category));
    }
    if let Some(medium) = filter.medium {
        let over = deliveries::table
            .filter(deliveries::message_id.eq(messages::id))
            .filter(deliveries::channel.eq(medium));
        query = query.filter(exists(over));
    }
    if let Some(before) = filter.before {
        query = query.filter(messages::id.lt(before));
    }
    let rows: Vec<Row> = query.order(messages::id.desc()).limit(limit).load(c).await?;
    Ok(rows.into_iter().map(Row::message).collect())
}

/// Marks what became of a message.
pub(crate) async fn set_state(
    c: &mut DbConn,
    id: NotificationId,
    state: MessageState,
    now: Time,
) -> Result<()> {
    diesel::update(messages::table.find(id))
        .set((messages::state.eq(state), messages::updated_at.eq(now)))
        .execute(c)
        .await?;
    Ok(())
}

/// At most `limit` messages that are over and were last touched before this instant: deletes them with all that was
/// done about them; how many that were.
pub(crate) async fn delete_old(c: &mut DbConn, before: Time, limit: i64) -> Result<usize> {
    let old: Vec<NotificationId> = messages::table
        .filter(messages::updated_at.lt(before))
        .filter(messages::state.ne(MessageState::Queued))
        .order(messages::updated_at)
        .limit(limit)
        .select(messages::id)
        .load(c)
        .await?;
    let over = messages::id.eq_any(old).and(messages::state.ne(MessageState::Queued));
    Ok(diesel::delete(messages::table.filter(over)).execute(c).await?)
}

/// The messages to a person or about one, oldest first, at most `limit`.
pub(crate) async fn of_person(c: &mut DbConn, user: UserId, limit: i64) -> Result<Vec<Message>> {
    let rows: Vec<Row> = messages::table
        .filter(messages::to_user.eq(user).or(messages::about_user.eq(user)))
        .order(messages::id)
        .limit(limit)
        .select(Row::as_select())
        .load(c)
        .await?;
    Ok(rows.into_iter().map(Row::message).collect())
}

/// The ids of the messages to a person, about one, or to the address that the key stands for.
pub(crate) async fn ids_of_person(
    c: &mut DbConn,
    user: UserId,
    address_key: &str,
) -> Result<Vec<NotificationId>> {
    let theirs = messages::to_user
        .eq(user)
        .or(messages::about_user.eq(user))
        .or(messages::address_key.eq(address_key.to_owned()));
    // A null in one of the three must not hide the others: `or` of null and true is true, which is what is wanted.
    Ok(messages::table.filter(theirs).select(messages::id).load(c).await?)
}

/// Deletes these messages with all that was done about them.
pub(crate) async fn delete(c: &mut DbConn, ids: Vec<NotificationId>) -> Result<usize> {
    Ok(diesel::delete(messages::table.filter(messages::id.eq_any(ids))).execute(c).await?)
}

/// Locks a message until the transaction ends.
pub(crate) async fn touch(c: &mut DbConn, id: NotificationId, now: Time) -> Result<()> {
    diesel::update(messages::table.find(id)).set(messages::updated_at.eq(now)).execute(c).await?;
    Ok(())
}
