//! One try: find out who and where, whether it is wanted, mint the link, put it into words, hand it over.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use contracts::auth::{MintLink, MintedLink};
use contracts::{Caller, Error, Kind, OneTimeRequestId, Time};
use futures_util::FutureExt;
use metrics::{counter, histogram};

use super::claim::Claimed;
use super::reader::Reader;
use super::{Service, numbers};
use crate::model::category::SECURITY;
use crate::model::render::{self, Rendered};
use crate::model::template::{self, REQUEST, Template};
use crate::model::{
    Destination, Failure, FailureKind, Letter, Medium, Message, Reason, Taken, Unsubscribe, locale, sms,
};

/// A letter that left, and who took it.
pub(super) struct Done {
    /// None when it left in an earlier try whose letter is gone.
    pub(super) letter: Option<Letter>,
    pub(super) taken: Taken,
    /// Of a short message.
    pub(super) segments: Option<u32>,
}

impl Service {
    /// Tries once and writes down how it went.
    pub(super) async fn deliver(&self, claimed: Claimed) {
        let started = Instant::now();
        let outcome = match self.left_before(&claimed).await {
            Ok(Some(done)) => Ok(done),
            Ok(None) => self.guarded(&claimed).await,
            Err(error) => {
                // Left alone until the lease ends, because settling it as a failure would make it be sent again.
                tracing::warn!(%error, "Whether a message has left could not be looked up.");
                return;
            }
        };
        let channel = claimed.delivery.medium.as_str();
        let word = match &outcome {
            Ok(_) => "sent",
            Err(failure) => outcome_word(failure.kind),
        };
        counter!(numbers::TRIES, "channel" => channel, "outcome" => word).increment(1);
        histogram!(numbers::SECONDS, "channel" => channel).record(started.elapsed());
        if let Err(Failure { kind: FailureKind::Suppressed, reason, .. }) = &outcome {
            counter!(numbers::SUPPRESSED, "channel" => channel, "reason" => reason.as_str()).increment(1);
        }
        self.settle(&claimed, outcome).await;
    }

    /// The try with its deadline; a panic in it is a failure like others.
    async fn guarded(&self, claimed: &Claimed) -> Result<Done, Failure> {
        if claimed.delivery.attempts > claimed.delivery.last_attempt {
            let told = "Every try was cut short by the end of its process.";
            return Err(Failure::permanent(Reason::Crashed, told));
        }
        let deadline = self.settings.send_timeout();
        let attempt = AssertUnwindSafe(self.attempt(claimed)).catch_unwind();
        match tokio::time::timeout(deadline, attempt).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => Err(Failure::temporary(Reason::Crashed, "The try broke; the log says where.")),
            Err(_elapsed) => Err(Failure::temporary(
                Reason::TimedOut,
                format!("The try took longer than {} ms.", deadline.as_millis()),
            )),
        }
    }

    async fn attempt(&self, claimed: &Claimed) -> Result<Done, Failure> {
        let letter = self.write(claimed).await?;
        self.admit(claimed, &letter).await?;
        let segments = (claimed.delivery.medium == Medium::Sms).then_some(letter.segments);
        let line = match claimed.delivery.medium {
            Medium::Email => &self.email,
            Medium::Sms => &self.sms,
            Medium::Inbox => return Ok(Done { letter: Some(letter), taken: Taken::default(), segments }),
        };
        if !line.is_empty() {
            let sent = line.send(&letter).await;
            let taken = sent.map_err(|failure| self.about_address(failure, &letter))?;
            let done = Done { letter: Some(letter), taken, segments };
            self.notes.keep(&claimed.delivery, &done).await;
            return Ok(done);
        }
        if !self.mailbox {
            let told = "There is no provider for this channel any more.";
            return Err(Failure::permanent(Reason::ChannelUnavailable, told));
        }
        Ok(Done { letter: Some(letter), taken: Taken::default(), segments })
    }

    /// Notes whose address it is that is no good.
    fn about_address(&self, failure: Failure, letter: &Letter) -> Failure {
        let no_good = failure.reason == Reason::RecipientRefused;
        Failure { address_key: no_good.then(|| self.address_key(&letter.to)), ..failure }
    }

    pub(super) async fn write(&self, claimed: &Claimed) -> Result<Letter, Failure> {
        let (message, medium) = (&claimed.message, claimed.delivery.medium);
        let now = self.clock.now();
        if now > claimed.delivery.expires_at {
            return Err(Failure::obsolete(Reason::Expired, "It is too old to be sent."));
        }
        let gone = || Failure::permanent(Reason::Unrenderable, "Its template does not exist any more.");
        let template = template::find(&message.template).ok_or_else(gone)?;
        let caller = Caller::module("notifications");
        let reader = self.reader(&caller, message, medium).await?;
        self.check_wanted(message, medium, &reader).await?;
        let link = self.link(&caller, template, message).await?;
        let unsubscribe = self.unsubscribe_link(message, medium, &reader.to);
        let Rendered { subject, text, html, links } =
            self.words(template, message, &reader, link.as_ref(), unsubscribe.as_ref(), medium, now)?;
        let segments = if medium == Medium::Sms { self.segments(&text)? } else { 0 };
        Ok(Letter {
            to: reader.to,
            delivery: claimed.delivery.id.to_string(),
            message_id: claimed.delivery.rfc_message_id.clone(),
            date: now,
            subject,
            text,
            html,
            links,
            segments,
            unsubscribe,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "all that a letter is made of, used once")]
    fn words(
        &self,
        template: &'static Template,
        message: &Message,
        reader: &Reader,
        link: Option<&MintedLink>,
        unsubscribe: Option<&Unsubscribe>,
        medium: Medium,
        now: Time,
    ) -> Result<Rendered, Failure> {
        let letter = render::Letter {
            template,
            locale: self.language(message, reader),
            display_name: reader.display_name.as_deref(),
            data: &message.data,
            link: link.map(|link| render::Link { url: &link.url, lives: link.expires_at.since(now) }),
            happened_at: message.created_at,
            unsubscribe: unsubscribe.map(|it| it.url.as_str()),
        };
        let rendered = match medium {
            Medium::Email => self.renderer.render(&letter),
            Medium::Sms => self.renderer.sms(&letter),
            Medium::Inbox => self.renderer.notice(&letter),
        };
        rendered.map_err(|error| {
            Failure::permanent(Reason::Unrenderable, format!("It can't be put into words: {error}."))
        })
    }

    fn segments(&self, text: &str) -> Result<u32, Failure> {
        let (segments, most) = (sms::segments(text), self.settings.sms.max_segments);
        if segments > most {
            let told = format!("It needs {segments} parts; a short message may have {most}.");
            return Err(Failure::permanent(Reason::TooLong, told));
        }
        Ok(segments)
    }

    /// The person's own choice, then the language of the request that caused the message, then the default.
    fn language(&self, message: &Message, reader: &Reader) -> &'static str {
        let wishes =
            [reader.locale.as_deref(), message.locale.as_deref(), Some(&*self.settings.default_locale)];
        locale::best(wishes.into_iter().flatten())
    }

    /// The secret exists from here on, and only in the letter.
    async fn link(
        &self,
        caller: &Caller,
        template: &Template,
        message: &Message,
    ) -> Result<Option<MintedLink>, Failure> {
        if !template.has_minted_link() {
            return Ok(None);
        }
        let request: OneTimeRequestId = message
            .data
            .get(REQUEST)
            .and_then(|request| request.as_str()?.parse().ok())
            .ok_or_else(|| {
                Failure::permanent(Reason::Unrenderable, "It names no request that a link could be made for.")
            })?;
        match self.auth.mint_link(caller, MintLink { request }).await {
            Ok(link) => Ok(Some(link)),
            Err(error) if matches!(error.kind, Kind::Gone | Kind::NotFound) => Err(Failure::obsolete(
                Reason::LinkGone,
                "The link was already used, is over, or its request is gone.",
            )),
            Err(error) => Err(unanswered(&error)),
        }
    }

    fn unsubscribe_link(&self, message: &Message, medium: Medium, to: &Destination) -> Option<Unsubscribe> {
        let Destination::Email(address) = to else { return None };
        if medium != Medium::Email || message.category == SECURITY {
            return None;
        }
        Some(Unsubscribe { url: self.unsubscribe_url(message, address) })
    }
}

/// The word of an outcome, for metrics.
const fn outcome_word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Temporary => "temporary",
        FailureKind::Permanent => "permanent",
        FailureKind::Suppressed => "suppressed",
        FailureKind::Obsolete => "obsolete",
    }
}

/// Another module did not answer, or not what it should: it may later.
pub(super) fn unanswered(error: &Error) -> Failure {
    let told = format!("Another part of Doorward did not answer: {}.", error.code);
    Failure::temporary(Reason::PartUnavailable, told)
}
