//! One try: find out who and where, mint the link, put it into words, hand it over.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use contracts::auth::{FindAccount, MintLink, MintedLink};
use contracts::notifications::Recipient;
use contracts::users::FindProfile;
use contracts::{Caller, EmailAddress, Error, Kind, OneTimeRequestId, UserId};
use futures_util::FutureExt;
use metrics::{counter, histogram};

use super::claim::Claimed;
use super::{Service, numbers};
use crate::model::render::{self, Rendered};
use crate::model::template::{self, REQUEST, Template};
use crate::model::{Failure, Letter, Message, locale};

/// What is known about the person who gets a message.
struct Reader {
    address: EmailAddress,
    display_name: Option<String>,
    locale: Option<String>,
}

impl Service {
    /// Tries once and writes down how it went.
    pub(super) async fn deliver(&self, claimed: Claimed) {
        let started = Instant::now();
        let outcome = self.guarded(&claimed).await;
        let channel = claimed.delivery.medium.as_str();
        let word = match &outcome {
            Ok(_) => "sent",
            Err(Failure::Temporary(_)) => "temporary",
            Err(Failure::Permanent(_)) => "permanent",
            Err(Failure::Obsolete(_)) => "obsolete",
        };
        counter!(numbers::TRIES, "channel" => channel, "outcome" => word).increment(1);
        histogram!(numbers::SECONDS, "channel" => channel).record(started.elapsed());
        self.settle(&claimed, outcome).await;
    }

    /// The try with its deadline; a panic in it is a failure like others.
    async fn guarded(&self, claimed: &Claimed) -> Result<Letter, Failure> {
        if claimed.delivery.attempts > claimed.delivery.last_attempt {
            return Err(Failure::Permanent("Every try was cut short by the end of its process.".to_owned()));
        }
        let deadline = self.settings.send_timeout();
        let attempt = AssertUnwindSafe(self.attempt(claimed)).catch_unwind();
        match tokio::time::timeout(deadline, attempt).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => {
                Err(Failure::Temporary("The try ended in a panic, a mistake of ours.".to_owned()))
            }
            Err(_) => Err(Failure::Temporary(format!("It took longer than {} ms.", deadline.as_millis()))),
        }
    }

    async fn attempt(&self, claimed: &Claimed) -> Result<Letter, Failure> {
        let letter = self.write(claimed).await?;
        if let Some(channel) = &self.channel {
            channel.send(&letter).await?;
        }
        Ok(letter)
    }

    async fn write(&self, claimed: &Claimed) -> Result<Letter, Failure> {
        let message = &claimed.message;
        let template = template::find(&message.template)
            .ok_or_else(|| Failure::Permanent("Its template does not exist any more.".to_owned()))?;
        let caller = Caller::module("notifications");
        let reader = self.reader(&caller, message).await?;
        let link = self.link(&caller, template, message).await?;
        let date = self.clock.now();
        let Rendered { subject, text, html, links } = self
            .renderer
            .render(&render::Letter {
                template,
                locale: self.language(message, &reader),
                display_name: reader.display_name.as_deref(),
                data: &message.data,
                link: link
                    .as_ref()
                    .map(|link| render::Link { url: &link.url, lives: link.expires_at.since(date) }),
                happened_at: message.created_at,
            })
            .map_err(|error| Failure::Permanent(format!("It can't be put into words: {error}.")))?;
        let message_id = claimed.delivery.rfc_message_id.clone();
        Ok(Letter { to: reader.address, message_id, date, subject, text, html, links })
    }

    /// The person's own choice, then the language of the request that caused the message, then the default.
    fn language(&self, message: &Message, reader: &Reader) -> &'static str {
        let wishes =
            [reader.locale.as_deref(), message.locale.as_deref(), Some(&*self.settings.default_locale)];
        locale::best(wishes.into_iter().flatten())
    }

    async fn reader(&self, caller: &Caller, message: &Message) -> Result<Reader, Failure> {
        match &message.to {
            Recipient::User(user) => self.person(caller, *user).await,
            Recipient::Email(address) => {
                Ok(Reader { address: address.clone(), display_name: None, locale: None })
            }
        }
    }

    async fn person(&self, caller: &Caller, user: UserId) -> Result<Reader, Failure> {
        let account =
            self.auth.find_account(caller, FindAccount { user }).await.map_err(|error| unanswered(&error))?;
        let account =
            account.ok_or_else(|| Failure::Permanent("There is no account with this user id.".to_owned()))?;
        let profile = self
            .users
            .find_profile(caller, FindProfile { user })
            .await
            .map_err(|error| unanswered(&error))?;
        let (display_name, locale) =
            profile.map(|profile| (profile.display_name, profile.locale)).unwrap_or_default();
        Ok(Reader { address: account.email, display_name, locale })
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
        let request: OneTimeRequestId =
            message.data.get(REQUEST).and_then(|request| request.as_str()?.parse().ok()).ok_or_else(
                || Failure::Permanent("It names no request that a link could be made for.".to_owned()),
            )?;
        match self.auth.mint_link(caller, MintLink { request }).await {
            Ok(link) => Ok(Some(link)),
            Err(error) if matches!(error.kind, Kind::Gone | Kind::NotFound) => Err(Failure::Obsolete(
                "The link was already used, is over, or its request is gone.".to_owned(),
            )),
            Err(error) => Err(unanswered(&error)),
        }
    }
}

/// Another module did not answer, or not what it should: it may later.
fn unanswered(error: &Error) -> Failure {
    Failure::Temporary(format!("Another part of Doorward did not answer: {}.", error.code))
}
