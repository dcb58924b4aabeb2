//! Accounts that others make, change and take over, through the contract: what an administrator sees, and what stays
//! shut for everybody else.

mod change;
mod create;
pub(crate) mod import;

use crate::world::World;
use contracts::auth::{
    Account, AccountState, Auth as _, ChangeAccount, CreateAccount, FindAccount, InvitationRequested,
};
use contracts::{Caller, Concealed, EmailAddress, OneTimeRequestId, UserId};

pub(crate) fn caller() -> Caller {
    Caller::module("test")
}

pub(crate) fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

/// An account in use with the password that everybody here has.
pub(crate) fn to_make(email: &str) -> CreateAccount {
    CreateAccount {
        user: UserId::new(),
        email: address(email),
        password: Some(Concealed::new(crate::world::PASSWORD)),
        state: AccountState::Active,
        invite: false,
        display_name: None,
        locale: None,
    }
}

/// One whose owner is invited.
pub(crate) fn to_invite(email: &str) -> CreateAccount {
    CreateAccount { password: None, state: AccountState::Unverified, invite: true, ..to_make(email) }
}

pub(crate) fn to_state(user: UserId, state: AccountState) -> ChangeAccount {
    ChangeAccount { user, revision: None, email: None, state: Some(state) }
}

pub(crate) fn to_address(user: UserId, email: &str) -> ChangeAccount {
    ChangeAccount { user, revision: None, email: Some(address(email)), state: None }
}

impl World {
    pub(crate) async fn create(&self, ask: CreateAccount) -> Result<Account, contracts::Error> {
        self.service.create_account(&caller(), ask).await
    }

    pub(crate) async fn change(&self, ask: ChangeAccount) -> Result<Account, contracts::Error> {
        self.service.change_account(&caller(), ask).await
    }

    /// What the memory says; the database is asked beside it, because a write that forgets to forget shows here.
    pub(crate) async fn account(&self, user: UserId) -> Option<Account> {
        let mut seen = None;
        for _ in 0..3 {
            seen = self.service.find_account(&caller(), FindAccount { user }).await.unwrap();
        }
        let stored = crate::store::revision(&self.db, user).await;
        assert_eq!(
            seen.as_ref().map(|account| account.revision),
            stored,
            "what is remembered is not what is stored"
        );
        seen
    }

    /// The invitations that were asked for since the last look.
    pub(crate) async fn invited(&self) -> Vec<OneTimeRequestId> {
        let events = self.events().await;
        let facts = events.iter().filter(|event| event.is::<InvitationRequested>());
        facts.map(|event| event.read::<InvitationRequested>().unwrap().request).collect()
    }
}
