//! Everything this module knows about a person, for the person's own copy.

use std::collections::HashMap;

use contracts::{PersonalData, UserId};
use serde_json::{Map, Value, json};

use super::Service;
use crate::error::Error;
use crate::model::category::whole;
use crate::model::inbox::InboxItem;
use crate::model::template::REQUEST;
use crate::model::{Delivery, Message};
use crate::store;

/// More of each than anybody has; a copy is made in memory.
const MOST: i64 = 10_000;

impl Service {
    pub(super) async fn export(&self, user: UserId) -> Result<PersonalData, Error> {
        let mut c = self.db.read().await?;
        let messages = store::messages::of_person(&mut c, user, MOST).await?;
        let ids = messages.iter().map(|message| message.id).collect();
        let deliveries = store::deliveries::of_messages(&mut c, ids).await?;
        let inbox = store::inbox::after(&mut c, user, 0, MOST).await?;
        let decided = store::preferences::find(&mut c, user).await?;
        let mut by_message: HashMap<_, Vec<_>> = HashMap::new();
        deliveries.iter().for_each(|delivery| by_message.entry(delivery.message).or_default().push(delivery));
        let own = |message: &Message| by_message.get(&message.id).map(Vec::as_slice).unwrap_or_default();
        let told = messages.iter().map(|message| shown(message, own(message))).collect();
        let sections = [
            ("notifications", Value::Array(told)),
            ("inbox", Value::Array(inbox.iter().map(shown_item).collect())),
            ("notification_preferences", json!(whole(&decided.choices, &self.settings.categories))),
        ];
        Ok(PersonalData { sections: sections.map(|(name, value)| (name.to_owned(), value)).into() })
    }
}

fn shown(message: &Message, deliveries: &[&Delivery]) -> Value {
    let data: Map<String, Value> = message
        .data
        .iter()
        .filter(|(name, _)| name.as_str() != REQUEST)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let channels: Vec<Value> = deliveries
        .iter()
        .map(|delivery| {
            json!({
                "channel": delivery.medium.as_str(),
                "state": delivery.state.as_str(),
                "reason": delivery.reason.map(|reason| reason.as_str()),
                "sent_at": delivery.sent_at,
            })
        })
        .collect();
    json!({
        "id": message.id,
        "template": message.template,
        "category": message.category,
        "data": data,
        "created_at": message.created_at,
        "channels": channels,
    })
}

fn shown_item(item: &InboxItem) -> Value {
    json!({
        "id": item.id,
        "category": item.category,
        "subject": item.subject,
        "text": item.text,
        "links": item.links,
        "created_at": item.created_at,
        "read_at": item.read_at,
    })
}
