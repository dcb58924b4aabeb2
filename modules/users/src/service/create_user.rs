//! Making a user, for administrators: auth makes the account, then profile and directory follow.
//!
//! Auth's half commits first. When ours fails, the account is there all the same, and its event brings profile and
//! directory; whoever sent an idempotency key asks again and gets the same user, because the user's id follows from it.

use contracts::auth::{Account, AccountState, CreateAccount};
use contracts::{Caller, Concealed, EmailAddress, Error as Told, Fields, UserId};
use platform::db::DbConn;
use platform::idempotency::{self, Answer, IdempotencyKey};
use serde_json::json;

use crate::error::Error;
use crate::model::{Change, Profile};
use crate::service::directory::note_account;
use crate::service::find_profile::{create, record};
use crate::service::update_profile::write;
use crate::service::{Me, Service};
use crate::store::profiles;

/// Who is to be made.
pub(crate) struct NewUser {
    pub(crate) email: String,
    pub(crate) display_name: Option<String>,
    pub(crate) locale: Option<String>,
    pub(crate) password: Option<Concealed>,
    pub(crate) invite: bool,
    pub(crate) state: Option<AccountState>,
}

impl Service {
    /// # Errors
    /// Every broken rule at once; 409 for an address that is taken; 503.
    pub(crate) async fn create_user(
        &self,
        caller: &Caller,
        key: Option<&IdempotencyKey>,
        new: NewUser,
        shape: fn(Me) -> contracts::Result<Answer>,
    ) -> Result<Answer, Error> {
        let now = self.clock.now();
        let user = key.map_or_else(UserId::new, |key| self.account_ids.of_key(&key.scope, &key.key));
        let (ask, said) = checked(new, &Profile::empty(user, now))?;
        let (email, invited) = (ask.email.clone(), ask.invite);
        let account = self.auth.create_account(caller, ask).await.map_err(in_our_words)?;
        let work = async |tx: &mut DbConn| {
            idempotency::once(tx, now, key, async |tx| {
                if account.email != email {
                    return Err(Error::KeyReused);
                }
                complete(tx, now, caller, &account, &said).await?;
                note_account(tx, &account).await?;
                let after = json!({ "state": account.state, "invited": invited });
                record(tx, now, caller, "users.user.made", user, (None, Some(after))).await?;
                let profile = profiles::find(tx, user).await?.ok_or(Error::AccountGone)?;
                Ok(shape(Me { account: account.clone(), profile })?)
            })
            .await
        };
        self.profiles.forgetting(vec![user], self.db.transaction(work)).await
    }
}

/// Auth's refusal, with the field as it is called here.
fn in_our_words(mut error: Told) -> Told {
    for field in error.fields.iter_mut().filter(|field| field.pointer == "/invite") {
        "/send_invitation".clone_into(&mut field.pointer);
    }
    error
}

/// Makes the profile, or adds to the one that is there what it does not say yet.
pub(super) async fn complete(
    tx: &mut DbConn,
    now: contracts::Time,
    caller: &Caller,
    account: &Account,
    said: &Profile,
) -> Result<(), Error> {
    if create(tx, now, caller, account, said.clone()).await? {
        return Ok(());
    }
    profiles::hold(tx, said.id).await?;
    let Some(there) = profiles::find(tx, said.id).await? else { return Ok(()) };
    let change = Change::complete(&there, said);
    if !change.changed.is_empty() {
        write(tx, now, caller, &there, change).await?;
    }
    Ok(())
}

fn checked(new: NewUser, empty: &Profile) -> Result<(CreateAccount, Profile), Error> {
    let mut fields = Fields::default();
    let email = fields.take("/email", EmailAddress::parse(&new.email));
    let default = if new.invite { AccountState::Unverified } else { AccountState::Active };
    let state = new.state.unwrap_or(default);
    if state == AccountState::Deleted {
        fields.broken("/state", "invalid_value", "Must be unverified, active or disabled.");
    }
    let texts = [("display_name", &new.display_name), ("locale", &new.locale)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into())));
    let profile = match Change::patch(empty, &texts.collect()) {
        Ok(change) => Some(change.profile),
        Err(error) => {
            for field in error.fields {
                fields.field(field);
            }
            None
        }
    };
    fields.finish()?;
    let (Some(email), Some(profile)) = (email, profile) else { return Err(Error::AccountGone) };
    let ask = CreateAccount {
        user: profile.id,
        email,
        password: new.password,
        state,
        invite: new.invite,
        display_name: profile.display_name.clone(),
        locale: profile.locale.clone(),
    };
    Ok((ask, profile))
}
