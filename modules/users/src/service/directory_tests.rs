//! Two who come at once, one who lists a person or makes a profile and one who erases the person: whoever is first,
//! nothing is left. Each is held open until the other has done its work or waits for the first.

use std::time::Duration;

use contracts::auth::AccountState;
use contracts::{Caller, EmailAddress, Time, UserId};
use futures_util::future::join;
use platform::db::{Database, DbConn};
use testkit::both_engines;
use tokio::sync::Notify;

use super::*;
use crate::service::find_profile::create;

/// How long one is held open for the other, who waits for it when all is well.
const HELD: Duration = Duration::from_millis(300);

fn purged_at() -> Time {
    Time::from_seconds(1_800_000_000)
}

/// As it was read before it was purged.
fn account() -> Account {
    let at = purged_at().minus(Duration::from_secs(1));
    Account {
        id: UserId::new(),
        email: EmailAddress::parse("mia@example.org").unwrap(),
        email_verified: true,
        state: AccountState::Deleted,
        revision: 7,
        created_at: at,
        updated_at: at,
    }
}

async fn list(tx: &mut DbConn, account: &Account) -> Result<(), Error> {
    note_account(tx, account).await.map(drop)
}

async fn make_profile(tx: &mut DbConn, account: &Account) -> Result<(), Error> {
    let now = purged_at();
    create(tx, now, &Caller::module("test"), account, Profile::empty(account.id, now)).await.map(drop)
}

async fn erase_him(tx: &mut DbConn, account: &Account) -> Result<(), Error> {
    erase(tx, account.id, purged_at()).await
}

/// Runs both, the second one from the moment when the first one has written and not committed.
macro_rules! at_once {
    ($db:expr, $account:expr, $first:ident, $second:ident) => {{
        let (db, account) = (&$db, &$account);
        let (written, done) = (&Notify::new(), &Notify::new());
        let first = db.transaction(async |tx| {
            $first(tx, account).await?;
            written.notify_one();
            let _: Result<_, _> = tokio::time::timeout(HELD, done.notified()).await;
            Ok::<_, Error>(())
        });
        let second = async {
            written.notified().await;
            let result = db.transaction(async |tx| $second(tx, account).await).await;
            done.notify_one();
            result
        };
        let (first, second) = join(first, second).await;
        first.unwrap();
        second.unwrap();
    }};
}

async fn is_gone(db: &Database, user: UserId) -> bool {
    let c = &mut *db.read().await.unwrap();
    let words = search::having(c, &[user], "mia").await.unwrap();
    let listed = directory::find(c, user).await.unwrap();
    words.is_empty() && listed.is_none() && profiles::find(c, user).await.unwrap().is_none()
}

both_engines! {
    async fn who_is_listed_while_he_is_erased_is_not_left_in_the_list(db: Database) {
        let account = account();
        at_once!(db, account, list, erase_him);
        assert!(is_gone(&db, account.id).await, "listed first");
        let account = super::account();
        at_once!(db, account, erase_him, list);
        assert!(is_gone(&db, account.id).await, "erased first");
    }

    async fn who_was_listed_before_and_is_listed_again_while_he_is_erased_is_gone(db: Database) {
        let account = account();
        db.transaction(async |tx| list(tx, &account).await).await.unwrap();
        let newer = Account { revision: 8, ..account.clone() };
        at_once!(db, newer, erase_him, list);
        assert!(is_gone(&db, account.id).await);
    }

    async fn a_profile_that_is_made_while_its_owner_is_erased_is_not_left(db: Database) {
        let account = account();
        at_once!(db, account, make_profile, erase_him);
        assert!(is_gone(&db, account.id).await, "made first");
        let account = super::account();
        at_once!(db, account, erase_him, make_profile);
        assert!(is_gone(&db, account.id).await, "erased first");
    }

    async fn an_account_that_is_made_again_under_its_former_id_is_somebody(db: Database) {
        let account = account();
        db.transaction(async |tx| erase_him(tx, &account).await).await.unwrap();
        let at = purged_at().plus(Duration::from_secs(1));
        let again = Account { revision: 1, updated_at: at, ..account };
        db.transaction(async |tx| {
            make_profile(tx, &again).await?;
            list(tx, &again).await
        }).await.unwrap();
        let c = &mut *db.read().await.unwrap();
        assert!(directory::find(c, again.id).await.unwrap().is_some());
        assert!(profiles::find(c, again.id).await.unwrap().is_some());
        db.transaction(async |tx| erase(tx, again.id, at).await).await.unwrap();
        db.transaction(async |tx| list(tx, &again).await).await.unwrap();
        assert!(is_gone(&db, again.id).await, "it can be purged again");
    }
}
