//! Who gets a message, where, and whether it is wanted: asked at every try, because people change their minds.
//!
//! What is about security is sent whatever was switched off; that it may only go to proven numbers holds for it too.

use contracts::auth::{Account, AccountState, FindAccount};
use contracts::notifications::Recipient;
use contracts::users::{FindProfile, Profile};
use contracts::{Caller, PhoneNumber, UserId};
use platform::db;

use super::Service;
use super::attempt::unanswered;
use crate::model::category::{SECURITY, is_on};
use crate::model::{Destination, Failure, Medium, Message, Reason};
use crate::store::{preferences, suppressions};

/// What is known about whoever gets a message.
pub(super) struct Reader {
    pub(super) to: Destination,
    pub(super) display_name: Option<String>,
    pub(super) locale: Option<String>,
}

impl Service {
    pub(super) async fn reader(
        &self,
        caller: &Caller,
        message: &Message,
        medium: Medium,
    ) -> Result<Reader, Failure> {
        let unread = || {
            Failure::permanent(
                Reason::Unrenderable,
                "The address that is kept for it can't be read any more.",
            )
        };
        let to = match message.to.as_ref().ok_or_else(unread)? {
            Recipient::User(user) => return self.person(caller, *user, message, medium).await,
            Recipient::Email(address) => Destination::Email(address.clone()),
            Recipient::Phone(number) => Destination::Phone(number.clone()),
        };
        if let Destination::Phone(number) = &to {
            self.check_country(number)?;
        }
        // A notice to an address that was somebody's is written in that person's language.
        let locale = match message.about {
            Some(user) => self.profile(caller, user).await?.and_then(|profile| profile.locale),
            None => None,
        };
        Ok(Reader { to, display_name: None, locale })
    }

    async fn person(
        &self,
        caller: &Caller,
        user: UserId,
        message: &Message,
        medium: Medium,
    ) -> Result<Reader, Failure> {
        let account =
            self.auth.find_account(caller, FindAccount { user }).await.map_err(|error| unanswered(&error))?;
        let nobody = || Failure::permanent(Reason::NoAccount, "There is no account with this user id.");
        let account = account.ok_or_else(nobody)?;
        check_account(&account, message, medium)?;
        let profile = self.profile(caller, user).await?;
        let to = match medium {
            Medium::Email => Destination::Email(account.email),
            Medium::Sms => Destination::Phone(self.number(profile.as_ref())?),
            Medium::Inbox => Destination::Person(user),
        };
        let (display_name, locale) =
            profile.map(|profile| (profile.display_name, profile.locale)).unwrap_or_default();
        Ok(Reader { to, display_name, locale })
    }

    async fn profile(&self, caller: &Caller, user: UserId) -> Result<Option<Profile>, Failure> {
        self.users.find_profile(caller, FindProfile { user }).await.map_err(|error| unanswered(&error))
    }

    /// The person's number. What somebody wrote into a profile may be anybody's, or cost a fortune.
    fn number(&self, profile: Option<&Profile>) -> Result<PhoneNumber, Failure> {
        let none = || Failure::suppressed(Reason::NoPhone, "The person has no phone number.");
        let number = profile.and_then(|profile| profile.phone.as_deref()).ok_or_else(none)?;
        let number = PhoneNumber::parse(number).map_err(|_| none())?;
        if !self.settings.sms.unproven_numbers {
            let told = "Nobody has proven that the phone number is the person's.";
            return Err(Failure::suppressed(Reason::PhoneUnverified, told));
        }
        self.check_country(&number)?;
        Ok(number)
    }

    fn check_country(&self, number: &PhoneNumber) -> Result<(), Failure> {
        let allowed = &self.settings.sms.countries;
        if allowed.is_empty() || allowed.iter().any(|code| code == number.country_code()) {
            return Ok(());
        }
        let told = "Short messages don't go to this country.";
        Err(Failure::suppressed(Reason::CountryNotAllowed, told))
    }

    /// Whether whoever gets it wants it.
    pub(super) async fn check_wanted(
        &self,
        message: &Message,
        medium: Medium,
        reader: &Reader,
    ) -> Result<(), Failure> {
        if message.category == SECURITY {
            return Ok(());
        }
        match self.unwanted(message, medium, &reader.to).await {
            Ok(None) => Ok(()),
            Ok(Some(reason)) => Err(Failure::suppressed(reason, unwanted_sentence(reason))),
            Err(error) => {
                let told = format!("What people want could not be looked up: {error}.");
                Err(Failure::temporary(Reason::PartUnavailable, told))
            }
        }
    }

    async fn unwanted(
        &self,
        message: &Message,
        medium: Medium,
        to: &Destination,
    ) -> db::Result<Option<Reason>> {
        let mut c = self.db.read().await?;
        if let Some(Recipient::User(user)) = &message.to {
            let decided = preferences::find(&mut c, *user).await?;
            if !is_on(&decided.choices, &message.category, medium) {
                return Ok(Some(Reason::PreferenceOff));
            }
        }
        if medium == Medium::Inbox {
            return Ok(None);
        }
        let address = suppressions::Address { key: self.address_key(to), medium };
        let found = suppressions::find(&mut c, &address, &message.category).await?;
        // What an address unsubscribed from is that address's; an account of the same owner decides by preferences.
        let of_person = matches!(message.to, Some(Recipient::User(_)));
        Ok(found.filter(|reason| *reason == Reason::Bounced || !of_person))
    }
}

fn unwanted_sentence(reason: Reason) -> &'static str {
    match reason {
        Reason::PreferenceOff => "The person has switched off messages of this category on this channel.",
        Reason::Bounced => "The address refused mail before, and nobody has proven it since.",
        _ => "The reader unsubscribed this address from this category.",
    }
}

/// What is not about security goes to accounts in use, with a proven address.
fn check_account(account: &Account, message: &Message, medium: Medium) -> Result<(), Failure> {
    if message.category == SECURITY {
        return Ok(());
    }
    if matches!(account.state, AccountState::Disabled | AccountState::Deleted) {
        let told = "The account is not in use.";
        return Err(Failure::suppressed(Reason::AccountInactive, told));
    }
    if medium == Medium::Email && !account.email_verified {
        let told = "Nobody has proven that the address is the person's.";
        return Err(Failure::suppressed(Reason::EmailUnverified, told));
    }
    Ok(())
}
