//! People who are forgotten for good: nothing of them is left, and nobody is forgotten too early.

use crate::accounts::import::{account, import};
use crate::accounts::{caller, to_address, to_make, to_state};
use crate::store::{count, sql, sweep};
use crate::world::{LOGINS, OTHER_PASSWORD, PASSWORD, REGISTRATIONS, World};
use contracts::auth::{
    AccountPurged, AccountState, Auth as _, CreateAccount, ImportAccount, ImportAccounts, ImportOutcome,
};
use contracts::permissions::{Permissions as _, SetStanding};
use contracts::{Caller, ExportPerson, UserId};
use platform::audit::{self, Entry, Outcome};
use platform::db::{Database, Db};
use platform::http::IdempotencyKey;
use platform::idempotency::{self, Answer};
use platform::settings::MasterKey;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use testkit::databases::TestDatabase;
use testkit::{both_engines, scan};
use tokio_util::sync::CancellationToken;

const DAY: u64 = 86_400;
const NAME: &str = "Miranda Unmistakable";
const BROWSER: &str = "Tyrannosaurus/65.0";
const ADDRESS: &str = "203.0.113.77";

/// Somebody lives here: registers, moves, logs in, fails, refreshes, loses a token.
async fn a_life(world: &World, email: &str) -> UserId {
    let ask = |path, body| world.post(path, &body).from(ADDRESS).header("user-agent", BROWSER).send();
    let body = json!({ "email": format!("first.{email}"), "password": PASSWORD, "display_name": NAME });
    ask(REGISTRATIONS, body).await.expect(202);
    let (user, request) = world.requested().await.pop().unwrap();
    let token = world.token_of(request).await;
    ask(crate::world::VERIFICATIONS, json!({ "token": token })).await.expect(204);
    world.change(to_address(user, email)).await.unwrap();
    let (_, request) = world.requested().await.pop().unwrap();
    let token = world.token_of(request).await;
    ask(crate::world::VERIFICATIONS, json!({ "token": token })).await.expect(204);
    ask(LOGINS, json!({ "email": email, "password": OTHER_PASSWORD })).await.expect(401);
    for _ in 0..2 {
        let tokens = ask(LOGINS, json!({ "email": email, "password": PASSWORD })).await.expect(200).tokens();
        ask(crate::world::TOKENS, json!({ "refresh_token": tokens.refresh })).await.expect(200);
        world.pass(60);
        ask(crate::world::TOKENS, json!({ "refresh_token": tokens.refresh })).await.expect(401);
        let again = ask(LOGINS, json!({ "email": email, "password": PASSWORD })).await.expect(200).tokens();
        let current = world.delete("/api/v1/auth/sessions/current").by(&again).from(ADDRESS);
        current.header("user-agent", BROWSER).send().await.expect(204);
    }
    user
}

/// An answer that was kept for a repeated request, and an entry that another module wrote.
async fn traces(world: &World, user: UserId, email: &str) {
    let key = IdempotencyKey { key: "k".to_owned(), scope: "s".to_owned(), fingerprint: [0; 32] };
    let answer = Answer { status: 201, location: None, body: json!({ "id": user, "email": email }) };
    let now = world.clock.now();
    let entry = Entry {
        action: "users.profile.changed",
        outcome: Outcome::Succeeded,
        subject_type: "user",
        subject_id: user.to_string(),
        before: Some(json!({ "display_name": NAME })),
        after: Some(json!({ "display_name": null })),
    };
    let work = async |tx: &mut platform::db::DbConn| {
        audit::record(tx, now, &caller(), entry).await?;
        idempotency::once(tx, now, Some(&key), async |_| Ok::<_, contracts::Error>(answer)).await
    };
    world.db.transaction(work).await.unwrap();
}

both_engines! {
    async fn nothing_of_a_purged_person_is_left_anywhere(db: TestDatabase) {
        let world = World::new(db.database()).await;
        let email = "miranda@example.test";
        let user = a_life(&world, email).await;
        let bystander = world.member("bystander@example.test").await;
        traces(&world, user, email).await;
        world.change(to_state(user, AccountState::Deleted)).await.unwrap();
        world.deliver().await;
        for trace in [email, "first.miranda", NAME, BROWSER, ADDRESS] {
            assert!(!scan::find(&world.db, trace).await.is_empty(), "{trace} was nowhere to begin with");
        }
        world.pass(30 * DAY);
        sweep(&world).await;
        world.deliver().await;
        world.forget().await;
        for trace in [email, "first.miranda", NAME, BROWSER, ADDRESS, "miranda"] {
            assert_eq!(scan::find(&world.db, trace).await, Vec::<String>::new(), "{trace}");
            assert!(!scan::is_in_files(&db, trace), "{trace} is in pages that nothing points at");
        }
        assert!(!scan::find(&world.db, "bystander@example.test").await.is_empty());
        assert!(world.account(bystander).await.is_some() && world.account(user).await.is_none());
        let trail = world.trail().await;
        let theirs: Vec<_> = trail.iter().filter(|it| it.subject_id == user.to_string()).collect();
        assert!(theirs.len() > 10, "what was done is still told");
        assert!(theirs.iter().any(|it| it.action == "auth.account.purged"));
        let data = world.service.export_person(&caller(), ExportPerson { user }).await.unwrap();
        assert_eq!((&data.sections["account"], &data.sections["sessions"]), (&json!(null), &json!([])));
    }

    async fn the_address_is_free_after_the_purge_and_not_before(db: Database) {
        let master_key = MasterKey::generate().unwrap();
        let world = World::with_key(db, master_key.clone(), |_| {}).await;
        let user = world.member("mia@example.test").await;
        world.change(to_state(user, AccountState::Deleted)).await.unwrap();
        world.pass(30 * DAY - 1);
        sweep(&world).await;
        assert!(world.account(user).await.is_some());
        assert_eq!(world.create(to_make("mia@example.test")).await.unwrap_err().code, "auth.address_taken");
        world.events().await;
        world.register("mia@example.test", OTHER_PASSWORD).await.expect(202);
        assert_eq!(world.told().await, ["auth.registration.repeated"]);
        world.pass(1);
        sweep(&world).await;
        assert_eq!(world.account(user).await, None);
        let events = world.events().await;
        let purged: AccountPurged = events.iter().find(|it| it.is::<AccountPurged>()).unwrap().read().unwrap();
        assert_eq!(purged, AccountPurged { user, address_key: master_key.address_key("mia@example.test") });
        assert_ne!(world.member("mia@example.test").await, user, "a new person, under an id of its own");
        sweep(&world).await;
        assert!(!world.told().await.contains(&"auth.account.purged".to_owned()));
    }

    async fn who_is_restored_in_time_stays(db: Database) {
        let world = World::new(db).await;
        let user = world.member("mia@example.test").await;
        world.change(to_state(user, AccountState::Deleted)).await.unwrap();
        world.pass(29 * DAY);
        world.change(to_state(user, AccountState::Active)).await.unwrap();
        world.pass(30 * DAY);
        sweep(&world).await;
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
        world.change(to_state(user, AccountState::Deleted)).await.unwrap();
        world.pass(29 * DAY);
        sweep(&world).await;
        assert!(world.account(user).await.is_some(), "the window begins anew");
    }

    async fn restoring_and_purging_at_once_is_one_of_the_two(db: Database) {
        let world = World::with(db, |settings| settings.deletion.window_days = 0).await;
        for n in 0..5 {
            let user = world.member(&format!("m{n}@example.test")).await;
            world.change(to_state(user, AccountState::Deleted)).await.unwrap();
            let (restored, ()) = futures_util::join!(world.change(to_state(user, AccountState::Active)), sweep(&world));
            assert_eq!(restored.is_ok(), world.account(user).await.is_some());
        }
        assert_eq!(count(&world.db, "auth_credentials").await, count(&world.db, "auth_accounts").await);
    }

    async fn a_window_of_nothing_purges_at_the_next_sweep(db: Database) {
        let world = World::with(db, |settings| settings.deletion.window_days = 0).await;
        for n in 0..3 {
            let user = world.member(&format!("m{n}@example.test")).await;
            world.change(to_state(user, AccountState::Deleted)).await.unwrap();
        }
        world.member("kept@example.test").await;
        sweep(&world).await;
        assert_eq!(count(&world.db, "auth_accounts").await, 1);
        assert_eq!(world.told().await.iter().filter(|it| *it == "auth.account.purged").count(), 3);
        let caller = Caller::module("test");
        assert_eq!(world.service.list_accounts(&caller, contracts::auth::ListAccounts { after: None, limit: 10 }).await.unwrap().items.len(), 1);
    }

    async fn nobody_becomes_somebody_who_was_purged(db: Database) {
        let world = World::with(db, |settings| settings.deletion.window_days = 0).await;
        let user = world.member("mia@example.test").await;
        world.change(to_state(user, AccountState::Deleted)).await.unwrap();
        sweep(&world).await;
        let told = |error: &contracts::Error| (error.code.to_string(), error.fields[0].pointer.clone());
        let expected = ("auth.id_purged".to_owned(), "/id".to_owned());
        let standing = SetStanding { user, active: true };
        world.permissions.set_standing(&caller(), standing).await.unwrap();
        let again = CreateAccount { user, state: AccountState::Disabled, ..to_make("evil@example.test") };
        assert_eq!(told(&world.create(again).await.unwrap_err()), expected);
        assert!(world.permissions.counts_on(user), "permissions was not asked about an id that nobody gets");
        for dry_run in [true, false] {
            let row = ImportAccount { user, ..account("evil@example.test") };
            let ask = ImportAccounts { dry_run, accounts: vec![row, account(&format!("{dry_run}@example.test"))] };
            let outcomes = world.service.import_accounts(&caller(), ask).await.unwrap().outcomes;
            let ImportOutcome::Refused(error) = &outcomes[0] else { panic!("{outcomes:?}") };
            assert_eq!(told(error), expected);
            assert!(matches!(outcomes[1], ImportOutcome::Created(_)), "the others are taken over");
        }
        assert_eq!(world.account(user).await, None);
    }

    async fn an_account_is_not_made_anew_while_it_is_purged(db: Database) {
        let world = World::with(db, |settings| settings.deletion.window_days = 0).await;
        for n in 0..10 {
            let email = format!("m{n}@example.test");
            let user = world.member(&email).await;
            world.change(to_state(user, AccountState::Deleted)).await.unwrap();
            let again = CreateAccount { user, ..to_make(&format!("evil{n}@example.test")) };
            let rows = vec![ImportAccount { user, ..account(&format!("other{n}@example.test")) }];
            let ask = ImportAccounts { dry_run: false, accounts: rows };
            let caller = caller();
            let _ = futures_util::join!(world.create(again), world.service.import_accounts(&caller, ask), sweep(&world));
            sweep(&world).await;
            assert_eq!(world.account(user).await, None);
        }
    }

    async fn a_purge_that_fails_half_way_did_nothing(db: Database) {
        let world = World::with(db, |settings| settings.deletion.window_days = 0).await;
        let user = world.member("mia@example.test").await;
        world.change(to_state(user, AccountState::Deleted)).await.unwrap();
        sql(&world.db, "ALTER TABLE platform_forgotten RENAME TO away").await;
        sweep(&world).await;
        sql(&world.db, "ALTER TABLE away RENAME TO platform_forgotten").await;
        assert_eq!(count(&world.db, "auth_credentials").await, 1);
        assert!(!world.told().await.contains(&"auth.account.purged".to_owned()));
        sweep(&world).await;
        assert_eq!(world.account(user).await, None);
    }

    async fn whoever_can_not_be_purged_stands_in_nobodys_way(db: Database) {
        let world = World::with(db, |settings| settings.deletion.window_days = 0).await;
        let rows = (0..150).map(|n| account(&format!("m{n}@example.test"))).collect();
        import(&world, rows).await;
        sql(&world.db, "UPDATE auth_accounts SET state = 'deleted', deleted_at = created_at").await;
        // Something clings to more of them than are looked for at once.
        let bytes = if world.db.dialect() == Db::Sqlite { "BLOB" } else { "uuid" };
        sql(&world.db, &format!("CREATE TABLE clinging (id {bytes} REFERENCES auth_accounts)")).await;
        sql(&world.db, "INSERT INTO clinging SELECT id FROM auth_accounts ORDER BY id LIMIT 120").await;
        let stop = CancellationToken::new();
        let purged = async {
            while count(&world.db, "auth_accounts").await > 120 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            stop.cancel();
        };
        let work = async { tokio::join!(Arc::clone(&world.service).work(stop.clone()), purged) };
        tokio::time::timeout(Duration::from_secs(30), work).await.expect("it goes on, and it ends");
        let gone = world.told().await.iter().filter(|it| *it == "auth.account.purged").count();
        assert_eq!(gone, 30);
        sql(&world.db, "DELETE FROM clinging").await;
        sweep(&world).await;
        assert!(count(&world.db, "auth_accounts").await <= 20, "they are tried again with the next sweep");
    }
}
