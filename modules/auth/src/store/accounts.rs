//! The rows of accounts and of their passwords.

use contracts::auth::AccountState;
use contracts::{EmailAddress, Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn, Result};

use crate::model::{Account, PasswordHash, StoredEmail};
use crate::schema::{auth_accounts as accounts, auth_credentials as credentials};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = accounts, check_for_backend(Db), treat_none_as_default_value = false)]
struct AccountRow {
    id: UserId,
    email: String,
    state: AccountState,
    verified_at: Option<Time>,
    credential_version: i64,
    revision: i64,
    self_registered: bool,
    deleted_at: Option<Time>,
    disabled_when_deleted: bool,
    created_at: Time,
    updated_at: Time,
}

impl From<Account> for AccountRow {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            email: account.email.0,
            state: account.state,
            verified_at: account.verified_at,
            credential_version: account.credential_version,
            revision: account.revision,
            self_registered: account.self_registered,
            deleted_at: account.deleted_at,
            disabled_when_deleted: account.disabled_when_deleted,
            created_at: account.created_at,
            updated_at: account.updated_at,
        }
    }
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        Self {
            id: row.id,
            email: StoredEmail(row.email),
            state: row.state,
            verified_at: row.verified_at,
            credential_version: row.credential_version,
            revision: row.revision,
            self_registered: row.self_registered,
            deleted_at: row.deleted_at,
            disabled_when_deleted: row.disabled_when_deleted,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Adds an account; false when its address or its id has one already.
pub(crate) async fn insert(tx: &mut DbConn, account: Account) -> Result<bool> {
    let row = AccountRow::from(account);
    let added = diesel::insert_into(accounts::table).values(row).on_conflict_do_nothing().execute(tx).await?;
    Ok(added == 1)
}

/// Adds accounts in one statement, and tells which: not those whose address or id has one already.
pub(crate) async fn insert_all(tx: &mut DbConn, all: Vec<Account>) -> Result<Vec<UserId>> {
    let rows: Vec<AccountRow> = all.into_iter().map(AccountRow::from).collect();
    let insert = diesel::insert_into(accounts::table).values(rows).on_conflict_do_nothing();
    Ok(insert.returning(accounts::id).get_results(tx).await?)
}

/// One account.
pub(crate) async fn find(c: &mut DbConn, id: UserId) -> Result<Option<Account>> {
    let row = accounts::table.find(id).select(AccountRow::as_select()).first(c).await.optional()?;
    Ok(row.map(Account::from))
}

/// Those of these accounts that are there.
pub(crate) async fn find_all(c: &mut DbConn, ids: Vec<UserId>) -> Result<Vec<Account>> {
    let query = accounts::table.filter(accounts::id.eq_any(ids)).select(AccountRow::as_select());
    let rows: Vec<AccountRow> = query.load(c).await?;
    Ok(rows.into_iter().map(Account::from).collect())
}

/// Those of these addresses that have an account.
pub(crate) async fn taken(c: &mut DbConn, emails: Vec<String>) -> Result<Vec<String>> {
    Ok(accounts::table.filter(accounts::email.eq_any(emails)).select(accounts::email).load(c).await?)
}

/// The next accounts in the order of their ids.
pub(crate) async fn page(c: &mut DbConn, after: Option<UserId>, limit: i64) -> Result<Vec<Account>> {
    let mut query = accounts::table.select(AccountRow::as_select()).into_boxed();
    if let Some(after) = after {
        query = query.filter(accounts::id.gt(after));
    }
    let rows: Vec<AccountRow> = query.order(accounts::id.asc()).limit(limit).load(c).await?;
    Ok(rows.into_iter().map(Account::from).collect())
}

/// When somebody last logged in to the account.
pub(crate) async fn last_login(c: &mut DbConn, id: UserId) -> Result<Option<Time>> {
    let found: Option<Option<Time>> =
        accounts::table.find(id).select(accounts::last_login_at).first(c).await.optional()?;
    Ok(found.flatten())
}

/// Gives the account another address and another state; none when it is not in this revision any more. Locks the
/// account.
///
/// # Errors
/// `Duplicate` when the address has another account.
pub(crate) async fn update(
    tx: &mut DbConn,
    account: &Account,
    revision: i64,
    now: Time,
) -> Result<Option<Account>> {
    let unchanged = accounts::table.find(account.id).filter(accounts::revision.eq(revision));
    let row = diesel::update(unchanged)
        .set((
            accounts::email.eq(&account.email.0),
            accounts::state.eq(account.state),
            accounts::verified_at.eq(account.verified_at),
            accounts::self_registered.eq(account.self_registered),
            accounts::deleted_at.eq(account.deleted_at),
            accounts::disabled_when_deleted.eq(account.disabled_when_deleted),
            accounts::revision.eq(accounts::revision + 1),
            accounts::updated_at.eq(now),
        ))
        .returning(AccountRow::as_returning())
        .get_result(tx)
        .await
        .optional()?;
    Ok(row.map(Account::from))
}

/// The account with this address.
pub(crate) async fn find_by_email(c: &mut DbConn, email: &EmailAddress) -> Result<Option<Account>> {
    let query = accounts::table.filter(accounts::email.eq(email.as_str())).select(AccountRow::as_select());
    Ok(query.first(c).await.optional()?.map(Account::from))
}

/// Whose this address is.
pub(crate) async fn id_of(c: &mut DbConn, email: &str) -> Result<Option<UserId>> {
    Ok(accounts::table.filter(accounts::email.eq(email)).select(accounts::id).first(c).await.optional()?)
}

/// The account with this address and its password, when it has one.
pub(crate) async fn find_with_password(
    c: &mut DbConn,
    email: &EmailAddress,
) -> Result<Option<(Account, Option<PasswordHash>)>> {
    let query = accounts::table
        .left_join(credentials::table)
        .filter(accounts::email.eq(email.as_str()))
        .select((AccountRow::as_select(), credentials::password_hash.nullable()));
    let found: Option<(AccountRow, Option<String>)> = query.first(c).await.optional()?;
    Ok(found.map(|(row, hash)| (row.into(), hash.map(PasswordHash))))
}

/// One account and its password, when it has one.
pub(crate) async fn get_with_password(
    c: &mut DbConn,
    id: UserId,
) -> Result<Option<(Account, Option<PasswordHash>)>> {
    let query = accounts::table
        .left_join(credentials::table)
        .filter(accounts::id.eq(id))
        .select((AccountRow::as_select(), credentials::password_hash.nullable()));
    let found: Option<(AccountRow, Option<String>)> = query.first(c).await.optional()?;
    Ok(found.map(|(row, hash)| (row.into(), hash.map(PasswordHash))))
}

/// One account, locked: nobody changes it until the end of the transaction.
pub(crate) async fn lock(tx: &mut DbConn, id: UserId) -> Result<Option<Account>> {
    let row = diesel::update(accounts::table.find(id))
        .set(accounts::updated_at.eq(accounts::updated_at))
        .returning(AccountRow::as_returning())
        .get_result(tx)
        .await
        .optional()?;
    Ok(row.map(Account::from))
}

/// Whether nobody has logged in to the account so far.
pub(crate) async fn is_untouched(c: &mut DbConn, id: UserId) -> Result<bool> {
    let query = accounts::table.find(id).filter(accounts::last_login_at.is_null()).select(accounts::id);
    Ok(query.first::<UserId>(c).await.optional()?.is_some())
}

/// Makes an unverified account an active one whose password has just changed; none when it is not unverified. Locks
/// the account.
pub(crate) async fn activate(tx: &mut DbConn, id: UserId, now: Time) -> Result<Option<Account>> {
    let unverified = accounts::table.find(id).filter(accounts::state.eq(AccountState::Unverified));
    let row = diesel::update(unverified)
        .set((
            accounts::state.eq(AccountState::Active),
            accounts::verified_at.eq(Some(now)),
            accounts::credential_version.eq(accounts::credential_version + 1),
            accounts::revision.eq(accounts::revision + 1),
            accounts::updated_at.eq(now),
        ))
        .returning(AccountRow::as_returning())
        .get_result(tx)
        .await
        .optional()?;
    Ok(row.map(Account::from))
}

/// Gives the account another state as if it were new, and makes what proved its owner so far worth nothing; false when it is
/// not in the revision any more in which it was looked at. Locks the account.
pub(crate) async fn take_over(
    tx: &mut DbConn,
    account: &Account,
    state: AccountState,
    now: Time,
) -> Result<bool> {
    let unchanged = accounts::table.find(account.id).filter(accounts::revision.eq(account.revision));
    let taken = diesel::update(unchanged)
        .set((
            accounts::state.eq(state),
            accounts::verified_at.eq((state == AccountState::Active).then_some(now)),
            accounts::self_registered.eq(false),
            accounts::credential_version.eq(accounts::credential_version + 1),
            accounts::revision.eq(accounts::revision + 1),
            accounts::updated_at.eq(now),
        ))
        .execute(tx)
        .await?;
    Ok(taken == 1)
}

/// Notes that an active account that has no password gets its first one; none when it is not active. Locks the
/// account.
pub(crate) async fn note_first_password(tx: &mut DbConn, id: UserId, now: Time) -> Result<Option<Account>> {
    let active = accounts::table.find(id).filter(accounts::state.eq(AccountState::Active));
    let row = diesel::update(active)
        .set((
            accounts::credential_version.eq(accounts::credential_version + 1),
            accounts::revision.eq(accounts::revision + 1),
            accounts::updated_at.eq(now),
        ))
        .returning(AccountRow::as_returning())
        .get_result(tx)
        .await
        .optional()?;
    Ok(row.map(Account::from))
}

/// Notes a login, when the account is active and what proves its owner is still what was looked at; false otherwise.
/// Locks the account, so that disabling it and changing its password come before or after, never in between.
pub(crate) async fn note_login(
    tx: &mut DbConn,
    id: UserId,
    credential_version: i64,
    now: Time,
) -> Result<bool> {
    let unchanged = accounts::table
        .find(id)
        .filter(accounts::state.eq(AccountState::Active))
        .filter(accounts::credential_version.eq(credential_version));
    let noted = diesel::update(unchanged).set(accounts::last_login_at.eq(Some(now))).execute(tx).await?;
    Ok(noted == 1)
}

/// Notes that what proves the owner of an active account is about to change; false when it has changed since it was
/// looked at, or the account is not active. Locks the account.
pub(crate) async fn renew(tx: &mut DbConn, id: UserId, credential_version: i64, now: Time) -> Result<bool> {
    let unchanged = accounts::table
        .find(id)
        .filter(accounts::state.eq(AccountState::Active))
        .filter(accounts::credential_version.eq(credential_version));
    let renewed = diesel::update(unchanged)
        .set((
            accounts::credential_version.eq(accounts::credential_version + 1),
            accounts::updated_at.eq(now),
        ))
        .execute(tx)
        .await?;
    Ok(renewed == 1)
}

/// Takes the password from the account.
pub(crate) async fn forget_password(tx: &mut DbConn, id: UserId) -> Result<()> {
    diesel::delete(credentials::table.find(id)).execute(tx).await?;
    Ok(())
}

/// Keeps another hash of the same password; false when the password has changed since.
pub(crate) async fn replace_hash(
    tx: &mut DbConn,
    id: UserId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<bool> {
    let unchanged = credentials::table.find(id).filter(credentials::password_hash.eq(&old.0));
    let replaced = diesel::update(unchanged).set(credentials::password_hash.eq(&new.0)).execute(tx).await?;
    Ok(replaced == 1)
}

/// Gives the account this password, instead of the one it may have.
pub(crate) async fn set_password(tx: &mut DbConn, id: UserId, hash: &PasswordHash, now: Time) -> Result<()> {
    let values = (
        credentials::account_id.eq(id),
        credentials::password_hash.eq(&hash.0),
        credentials::updated_at.eq(now),
    );
    diesel::insert_into(credentials::table)
        .values(values)
        .on_conflict(credentials::account_id)
        .do_update()
        .set((credentials::password_hash.eq(&hash.0), credentials::updated_at.eq(now)))
        .execute(tx)
        .await?;
    Ok(())
}

/// Gives accounts that have no password theirs.
pub(crate) async fn insert_passwords(
    tx: &mut DbConn,
    passwords: Vec<(UserId, PasswordHash)>,
    now: Time,
) -> Result<()> {
    let row = |(id, hash): (UserId, PasswordHash)| {
        (
            credentials::account_id.eq(id),
            credentials::password_hash.eq(hash.0),
            credentials::updated_at.eq(now),
        )
    };
    let rows: Vec<_> = passwords.into_iter().map(row).collect();
    diesel::insert_into(credentials::table).values(rows).execute(tx).await?;
    Ok(())
}

/// Whether the account has a password.
pub(crate) async fn has_password(c: &mut DbConn, id: UserId) -> Result<bool> {
    let found: Option<UserId> =
        credentials::table.find(id).select(credentials::account_id).first(c).await.optional()?;
    Ok(found.is_some())
}

/// The next accounts that were deleted at that moment or before, with when that was; the longest ago first.
pub(crate) async fn deleted_until(
    c: &mut DbConn,
    before: Time,
    after: Option<(Time, UserId)>,
    limit: i64,
) -> Result<Vec<(Time, UserId)>> {
    let due = accounts::deleted_at.assume_not_null();
    let mut query =
        accounts::table.filter(accounts::deleted_at.le(before)).select((due, accounts::id)).into_boxed();
    if let Some((at, id)) = after {
        let later = accounts::deleted_at.gt(at);
        query = query.filter(later.or(accounts::deleted_at.eq(at).and(accounts::id.gt(id))));
    }
    Ok(query.order((accounts::deleted_at.asc(), accounts::id.asc())).limit(limit).load(c).await?)
}

/// Removes an account that was deleted at that moment or before, with everything that belongs to it, and tells its
/// address; none when it was not. Locks the account, so that restoring it comes before or after.
pub(crate) async fn purge(tx: &mut DbConn, id: UserId, before: Time) -> Result<Option<StoredEmail>> {
    let due = accounts::table.find(id).filter(accounts::deleted_at.le(before));
    let email: Option<String> =
        diesel::delete(due).returning(accounts::email).get_result(tx).await.optional()?;
    Ok(email.map(StoredEmail))
}
