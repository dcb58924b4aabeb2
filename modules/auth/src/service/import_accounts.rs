//! Taking over accounts from elsewhere: each by itself, all in one commit, and nobody is written to.
//!
//! What can be said without the database is said first; then passwords that came in the clear are hashed, of all imports
//! together no more at a time than there are threads, so that logins get their turn; then a few statements write everything. Asking for the same accounts again
//! finds them, so an import that broke off is simply sent again.

use std::collections::{HashMap, HashSet};

use contracts::auth::{
    AccountRegistered, AccountState, AccountStateChanged, ImportAccount, ImportAccounts, ImportOutcome,
    ImportedAccounts,
};
use contracts::{Caller, Error as Shared, Fields, Kind, Time, UserId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use platform::audit::{self, Entry};
use platform::db::DbConn;
use platform::outbox;
use serde_json::json;

use super::Service;
use super::create_account::{check_words, refuse_purged};
use super::find_account::shared;
use super::passwords::{self, threads};
use super::register::{broken, entry};
use crate::error::Error;
use crate::model::{Account, Password, PasswordHash, StoredEmail};
use crate::store::{accounts, purges};

/// So many at once.
const AT_MOST: usize = 1_000;

/// An account that keeps the rules.
struct Draft {
    account: Account,
    password: Option<PasswordHash>,
    fact: AccountRegistered,
}

/// What is known of each, in the order in which they were given.
enum Row {
    Draft(Box<Draft>),
    Outcome(ImportOutcome),
}

impl Service {
    /// # Errors
    /// 422 for more than a thousand; 503 when hashing or the database can't keep up, or permissions is away: then nothing was
    /// taken over.
    pub(super) async fn import(
        &self,
        caller: &Caller,
        ask: ImportAccounts,
    ) -> Result<ImportedAccounts, Error> {
        let ImportAccounts { dry_run, accounts: given } = ask;
        if given.len() > AT_MOST {
            let mut fields = Fields::default();
            fields.broken("/accounts", "too_many", "At most 1000 accounts are imported at once.");
            return Err(broken(fields));
        }
        let now = self.now();
        let rows = self.sort_out(&mut *self.db.read().await?, &given, now).await?;
        let rows = if dry_run { rows } else { self.hash_passwords(rows, given).await? };
        if dry_run {
            return Ok(ImportedAccounts {
                outcomes: rows.into_iter().map(foreseen).collect::<Result<_, _>>()?,
            });
        }
        let rows = self.switch_off(caller, rows).await?;
        let outcomes = self.db.transaction(async |tx| write(tx, caller, rows, now).await).await?;
        let there: Vec<UserId> = outcomes
            .iter()
            .filter_map(|outcome| match outcome {
                ImportOutcome::Created(account) | ImportOutcome::Present(account) => Some(account.id),
                ImportOutcome::Refused(_) => None,
            })
            .collect();
        self.accounts.invalidate_each(&there).await;
        Ok(ImportedAccounts { outcomes })
    }

    /// Which are there already, which break a rule, and which can be taken over.
    async fn sort_out(&self, c: &mut DbConn, given: &[ImportAccount], now: Time) -> Result<Vec<Row>, Error> {
        let emails = given.iter().map(|it| it.email.as_str().to_owned()).collect();
        let taken = accounts::taken(c, emails).await?;
        let ids: Vec<UserId> = given.iter().map(|it| it.user).collect();
        let there = find_all(c, ids.clone()).await?;
        let purged: HashSet<UserId> = purges::among(c, ids).await?.into_iter().collect();
        let mut addresses: HashSet<&str> = taken.iter().map(String::as_str).collect();
        let mut ids = HashSet::new();
        let mut rows = Vec::with_capacity(given.len());
        for it in given {
            let row = match there.get(&it.user) {
                Some(account) => Row::Outcome(ImportOutcome::Present(shared(account)?)),
                None => match self.draft(it, now) {
                    Err(error) => Row::Outcome(ImportOutcome::Refused(error.into())),
                    Ok(_) if purged.contains(&it.user) => {
                        Row::Outcome(ImportOutcome::Refused(Error::PurgedId.into()))
                    }
                    Ok(_) if !ids.insert(it.user) => Row::Outcome(ImportOutcome::Refused(twice())),
                    Ok(_) if !addresses.insert(it.email.as_str()) => Row::Outcome(address_taken()),
                    Ok(draft) => Row::Draft(Box::new(draft)),
                },
            };
            rows.push(row);
        }
        Ok(rows)
    }

    fn draft(&self, given: &ImportAccount, now: Time) -> Result<Draft, Error> {
        let mut fields = Fields::default();
        if given.state == AccountState::Deleted {
            fields.broken("/state", "not_allowed", "An account is not imported deleted.");
        }
        if given.created_at.is_some_and(|at| at > now) {
            fields.broken("/created_at", "in_future", "An account is not registered before its time.");
        }
        let password = match (&given.password_hash, &given.password) {
            (Some(_), Some(_)) => {
                fields.broken("/password", "not_allowed", "A password is not given beside a hash.");
                None
            }
            (Some(hash), None) => fields.take("/password_hash", passwords::imported(hash.expose())),
            (None, Some(password)) => {
                let name = given.display_name.as_deref();
                self.check_given_password(&mut fields, password.expose(), &given.email, name);
                None
            }
            (None, None) => None,
        };
        let (name, locale) = check_words(&mut fields, given.display_name.as_deref(), given.locale.as_deref());
        if !fields.is_empty() {
            return Err(broken(fields));
        }
        let (display_name, locale) = (name.map(|it| it.0), locale.map(|it| it.0));
        let fact = AccountRegistered { user: given.user, display_name, locale };
        Ok(Draft { account: imported(given, now), password, fact })
    }

    /// Has permissions know, before they are there, who of them can't log in. That it is away is no row's fault.
    async fn switch_off(&self, caller: &Caller, mut rows: Vec<Row>) -> Result<Vec<Row>, Error> {
        for row in &mut rows {
            if let Row::Draft(draft) = row
                && draft.account.state != AccountState::Active
                && let Err(error) = self.ask_to_switch_off(caller, draft.account.id).await
            {
                let told = Shared::from(error);
                if matches!(told.kind, Kind::Unavailable | Kind::Limited | Kind::Internal) {
                    return Err(told.into());
                }
                *row = Row::Outcome(ImportOutcome::Refused(told));
            }
        }
        Ok(rows)
    }

    async fn hash_passwords(&self, rows: Vec<Row>, given: Vec<ImportAccount>) -> Result<Vec<Row>, Error> {
        let hashed = rows.into_iter().zip(given).map(async |(row, given)| match (row, given.password) {
            (Row::Draft(mut draft), Some(password)) => {
                let password = Password::typed(password.expose().to_owned());
                let _turn = self.import_turns.acquire().await.map_err(Shared::internal)?;
                draft.password = Some(self.passwords.hash(&password).await?);
                Ok::<_, Error>(Row::Draft(draft))
            }
            (row, _) => Ok(row),
        });
        stream::iter(hashed).buffered(threads(&self.settings.hash)).try_collect().await
    }
}

/// Writes what can be written, in as few statements as it takes. Whoever got an address or an id meanwhile keeps it.
async fn write(
    tx: &mut DbConn,
    caller: &Caller,
    rows: Vec<Row>,
    now: Time,
) -> Result<Vec<ImportOutcome>, Error> {
    let drafts = || {
        rows.iter().filter_map(|row| if let Row::Draft(draft) = row { Some(draft.as_ref()) } else { None })
    };
    // In one order, so that two imports of the same people don't wait for each other without end.
    let mut fresh: Vec<Account> = drafts().map(|draft| draft.account.clone()).collect();
    fresh.sort_by(|one, other| one.email.0.cmp(&other.email.0));
    let mut written = HashSet::new();
    if !fresh.is_empty() {
        written.extend(accounts::insert_all(tx, fresh).await?);
        // Whoever had one of the ids may have been purged at this very moment; then asking again tells whose.
        refuse_purged(tx, written.iter().copied().collect()).await?;
    }
    let is_written = |draft: &&Draft| written.contains(&draft.account.id);
    let passwords: Vec<_> = drafts()
        .filter(is_written)
        .filter_map(|draft| Some((draft.account.id, draft.password.clone()?)))
        .collect();
    if !passwords.is_empty() {
        accounts::insert_passwords(tx, passwords, now).await?;
    }
    for draft in drafts().filter(is_written) {
        outbox::publish(tx, now, caller, &draft.fact).await?;
        let (user, state) = (draft.account.id, draft.account.state);
        if state != AccountState::Active {
            outbox::publish(tx, now, caller, &AccountStateChanged { user, state }).await?;
        }
        let after = json!({ "state": draft.account.state, "password": draft.password.is_some() });
        let entry = Entry { after: Some(after), ..entry("auth.account.imported", draft.account.id) };
        audit::record(tx, now, caller, entry).await?;
    }
    let others = drafts().filter(|draft| !written.contains(&draft.account.id));
    let others = find_all(tx, others.map(|draft| draft.account.id).collect()).await?;
    let count = u64::try_from(written.len()).unwrap_or(0);
    metrics::counter!("doorward_accounts_made_total", "by" => "import").increment(count);
    let outcome = |row| match row {
        Row::Draft(draft) if !written.contains(&draft.account.id) => match others.get(&draft.account.id) {
            Some(account) => Ok(ImportOutcome::Present(shared(account)?)),
            None => Ok(address_taken()),
        },
        row => foreseen(row),
    };
    rows.into_iter().map(outcome).collect()
}

async fn find_all(c: &mut DbConn, ids: Vec<UserId>) -> Result<HashMap<UserId, Account>, Error> {
    let found = accounts::find_all(c, ids).await?;
    Ok(found.into_iter().map(|account| (account.id, account)).collect())
}

/// What becomes of a row when nobody is in its way.
fn foreseen(row: Row) -> Result<ImportOutcome, Error> {
    Ok(match row {
        Row::Draft(draft) => ImportOutcome::Created(shared(&draft.account)?),
        Row::Outcome(outcome) => outcome,
    })
}

fn imported(given: &ImportAccount, now: Time) -> Account {
    let created_at = given.created_at.unwrap_or(now);
    Account {
        id: given.user,
        email: StoredEmail(given.email.as_str().to_owned()),
        state: given.state,
        verified_at: (given.state == AccountState::Active).then_some(created_at),
        credential_version: 0,
        revision: 1,
        self_registered: false,
        deleted_at: None,
        disabled_when_deleted: false,
        created_at,
        updated_at: now,
    }
}

fn address_taken() -> ImportOutcome {
    ImportOutcome::Refused(Error::AddressTaken.into())
}

fn twice() -> Shared {
    let text = "This id stands twice in the import.";
    Shared::conflict("auth.imported_twice", text).at("/id", "taken", text)
}
