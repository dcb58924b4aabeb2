//! From what somebody asks for to a message that may be sent, with every broken rule told at once.

use contracts::notifications::{Recipient, SendNotification};
use contracts::{EmailAddress, Error, Fields, PhoneNumber, Result, UserId};
use serde_json::{Map, Value};

use crate::model::category::SECURITY;
use crate::model::template::{self, Template};
use crate::model::{Draft, Medium, category};

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

impl Asked {
    /// Whether it asks for what only messages about security may do, to be sent whatever people want, of a template that
    /// is about something else.
    pub(crate) fn overrides_wishes(&self) -> bool {
        let secure = template::find(&self.template).is_some_and(|template| template.category == SECURITY);
        self.category.as_deref() == Some(SECURITY) && !secure
    }
}

const NO_CHANNEL: &str = "channel_unavailable";
const NO_TEMPLATE: &str = "unknown";
const RESERVED: &str = "reserved";

/// What there is here.
#[derive(Clone, Copy)]
pub(super) struct Choice<'a> {
    /// The categories beside `security`.
    pub(super) categories: &'a [String],
    /// Whether short messages can leave.
    pub(super) sms: bool,
}

/// The message that a person with the right to send asks for.
pub(super) fn asked(asked: &Asked, choice: Choice<'_>) -> Result<Draft> {
    let mut fields = Fields::default();
    let to = recipient(&asked.to, &mut fields);
    let template = known(&asked.template, true, &mut fields);
    let media = media(asked.channels.as_deref(), to.as_ref(), template, choice, &mut fields);
    let data = template.map(|template| template.check(&asked.data, &mut fields));
    let default = template.map_or("general", |template| template.category);
    let category = asked.category.as_deref().unwrap_or(default);
    let category = category::check(category, choice.categories, &mut fields);
    finish(fields)?;
    draft(to, template, data, category, media)
}

/// The message that a module asks for.
pub(super) fn from_module(ask: SendNotification, choice: Choice<'_>) -> Result<Draft> {
    let mut fields = Fields::default();
    let template = known(&ask.template, false, &mut fields);
    let media = media(ask.channels.as_deref(), Some(&ask.to), template, choice, &mut fields);
    let data = template.map(|template| template.check(&ask.data, &mut fields));
    let category = category::check(&ask.category, choice.categories, &mut fields);
    if ask.deduplication_key.as_ref().is_some_and(|key| key.is_empty() || key.len() > 200) {
        fields.broken("/deduplication_key", "malformed", "Must have 1 to 200 characters.");
    }
    finish(fields)?;
    let draft = draft(Some(ask.to), template, data, category, media)?;
    Ok(Draft { deduplication_key: ask.deduplication_key, ..draft })
}

fn draft(
    to: Option<Recipient>,
    template: Option<&'static Template>,
    data: Option<Map<String, Value>>,
    category: String,
    media: Vec<Medium>,
) -> Result<Draft> {
    match (to, template, data) {
        (Some(to), Some(template), Some(data)) if !media.is_empty() => Ok(Draft {
            to,
            about: None,
            template,
            locale: None,
            data,
            category,
            media,
            deduplication_key: None,
        }),
        _ => Err(Error::internal("a rule was broken and not told")),
    }
}

fn recipient(to: &To, fields: &mut Fields) -> Option<Recipient> {
    match (to.user, &to.email, &to.phone) {
        (Some(user), None, None) => Some(Recipient::User(user)),
        (None, Some(email), None) => {
            fields.take("/to/email", EmailAddress::parse(email)).map(Recipient::Email)
        }
        (None, None, Some(phone)) => {
            fields.take("/to/phone", PhoneNumber::parse(phone)).map(Recipient::Phone)
        }
        _ => {
            fields.broken("/to", "exactly_one", "Must hold exactly one of user_id, email and phone.");
            None
        }
    }
}

/// The channels: those that were asked for, or those of the template that this receiver can be reached by.
fn media(
    asked: Option<&[String]>,
    to: Option<&Recipient>,
    template: Option<&Template>,
    choice: Choice<'_>,
    fields: &mut Fields,
) -> Vec<Medium> {
    let Some(asked) = asked else { return media_of(to, template, choice, fields) };
    if asked.is_empty() {
        fields.broken("/channels", "too_short", "Must name a channel, or be left out.");
    }
    let mut media = Vec::new();
    for (index, channel) in asked.iter().enumerate() {
        let pointer = format!("/channels/{index}");
        let known = Medium::from_word(channel).filter(|medium| *medium != Medium::Sms || choice.sms);
        let Some(medium) = known else {
            fields.broken(pointer, NO_CHANNEL, "This channel is not available.");
            continue;
        };
        if media.contains(&medium) {
            fields.broken(pointer, "duplicate", "A channel may be named once.");
        } else if to.is_some_and(|to| !reaches(medium, to)) {
            fields.broken(pointer, NO_CHANNEL, "This channel does not reach such a receiver.");
        } else if template.is_some_and(|template| !template.fits(medium)) {
            fields.broken(pointer, NO_CHANNEL, "The template has no words for this channel.");
        } else {
            media.push(medium);
        }
    }
    media
}

fn media_of(
    to: Option<&Recipient>,
    template: Option<&Template>,
    choice: Choice<'_>,
    fields: &mut Fields,
) -> Vec<Medium> {
    match (to, template) {
        (Some(Recipient::User(_)), Some(template)) => template.media.to_vec(),
        (Some(Recipient::Email(_)), _) => vec![Medium::Email],
        (Some(Recipient::Phone(_)), Some(template)) if choice.sms && template.fits(Medium::Sms) => {
            vec![Medium::Sms]
        }
        (Some(Recipient::Phone(_)), Some(_)) => {
            fields.broken("/to/phone", NO_CHANNEL, "Such messages can't go to phones here.");
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn reaches(medium: Medium, to: &Recipient) -> bool {
    match to {
        Recipient::User(_) => true,
        Recipient::Email(_) => medium == Medium::Email,
        Recipient::Phone(_) => medium == Medium::Sms,
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
