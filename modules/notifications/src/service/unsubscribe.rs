//! Unsubscribing by the link of a mail, without a login (RFC 8058).
//!
//! The link's token names who, which category and which channel, and is signed with a key of its own; it does not end,
//! because mails are kept for years. Using it twice changes nothing more, and all that it can do is to switch off.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::auth::FindAccount;
use contracts::notifications::Recipient;
use contracts::{Caller, EmailAddress, Time, UserId};
use platform::audit::{self, Entry, Outcome};
use platform::db::{self, DbConn};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Service;
use super::preferences::change;
use crate::error::Error;
use crate::model::category::{SECURITY, is_on};
use crate::model::{Destination, Medium, Message};
use crate::store::preferences;
use crate::store::suppressions::{self, Address};

/// Bytes of the signature, which is compared in constant time.
const TAG: usize = 32;

/// No token of ours is longer.
const LONGEST: usize = 512;

/// How often a change is tried when others change the same at the same time.
const TRIES: usize = 5;

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unwanted {
    who: Who,
    pub(crate) category: String,
    channel: String,
    /// Stands for the address that a person's mail went to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_to: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Who {
    #[serde(rename = "u")]
    User(UserId),
    #[serde(rename = "a")]
    Address(String),
}

impl Service {
    /// The link of a mail.
    pub(super) fn unsubscribe_url(&self, message: &Message, address: &EmailAddress) -> String {
        let key = self.address_key(&Destination::Email(address.clone()));
        let (who, sent_to) = match &message.to {
            Some(Recipient::User(user)) => (Who::User(*user), Some(key)),
            _ => (Who::Address(key), None),
        };
        let category = message.category.clone();
        let unwanted = Unwanted { who, category, channel: Medium::Email.as_str().to_owned(), sent_to };
        let payload = serde_json::to_vec(&unwanted).unwrap_or_default();
        let tag = hmac::sign(&self.unsubscribe_key(), &payload);
        let token = [tag.as_ref(), payload.as_slice()].concat();
        format!("{}/api/v1/notifications/unsubscribe?token={}", self.base_url, URL_SAFE_NO_PAD.encode(token))
    }

    /// What a token is for. Changes nothing.
    ///
    /// # Errors
    /// When it is not one of ours.
    pub(crate) fn read_unsubscribe(&self, token: &str) -> Result<Unwanted, Error> {
        self.opened(token).ok_or(Error::BadUnsubscribe)
    }

    fn opened(&self, token: &str) -> Option<Unwanted> {
        let bytes = (token.len() <= LONGEST).then(|| URL_SAFE_NO_PAD.decode(token).ok())??;
        let (tag, payload) = bytes.split_at_checked(TAG)?;
        hmac::verify(&self.unsubscribe_key(), payload, tag).ok()?;
        let unwanted: Unwanted = serde_json::from_slice(payload).ok()?;
        (unwanted.category != SECURITY).then_some(unwanted)
    }

    fn unsubscribe_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.master_key.derive("notifications.unsubscribe"))
    }

    /// Switches off what a token is for; once more changes nothing. What a person switches off so does not come to the
    /// address of that mail either, when somebody sends to the address alone.
    ///
    /// # Errors
    /// When it is not one of ours.
    pub(crate) async fn unsubscribe(&self, caller: &Caller, token: &str) -> Result<Unwanted, Error> {
        let unwanted = self.read_unsubscribe(token)?;
        let medium = Medium::from_word(&unwanted.channel).ok_or(Error::BadUnsubscribe)?;
        match &unwanted.who {
            Who::User(user) => {
                let address = unwanted.sent_to.clone().map(|key| Address { key, medium });
                self.switch_off(caller, *user, &unwanted.category, medium, address.as_ref()).await?;
            }
            Who::Address(key) => {
                let (address, now) = (Address { key: key.clone(), medium }, self.clock.now());
                let category = &unwanted.category;
                let work = async |tx: &mut DbConn| suppress(tx, now, caller, &address, category).await;
                self.db.transaction(work).await?;
            }
        }
        Ok(unwanted)
    }

    async fn switch_off(
        &self,
        caller: &Caller,
        user: UserId,
        category: &str,
        medium: Medium,
        address: Option<&Address>,
    ) -> Result<(), Error> {
        // Of somebody who is gone nothing is kept, also not this.
        if self.auth.find_account(caller, FindAccount { user }).await?.is_none() {
            return Ok(());
        }
        for _ in 0..TRIES {
            let before = preferences::find(&mut *self.db.read().await?, user).await?;
            let was_on = is_on(&before.choices, category, medium);
            let mut choices = before.choices.clone();
            choices.entry(category.to_owned()).or_default().insert(medium.as_str().to_owned(), false);
            let now = self.clock.now();
            let work = async |tx: &mut DbConn| {
                if was_on && !change(tx, now, caller, user, &before, &choices).await? {
                    return Ok::<_, db::Error>(false);
                }
                if let Some(address) = address {
                    suppress(tx, now, caller, address, category).await?;
                }
                Ok(true)
            };
            if self.db.transaction(work).await? {
                return Ok(());
            }
        }
        Err(Error::Busy)
    }
}

/// Remembers that an address wants nothing of a category.
async fn suppress(
    tx: &mut DbConn,
    now: Time,
    caller: &Caller,
    address: &Address,
    category: &str,
) -> db::Result<()> {
    if !suppressions::unsubscribe(tx, address, category, now).await? {
        return Ok(());
    }
    let entry = Entry {
        action: "notifications.address.unsubscribed",
        outcome: Outcome::Succeeded,
        subject_type: "address",
        subject_id: address.key.clone(),
        before: None,
        after: Some(json!({ "category": category, "channel": address.medium.as_str() })),
    };
    audit::record(tx, now, caller, entry).await
}
