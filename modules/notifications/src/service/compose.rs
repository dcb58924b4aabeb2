//! From what somebody asks for to a message that may be sent, with every broken rule told at once.

use contracts::notifications::{Recipient, SendNotification};
use contracts::{EmailAddress, Error, Fields, Result, UserId};
use serde_json::{Map, Value};

use crate::model::template::{self, Template};
use crate::model::{self, Draft};

/// Who a message is asked to go to. Exactly one must be given.
#[derive(Clone, Default)]
pub(crate) struct To {
    pub(crate) user: Option<UserId>,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
}

/// What is asked for over HTTP.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) to: To,
    pub(crate) template: String,
    pub(crate) data: Map<String, Value>,
    pub(crate) channels: Option<Vec<String>>,
    pub(crate) category: Option<String>,
}

const NO_CHANNEL: &str = "channel_unavailable";
const NO_TEMPLATE: &str = "unknown";
const RESERVED: &str = "reserved";

/// The message that a person with the right to send asks for.
pub(super) fn asked(asked: &Asked) -> Result<Draft> {
    let mut fields = Fields::default();
    let to = recipient(&asked.to, &mut fields);
    channels(asked.channels.as_deref(), &mut fields);
    let template = known(&asked.template, true, &mut fields);
    let data = template.map(|template| template.check(&asked.data, &mut fields));
    let default = template.map_or("general", |template| template.category);
    let category = model::category(asked.category.as_deref().unwrap_or(default), &mut fields);
    finish(fields)?;
    draft(to, template, data, category, None)
}

/// The message that a module asks for.
pub(super) fn from_module(ask: SendNotification) -> Result<Draft> {
    let mut fields = Fields::default();
    let template = known(&ask.template, false, &mut fields);
    let data = template.map(|template| template.check(&ask.data, &mut fields));
    let category = model::category(&ask.category, &mut fields);
    if ask.deduplication_key.as_ref().is_some_and(|key| key.is_empty() || key.len() > 200) {
        fields.broken("/deduplication_key", "malformed", "Must have 1 to 200 characters.");
    }
    finish(fields)?;
    draft(Some(ask.to), template, data, category, ask.deduplication_key)
}

fn draft(
    to: Option<Recipient>,
    template: Option<&'static Template>,
    data: Option<Map<String, Value>>,
    category: String,
    deduplication_key: Option<String>,
) -> Result<Draft> {
    match (to, template, data) {
        (Some(to), Some(template), Some(data)) => {
            Ok(Draft { to, template, locale: None, data, category, deduplication_key })
        }
        _ => Err(Error::internal("a rule was broken and not told")),
    }
}

fn recipient(to: &To, fields: &mut Fields) -> Option<Recipient> {
    match (to.user, &to.email, &to.phone) {
        (Some(user), None, None) => Some(Recipient::User(user)),
        (None, Some(email), None) => {
            fields.take("/to/email", EmailAddress::parse(email)).map(Recipient::Email)
        }
        (None, None, Some(_)) => {
            fields.broken("/to/phone", NO_CHANNEL, "Messages to phones are not available.");
            None
        }
        _ => {
            fields.broken("/to", "exactly_one", "Must hold exactly one of user_id and email.");
            None
        }
    }
}

fn channels(asked: Option<&[String]>, fields: &mut Fields) {
    if asked.is_some_and(<[_]>::is_empty) {
        fields.broken("/channels", "too_short", "Must name a channel, or be left out.");
    }
    for (index, channel) in asked.unwrap_or(&[]).iter().enumerate() {
        let pointer = format!("/channels/{index}");
        match channel.as_str() {
            "email" if index == 0 => {}
            "email" => fields.broken(pointer, "duplicate", "A channel may be named once."),
            _ => fields.broken(pointer, NO_CHANNEL, "This channel is not available; there is: email."),
        }
    }
}

fn known(name: &str, only_open: bool, fields: &mut Fields) -> Option<&'static Template> {
    match template::find(name) {
        Some(template) if template.open || !only_open => Some(template),
        Some(_) => {
            fields.broken("/template", RESERVED, "Only Doorward itself sends this template.");
            None
        }
        None => {
            fields.broken("/template", NO_TEMPLATE, "There is no such template.");
            None
        }
    }
}

/// Ends the collection. What programs compare first, the code, says which of the three causes it is.
fn finish(fields: Fields) -> Result<()> {
    let Err(mut error) = fields.finish() else { return Ok(()) };
    let broken = |code: &str| error.fields.iter().any(|field| field.code == code);
    let told = if broken(NO_CHANNEL) {
        Some(("notifications.channel_unavailable", "The message can't go over this channel."))
    } else if broken(RESERVED) {
        Some(("notifications.template_reserved", "Only Doorward itself sends this template."))
    } else if error.fields.iter().any(|field| field.pointer == "/template") {
        Some(("notifications.template_unknown", "There is no such template."))
    } else {
        None
    };
    if let Some((code, message)) = told {
        error.code = code.into();
        error.message = message.into();
    }
    Err(error)
}
