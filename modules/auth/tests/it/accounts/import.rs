//! Taking over accounts from elsewhere.

use super::{address, caller};
use crate::store::count;
use crate::world::{OTHER_PASSWORD, PASSWORD, RESEND, World};
use contracts::auth::{AccountState, Auth as _, ImportAccount, ImportAccounts, ImportOutcome};
use contracts::permissions::{Permissions as _, SetStanding};
use contracts::{Concealed, Error, Kind, UserId};
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

/// A password as the reference implementation of Argon2 hashed it, from its own tests.
const OLD_PASSWORD: &str = "password";
const HASH: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

pub(crate) fn account(email: &str) -> ImportAccount {
    ImportAccount {
        user: UserId::new(),
        email: address(email),
        state: AccountState::Active,
        password_hash: None,
        password: None,
        created_at: None,
        display_name: None,
        locale: None,
    }
}

pub(crate) async fn import(world: &World, accounts: Vec<ImportAccount>) -> Vec<ImportOutcome> {
    let ask = ImportAccounts { dry_run: false, accounts };
    world.service.import_accounts(&caller(), ask).await.unwrap().outcomes
}

#[track_caller]
fn refused(outcome: &ImportOutcome) -> (Kind, Vec<(&str, &str)>) {
    let ImportOutcome::Refused(Error { kind, fields, .. }) = outcome else { panic!("{outcome:?}") };
    (*kind, fields.iter().map(|field| (field.pointer.as_str(), field.code.as_ref())).collect())
}

both_engines! {
    async fn people_keep_their_passwords(db: Database) {
        let world = World::new(db).await;
        let hashed = ImportAccount { password_hash: Some(Concealed::new(HASH)), ..account("mia@example.test") };
        let plain = ImportAccount { password: Some(Concealed::new(OTHER_PASSWORD)), ..account("max@example.test") };
        let outcomes = import(&world, vec![hashed, plain, account("bare@example.test")]).await;
        assert!(outcomes.iter().all(|it| matches!(it, ImportOutcome::Created(_))), "{outcomes:?}");
        assert_eq!(world.told().await, ["auth.account.registered"; 3], "nobody is written to");
        world.log_in("mia@example.test", OLD_PASSWORD).await.expect(200);
        world.log_in("max@example.test", OTHER_PASSWORD).await.expect(200);
        world.log_in("bare@example.test", PASSWORD).await.expect(401);
        let told = world.told().await;
        assert_eq!(told, ["auth.session.created", "auth.session.noticed"].repeat(2), "but of the first login");
        assert_eq!(world.trail().await.iter().filter(|it| it.action == "auth.account.imported").count(), 3);
    }

    async fn whoever_is_imported_and_cannot_log_in_is_no_administrator_to_count_on(db: Database) {
        let world = World::new(db).await;
        let root = world.member("root@example.test").await;
        world.permissions.add_administrator(root);
        let leave = SetStanding { user: root, active: false };
        for state in [AccountState::Disabled, AccountState::Unverified] {
            let off = ImportAccount { state, ..account(&format!("{}@example.test", state.as_str())) };
            world.permissions.add_administrator(off.user);
            assert!(matches!(import(&world, vec![off]).await[0], ImportOutcome::Created(_)));
            assert!(world.permissions.set_standing(&caller(), leave.clone()).await.is_err(), "{state:?}: nobody else could log in");
        }
        world.deliver().await;
        assert!(world.permissions.set_standing(&caller(), leave.clone()).await.is_err(), "the event says the same");
        let usable = account("mia@example.test");
        world.permissions.add_administrator(usable.user);
        import(&world, vec![usable]).await;
        assert!(world.permissions.set_standing(&caller(), leave).await.is_ok());
    }

    async fn each_row_is_refused_for_its_own_mistakes(db: Database) {
        let world = World::new(db).await;
        world.member("owner@example.test").await;
        let hash = |text: &str| Some(Concealed::new(text));
        let twice = account("twice@example.test");
        let again = ImportAccount { email: address("other@example.test"), ..twice.clone() };
        let rows = vec![
            account("owner@example.test"),
            ImportAccount { password_hash: hash("5f4dcc3b5aa765d61d8327deb882cf99"), ..account("a@example.test") },
            ImportAccount { password_hash: hash("$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAA"), ..account("b@example.test") },
            ImportAccount { password: hash("password1"), ..account("c@example.test") },
            ImportAccount { password: hash(PASSWORD), password_hash: hash(HASH), ..account("d@example.test") },
            ImportAccount { state: AccountState::Deleted, ..account("e@example.test") },
            ImportAccount { created_at: Some("2030-01-01T00:00:00Z".parse().unwrap()), ..account("f@example.test") },
            ImportAccount { display_name: Some(" ".to_owned()), locale: Some("?".to_owned()), ..account("g@example.test") },
            twice,
            again,
            account("good@example.test"),
        ];
        let outcomes = import(&world, rows).await;
        let told: Vec<_> = outcomes[..8].iter().map(|it| refused(it).1).collect();
        let expected: [&[(&str, &str)]; 8] = [
            &[("/email", "taken")], &[("/password_hash", "unknown_format")], &[("/password_hash", "unknown_format")],
            &[("/password", "common_password")], &[("/password", "not_allowed")], &[("/state", "not_allowed")],
            &[("/created_at", "in_future")], &[("/display_name", "empty"), ("/locale", "malformed_locale")],
        ];
        assert_eq!(told, expected);
        assert!(matches!(outcomes[8], ImportOutcome::Created(_)) && matches!(outcomes[10], ImportOutcome::Created(_)));
        assert_eq!(refused(&outcomes[9]), (Kind::Conflict, vec![("/id", "taken")]));
        assert_eq!(count(&world.db, "auth_accounts").await, 3);
    }

    async fn a_rehearsal_says_the_same_and_does_nothing(db: Database) {
        let world = World::new(db).await;
        world.member("owner@example.test").await;
        let rows = vec![
            account("owner@example.test"),
            ImportAccount { password: Some(Concealed::new(PASSWORD)), ..account("mia@example.test") },
            account("mia@example.test"),
        ];
        let words = |outcomes: &[ImportOutcome]| outcomes.iter().map(|it| matches!(it, ImportOutcome::Created(_))).collect::<Vec<_>>();
        let ask = ImportAccounts { dry_run: true, accounts: rows.clone() };
        let rehearsed = world.service.import_accounts(&caller(), ask).await.unwrap().outcomes;
        assert_eq!(count(&world.db, "auth_accounts").await, 1);
        assert_eq!(world.told().await.iter().filter(|it| it.contains("registered")).count(), 0);
        assert_eq!(words(&rehearsed), words(&import(&world, rows).await));
        assert_eq!(words(&rehearsed), [false, true, false]);
    }

    async fn an_unproven_one_proves_the_address_and_keeps_the_password(db: Database) {
        let world = World::new(db).await;
        let row = ImportAccount {
            state: AccountState::Unverified,
            password_hash: Some(Concealed::new(HASH)),
            ..account("mia@example.test")
        };
        import(&world, vec![row]).await;
        world.log_in("mia@example.test", OLD_PASSWORD).await.expect(401);
        world.post(RESEND, &json!({ "email": "mia@example.test" })).send().await.expect(202);
        let (_, request) = world.requested().await.pop().unwrap();
        world.verify(&world.token_of(request).await).await.expect(204);
        world.log_in("mia@example.test", OLD_PASSWORD).await.expect(200);
    }

    async fn a_thousand_at_once_and_no_more(db: Database) {
        let world = World::new(db).await;
        let rows: Vec<_> = (0..1_000).map(|n| ImportAccount {
            password_hash: Some(Concealed::new(HASH)),
            ..account(&format!("m{n}@example.test"))
        }).collect();
        let outcomes = import(&world, rows.clone()).await;
        assert_eq!(outcomes.iter().filter(|it| matches!(it, ImportOutcome::Created(_))).count(), 1_000);
        assert_eq!(count(&world.db, "auth_credentials").await, 1_000);
        let again = import(&world, rows.clone()).await;
        assert!(again.iter().all(|it| matches!(it, ImportOutcome::Present(_))));
        let too_many = [rows, vec![account("one@example.test")]].concat();
        let ask = ImportAccounts { dry_run: true, accounts: too_many };
        let error = world.service.import_accounts(&caller(), ask).await.unwrap_err();
        assert_eq!((error.kind, error.fields[0].pointer.as_str()), (Kind::Invalid, "/accounts"));
        let ask = contracts::auth::ListAccounts { after: None, limit: 1_001 };
        assert_eq!(world.service.list_accounts(&caller(), ask).await.unwrap_err().kind, Kind::Invalid);
    }

    async fn while_permissions_is_away_nothing_is_taken_over_and_no_row_is_at_fault(db: Database) {
        let world = World::new(db).await;
        let rows = vec![
            account("mia@example.test"),
            ImportAccount { state: AccountState::Unverified, ..account("max@example.test") },
        ];
        world.permissions.lose_answers(true);
        let ask = ImportAccounts { dry_run: false, accounts: rows.clone() };
        let error = world.service.import_accounts(&caller(), ask).await.unwrap_err();
        assert_eq!((error.kind, count(&world.db, "auth_accounts").await), (Kind::Unavailable, 0));
        world.permissions.lose_answers(false);
        let outcomes = import(&world, rows).await;
        assert!(outcomes.iter().all(|it| matches!(it, ImportOutcome::Created(_))), "{outcomes:?}");
    }

    async fn two_imports_at_once_are_one(db: Database) {
        let world = World::new(db).await;
        let rows: Vec<_> = (0..200).map(|n| account(&format!("m{n}@example.test"))).collect();
        let others: Vec<_> = (0..200).map(|n| account(&format!("m{n}@example.test"))).collect();
        let (one, two, three) =
            futures_util::join!(import(&world, rows.clone()), import(&world, rows), import(&world, others));
        let created = |outcomes: &[ImportOutcome]| outcomes.iter().filter(|it| matches!(it, ImportOutcome::Created(_))).count();
        assert_eq!(created(&one) + created(&two) + created(&three), 200);
        let same_ids = one.iter().chain(&two).filter(|it| matches!(it, ImportOutcome::Refused(_))).count();
        assert_eq!(same_ids % 400, 0, "the same ids never stand in each other's way");
        assert_eq!(count(&world.db, "auth_accounts").await, 200);
    }
}
