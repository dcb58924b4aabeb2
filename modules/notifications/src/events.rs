//! What notifications hears: the events of auth that somebody should get a message about, and whom to forget.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::auth::{
    AccountEmailChanged, AccountPurged, AccountVerified, InvitationRequested, PasswordChanged,
    PasswordResetRequested, RefreshReused, RegistrationRepeated, SignInNoticed, VerificationRequested,
};
use contracts::{Error, Event, Fact};
use platform::bus::{Subscriber, Subscription};

use crate::Service;

/// Who here hears what, whether this module runs in this process or elsewhere.
pub const SUBSCRIPTIONS: &[Subscription] = &[ACCOUNT_MAILS];

const ACCOUNT_MAILS: Subscription = Subscription {
    name: "notifications.account_mails",
    hears: &[
        VerificationRequested::TYPE,
        RegistrationRepeated::TYPE,
        RefreshReused::TYPE,
        PasswordResetRequested::TYPE,
        PasswordChanged::TYPE,
        InvitationRequested::TYPE,
        SignInNoticed::TYPE,
        AccountEmailChanged::TYPE,
        AccountVerified::TYPE,
        AccountPurged::TYPE,
    ],
};

/// Queues the messages that accounts cause, and forgets accounts that are gone.
pub(crate) struct AccountMails(pub(crate) Arc<Service>);

#[async_trait]
impl Subscriber for AccountMails {
    fn name(&self) -> &'static str {
        ACCOUNT_MAILS.name
    }

    fn hears(&self) -> &'static [&'static str] {
        ACCOUNT_MAILS.hears
    }

    async fn hear(&self, event: &Event) -> Result<(), Error> {
        self.0.hear(self.name(), event).await
    }
}
