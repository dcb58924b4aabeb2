//! Messages: kept, found, listed, and marked with what became of them.

use contracts::notifications::Recipient;
use contracts::{EmailAddress, NotificationId, Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Json, Result};
use serde_json::{Map, Value};

use crate::model::{Message, MessageState};
use crate::schema::notifications_messages as messages;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = messages, check_for_backend(Db), treat_none_as_default_value = false)]
struct Row {
    id: NotificationId,
    to_user: Option<UserId>,
    to_address: Option<String>,
    template: String,
    locale: Option<String>,
    data: Json<Map<String, Value>>,
    category: String,
    state: MessageState,
    deduplication_key: Option<String>,
    created_at: Time,
    updated_at: Time,
}

impl Row {
    fn of(message: &Message, deduplication_key: Option<&str>) -> Self {
        let (to_user, to_address) = match &message.to {
            Recipient::User(user) => (Some(*user), None),
            Recipient::Email(address) => (None, Some(address.as_str().to_owned())),
        };
        Self {
            id: message.id,
            to_user,
            to_address,
            template: message.template.clone(),
            locale: message.locale.clone(),
            data: Json(message.data.clone()),
            category: message.category.clone(),
            state: message.state,
            deduplication_key: deduplication_key.map(str::to_owned),
            created_at: message.created_at,
            updated_at: message.updated_at,
        }
    }

    fn message(self) -> Result<Message> {
        let to = match (self.to_user, self.to_address) {
            (Some(user), _) => Recipient::User(user),
            (None, address) => Recipient::Email(parsed(&address.unwrap_or_default())?),
        };
        Ok(Message {
            id: self.id,
            to,
            template: self.template,
            locale: self.locale,
            data: self.data.0,
            category: self.category,
            state: self.state,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// A stored address was parsed once; a rule that became stricter since is told without the address.
fn parsed(address: &str) -> Result<EmailAddress> {
    EmailAddress::parse(address)
        .map_err(|rule| diesel::result::Error::DeserializationError(rule.into()).into())
}

/// Which messages to list; what is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) state: Option<MessageState>,
    pub(crate) user: Option<UserId>,
    pub(crate) template: Option<String>,
    /// Only those that are older than this one.
    pub(crate) before: Option<NotificationId>,
}

/// Keeps a message; false when one with its deduplication key is there already.
pub(crate) async fn insert(
    c: &mut DbConn,
    message: &Message,
    deduplication_key: Option<&str>,
) -> Result<bool> {
    let inserted = diesel::insert_into(messages::table)
        .values(Row::of(message, deduplication_key))
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
    row.map(Row::message).transpose()
}

/// The messages with these ids, in no order.
pub(crate) async fn find_many(c: &mut DbConn, ids: Vec<NotificationId>) -> Result<Vec<Message>> {
    let rows: Vec<Row> =
        messages::table.filter(messages::id.eq_any(ids)).select(Row::as_select()).load(c).await?;
    rows.into_iter().map(Row::message).collect()
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
    if let Some(before) = filter.before {
        query = query.filter(messages::id.lt(before));
    }
    let rows: Vec<Row> = query.order(messages::id.desc()).limit(limit).load(c).await?;
    rows.into_iter().map(Row::message).collect()
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
