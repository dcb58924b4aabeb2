//! What requests and answers of this module look like.

use contracts::notifications::Recipient;
use contracts::{NotificationId, Result, Time, UserId};
use platform::http::{Cursors, Limit, Page};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::model::{Attempt, DeliveryId, Medium, Message, MessageState, Reason};
use crate::service::{Asked, Details, To, Tried};
use crate::store::messages::Filter;

/// A message to send.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NotificationRequest)]
pub(super) struct SendRequest {
    to: SendTo,
    /// The template's name, such as `announcement`.
    #[schema(example = "announcement")]
    template: String,
    /// The template's variables. `announcement` takes `subject` (a line), `text` (paragraphs) and, if wanted, `link`
    /// (an http or https address).
    #[serde(default)]
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    /// Over which channels: `email`, `sms`, `inbox`. When absent, those of the template for a person, and the only one
    /// that fits for an address or a number.
    #[schema(min_items = 1)]
    channels: Option<Vec<String>>,
    /// `security`, or one of the setting `notifications.categories`; the template's own when absent. `security` for a
    /// template of another category needs a further right.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,63}$")]
    category: Option<String>,
}

/// Who gets a message: exactly one of these.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NotificationReceiver)]
pub(super) struct SendTo {
    /// A person; the address is looked up when the message leaves.
    user_id: Option<UserId>,
    /// An address.
    #[schema(format = Email)]
    email: Option<String>,
    /// A phone number (E.164), such as `+436601234567`.
    #[schema(pattern = "^\\+[1-9][0-9]{6,14}$")]
    phone: Option<String>,
}

impl From<SendRequest> for Asked {
    fn from(request: SendRequest) -> Self {
        let SendTo { user_id: user, email, phone } = request.to;
        Self {
            to: To { user, email, phone },
            template: request.template,
            data: request.data,
            channels: request.channels,
            category: request.category,
        }
    }
}

/// The message that was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = QueuedNotification)]
pub(super) struct Queued {
    pub(super) id: NotificationId,
}

/// Which messages to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// In this state: `queued`, `sent`, `failed`, `suppressed` or `obsolete`.
    #[param(value_type = Option<State>)]
    state: Option<State>,
    /// To this person.
    user_id: Option<UserId>,
    /// Made of this template.
    template: Option<String>,
    /// Over this channel, perhaps beside others: `email`, `sms` or `inbox`.
    #[param(inline, value_type = Option<Channel>)]
    channel: Option<Channel>,
    /// Of this category.
    category: Option<String>,
    /// At most so many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: the `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What became of a message: `queued` while a try is left, `sent` when every channel took it, `failed` when one was
/// given up or did not arrive, `suppressed` when it was held back, `obsolete` when there was no reason left to send it.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NotificationState)]
pub(super) enum State {
    Queued,
    Sent,
    Failed,
    Suppressed,
    Obsolete,
}

/// The way a message takes.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NotificationChannel)]
pub(super) enum Channel {
    Email,
    Sms,
    Inbox,
}

impl From<Channel> for Medium {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Email => Self::Email,
            Channel::Sms => Self::Sms,
            Channel::Inbox => Self::Inbox,
        }
    }
}

impl From<State> for MessageState {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Sent => Self::Sent,
            State::Failed => Self::Failed,
            State::Suppressed => Self::Suppressed,
            State::Obsolete => Self::Obsolete,
        }
    }
}

impl From<MessageState> for State {
    fn from(state: MessageState) -> Self {
        match state {
            MessageState::Queued => Self::Queued,
            MessageState::Sent => Self::Sent,
            MessageState::Failed => Self::Failed,
            MessageState::Suppressed => Self::Suppressed,
            MessageState::Obsolete => Self::Obsolete,
        }
    }
}

impl ListQuery {
    /// A cursor belongs to one choice of filters.
    fn list(&self) -> String {
        let state = self.state.map(|state| MessageState::from(state).as_str());
        let channel = self.medium().map(Medium::as_str);
        let (user, template, category) = (self.user_id, &self.template, &self.category);
        format!("notifications {state:?} {user:?} {template:?} {channel:?} {category:?}")
    }

    fn medium(&self) -> Option<Medium> {
        self.channel.map(Medium::from)
    }

    pub(super) fn filter(&self, cursors: &Cursors) -> Result<Filter> {
        let before = self.cursor.as_deref().map(|cursor| cursors.decode(&self.list(), cursor)).transpose()?;
        let state = self.state.map(MessageState::from);
        Ok(Filter {
            state,
            user: self.user_id,
            template: self.template.clone(),
            category: self.category.clone(),
            medium: self.medium(),
            before,
        })
    }

    /// One more than a page holds tells whether there is a next one.
    pub(super) fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    pub(super) fn page(&self, cursors: &Cursors, mut found: Vec<Message>) -> Result<Page<Notification>> {
        let size = usize::try_from(self.limit.get()).unwrap_or(usize::MAX);
        let more = found.len() > size;
        found.truncate(size);
        let last = found.last().filter(|_| more).map(|message| message.id);
        let next_cursor = last.map(|id| cursors.encode(&self.list(), &id)).transpose()?;
        Ok(Page { items: found.into_iter().map(Notification::from).collect(), next_cursor })
    }
}

/// A message. What it says is not shown: it is made when it is sent, and is nobody's but the reader's.
#[derive(Serialize, ToSchema)]
pub(super) struct Notification {
    id: NotificationId,
    to: SentTo,
    template: String,
    category: String,
    state: State,
    created_at: Time,
    updated_at: Time,
}

/// Who gets it: one of these; none when the address that is kept can't be read any more.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = NotificationAddressee)]
struct SentTo {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Email)]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
}

impl From<Message> for Notification {
    fn from(message: Message) -> Self {
        let to = match message.to {
            Some(Recipient::User(user)) => SentTo { user_id: Some(user), ..SentTo::default() },
            Some(Recipient::Email(email)) => {
                SentTo { email: Some(email.as_str().to_owned()), ..SentTo::default() }
            }
            Some(Recipient::Phone(phone)) => {
                SentTo { phone: Some(phone.as_str().to_owned()), ..SentTo::default() }
            }
            None => SentTo::default(),
        };
        Self {
            id: message.id,
            to,
            template: message.template,
            category: message.category,
            state: message.state.into(),
            created_at: message.created_at,
            updated_at: message.updated_at,
        }
    }
}

/// A message with all that was done about it.
#[derive(Serialize, ToSchema)]
pub(super) struct NotificationDetails {
    #[serde(flatten)]
    notification: Notification,
    deliveries: Vec<DeliveryView>,
}

/// A message on one channel.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationDelivery)]
struct DeliveryView {
    #[schema(value_type = String, format = Uuid)]
    id: DeliveryId,
    /// `email`, `sms` or `inbox`.
    channel: &'static str,
    /// `queued`, `sending`, `sent`, `delivered` and `undelivered` (as its provider says), `parked` (given up),
    /// `suppressed` (held back) or `obsolete` (no reason left to send it).
    state: &'static str,
    /// Why it is not sent, as a stable word such as `preference_off`, when it is not.
    reason: Option<&'static str>,
    /// When the next try begins, when there is one.
    next_attempt_at: Option<Time>,
    sent_at: Option<Time>,
    /// The same as a sentence, without addresses.
    last_error: Option<String>,
    /// The Message-Id of the mail, the same at every try.
    message_id: String,
    /// Which provider took it: `primary` or `fallback`.
    provider: Option<String>,
    /// What the provider calls it.
    provider_message_id: Option<String>,
    /// In how many parts a short message was sent.
    segments: Option<i64>,
    /// When the provider said what became of it.
    receipt_at: Option<Time>,
    attempts: Vec<AttemptView>,
}

/// One try.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationAttempt)]
struct AttemptView {
    /// From 1.
    number: i64,
    started_at: Time,
    /// Null while it goes on.
    finished_at: Option<Time>,
    /// `sent`, `temporary`, `permanent`, `suppressed`, `obsolete` or `interrupted`; null while it goes on.
    outcome: Option<&'static str>,
    /// Why, as a stable word.
    reason: Option<&'static str>,
    /// Which provider was asked last.
    provider: Option<String>,
    /// Why, without addresses.
    detail: Option<String>,
}

impl From<Details> for NotificationDetails {
    fn from(details: Details) -> Self {
        let deliveries = details.deliveries.into_iter().map(DeliveryView::from).collect();
        Self { notification: details.message.into(), deliveries }
    }
}

impl From<Tried> for DeliveryView {
    fn from(Tried { delivery, attempts }: Tried) -> Self {
        Self {
            id: delivery.id,
            channel: delivery.medium.as_str(),
            state: delivery.state.as_str(),
            reason: delivery.reason.map(Reason::as_str),
            next_attempt_at: delivery.due_at,
            sent_at: delivery.sent_at,
            last_error: delivery.last_error,
            message_id: delivery.rfc_message_id,
            provider: delivery.provider,
            provider_message_id: delivery.provider_ref,
            segments: delivery.segments,
            receipt_at: delivery.receipt_at,
            attempts: attempts.into_iter().map(AttemptView::from).collect(),
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            finished_at: attempt.finished_at,
            outcome: attempt.outcome.map(|outcome| outcome.as_str()),
            reason: attempt.reason.map(Reason::as_str),
            provider: attempt.provider,
            detail: attempt.detail,
        }
    }
}

/// A message in the mailbox of development.
#[derive(Serialize)]
pub(super) struct Mail {
    pub(super) id: DeliveryId,
    pub(super) channel: &'static str,
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
    pub(super) links: Vec<String>,
    pub(super) created_at: Time,
}

impl From<crate::store::mailbox::Item> for Mail {
    fn from(item: crate::store::mailbox::Item) -> Self {
        let medium: Medium = item.channel;
        Self {
            id: item.delivery_id,
            channel: medium.as_str(),
            to: item.recipient,
            subject: item.subject,
            text: item.text,
            html: item.html,
            links: item.links.0,
            created_at: item.created_at,
        }
    }
}
