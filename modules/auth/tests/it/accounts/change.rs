//! Switching accounts off and on, deleting and restoring them, and giving them another address.

use super::{address, caller, to_address, to_invite, to_make, to_state};
use crate::store::{count, sql};
use crate::world::{OTHER_PASSWORD, PASSWORD, World};
use contracts::auth::{AccountState, Auth as _, ChangeAccount, CheckSession, VerificationRequested};
use contracts::permissions::{Permissions as _, SetStanding};
use contracts::{Kind, UserId};
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

use AccountState::{Active, Deleted, Disabled, Unverified};

/// Whether permissions would let the only other administrator go: then it counts on the rest.
async fn counts_without(world: &World, other: UserId) -> bool {
    let standing =
        async |active| world.permissions.set_standing(&caller(), SetStanding { user: other, active }).await;
    let asked = standing(false).await;
    standing(true).await.unwrap();
    asked.is_ok()
}

both_engines! {
    async fn a_disabled_account_is_out_at_once_everywhere(db: Database) {
        let world = World::new(db).await;
        for (state, reason) in [(Disabled, "account_disabled"), (Deleted, "account_deleted")] {
            let email = format!("{reason}@example.test");
            let user = world.member(&email).await;
            let first = world.log_in(&email, PASSWORD).await.expect(200).tokens();
            let second = world.log_in(&email, PASSWORD).await.expect(200).tokens();
            assert!(world.is_in(&first).await && world.is_in(&first).await && world.is_in(&second).await);
            world.events().await;
            let changed = world.change(to_state(user, state)).await.unwrap();
            assert_eq!(changed.state, state);
            for tokens in [&first, &second] {
                assert!(!world.is_in(tokens).await, "refused on the very next request");
                world.refresh(&tokens.refresh).await.expect_problem(401, "auth.invalid_refresh_token");
                let ask = CheckSession { user, session: tokens.session.parse().unwrap() };
                assert!(!world.service.check_session(&caller(), ask).await.unwrap().live);
            }
            world.log_in(&email, PASSWORD).await.expect_problem(401, "auth.invalid_credentials");
            let events = world.events().await;
            let told: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
            assert_eq!(told, ["auth.session.revoked", "auth.session.revoked", "auth.account.state_changed"]);
            assert!(events[..2].iter().all(|event| event.data["reason"] == reason));
            assert_eq!(events[2].data["state"], state.as_str());
            assert_eq!(world.account(user).await.unwrap().state, state);
            let entry = world.trail().await.into_iter().rfind(|it| it.action == "auth.account.changed").unwrap();
            assert_eq!(entry.before, Some(json!({ "state": "active" })));
            assert_eq!(entry.after, Some(json!({ "state": state.as_str() })));
            world.change(to_state(user, Active)).await.unwrap();
            assert!(!world.is_in(&first).await, "what was ended stays ended");
            world.log_in(&email, PASSWORD).await.expect(200);
        }
    }

    async fn a_login_or_refresh_at_the_same_moment_does_not_slip_through(db: Database) {
        let world = World::new(db).await;
        let user = world.member("mia@example.test").await;
        for _ in 0..20 {
            let mut inside = Vec::new();
            for _ in 0..5 {
                inside.push(world.log_in("mia@example.test", PASSWORD).await.expect(200).tokens());
            }
            let logins = join_all((0..5).map(|_| world.log_in("mia@example.test", PASSWORD)));
            let refreshes = join_all(inside.iter().map(|tokens| world.refresh(&tokens.refresh)));
            let change = world.change(to_state(user, Disabled));
            let (replies, refreshed, changed) = futures_util::join!(logins, refreshes, change);
            changed.unwrap();
            for reply in replies.into_iter().chain(refreshed).filter(|reply| reply.status == 200) {
                let tokens = reply.tokens();
                assert!(!world.is_in(&tokens).await);
                world.refresh(&tokens.refresh).await.expect(401);
            }
            assert_eq!(count(&world.db, "auth_sessions WHERE revoked_at IS NULL").await, 0);
            world.change(to_state(user, Active)).await.unwrap();
        }
    }

    async fn open_links_end_with_every_change(db: Database) {
        let world = World::new(db).await;
        let invited = world.create(to_invite("mia@example.test")).await.unwrap();
        let request = world.invited().await[0];
        let token = world.token_of(request).await;
        world.change(to_state(invited.id, Disabled)).await.unwrap();
        world.accept(&token, PASSWORD).await.expect_problem(410, "auth.spent_token");
        world.change(to_state(invited.id, Unverified)).await.unwrap();
        world.accept(&token, PASSWORD).await.expect_problem(410, "auth.spent_token");
        let fresh = world.invited().await;
        assert_eq!(fresh.len(), 1, "who may come in again is asked again");
        world.accept(&world.token_of(fresh[0]).await, PASSWORD).await.expect(204);
    }

    async fn the_last_administrator_can_not_be_switched_off_and_stays_in(db: Database) {
        let world = World::new(db).await;
        let user = world.member("root@example.test").await;
        let tokens = world.log_in("root@example.test", PASSWORD).await.expect(200).tokens();
        world.permissions.add_administrator(user);
        let asks = [to_state(user, Disabled), to_state(user, Deleted), to_address(user, "new@example.test")];
        for ask in asks {
            let error = world.change(ask).await.unwrap_err();
            assert_eq!((error.kind, error.code.as_ref()), (Kind::Conflict, "permissions.last_administrator"));
        }
        assert!(world.is_in(&tokens).await);
        assert_eq!(world.account(user).await.unwrap().revision, 2);
        let other = world.member("other@example.test").await;
        world.permissions.add_administrator(other);
        let both = futures_util::join!(
            world.change(to_state(user, Disabled)),
            world.change(to_state(other, Deleted)),
        );
        assert_eq!(usize::from(both.0.is_ok()) + usize::from(both.1.is_ok()), 1, "one of the two stays");
    }

    async fn a_change_that_fails_leaves_permissions_as_they_were(db: Database) {
        let world = World::new(db).await;
        let user = world.member("mia@example.test").await;
        let other = world.member("max@example.test").await;
        world.permissions.add_administrator(user);
        world.permissions.add_administrator(other);
        let race = ChangeAccount { state: Some(Disabled), ..to_address(user, "max@example.test") };
        assert_eq!(world.change(race).await.unwrap_err().code, "auth.address_taken");
        assert!(counts_without(&world, other).await);
        sql(&world.db, "ALTER TABLE platform_audit_events RENAME TO away").await;
        assert!(world.change(to_state(user, Disabled)).await.is_err());
        sql(&world.db, "ALTER TABLE away RENAME TO platform_audit_events").await;
        assert_eq!(world.account(user).await.unwrap().state, Active);
        assert!(counts_without(&world, other).await, "the account is on, so it counts");
        world.change(to_state(user, Disabled)).await.unwrap();
        assert!(!counts_without(&world, other).await);
        world.change(to_state(user, Active)).await.unwrap();
        assert!(counts_without(&world, other).await);
    }

    async fn a_lost_answer_of_permissions_is_no_word_for_ever(db: Database) {
        let world = World::new(db).await;
        let user = world.member("mia@example.test").await;
        world.events().await;
        world.permissions.lose_answers(true);
        assert_eq!(world.change(to_state(user, Disabled)).await.unwrap_err().kind, Kind::Unavailable);
        assert_eq!(world.account(user).await.unwrap().state, Active);
        assert!(!world.permissions.counts_on(user), "it did what it was asked");
        world.permissions.lose_answers(false);
        for _ in 0..200 {
            world.deliver().await;
            if world.permissions.counts_on(user) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("permissions never hears that the account can be used");
    }

    async fn a_new_address_is_shut_until_it_is_proven_and_the_old_one_is_told(db: Database) {
        let world = World::new(db).await;
        let user = world.member("old@example.test").await;
        let tokens = world.log_in("old@example.test", PASSWORD).await.expect(200).tokens();
        assert!(world.is_in(&tokens).await);
        world.events().await;
        let changed = world.change(to_address(user, "New@example.test")).await.unwrap();
        assert_eq!((changed.state, changed.email_verified), (Unverified, false));
        assert_eq!(world.account(user).await.unwrap().email, address("new@example.test"));
        assert!(!world.is_in(&tokens).await);
        world.refresh(&tokens.refresh).await.expect(401);
        for email in ["old@example.test", "new@example.test"] {
            world.log_in(email, PASSWORD).await.expect_problem(401, "auth.invalid_credentials");
        }
        let events = world.events().await;
        let told: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
        let expected = [
            "auth.session.revoked", "auth.account.email_changed", "auth.account.state_changed",
            "auth.verification.requested",
        ];
        assert_eq!(told, expected);
        assert_eq!(events[1].data["previous"], "old@example.test");
        let trail = format!("{:?}", world.trail().await);
        assert!(!trail.contains("@example.test"), "the trail holds no address");
        world.register("new@example.test", OTHER_PASSWORD).await.expect(202);
        let request = events[3].read::<VerificationRequested>().unwrap().request;
        world.verify(&world.token_of(request).await).await.expect(204);
        world.log_in("new@example.test", OTHER_PASSWORD).await.expect(401);
        world.log_in("new@example.test", PASSWORD).await.expect(200);
        assert_eq!(world.account(user).await.unwrap().state, Active);
        world.events().await;
        world.register("old@example.test", OTHER_PASSWORD).await.expect(202);
        assert_eq!(world.requested().await.len(), 1, "the old address is free");
    }

    async fn a_link_for_the_old_address_proves_nothing_about_the_new_one(db: Database) {
        let world = World::new(db).await;
        world.register("old@example.test", PASSWORD).await.expect(202);
        let (user, request) = world.requested().await[0];
        let token = world.token_of(request).await;
        world.change(to_address(user, "new@example.test")).await.unwrap();
        world.verify(&token).await.expect_problem(410, "auth.spent_token");
        assert_eq!(world.account(user).await.unwrap().state, Unverified);
        assert_eq!(world.invited().await.len(), 1, "whoever has no password yet is invited to choose one");
    }

    async fn restoring_a_disabled_account_switches_nobody_on(db: Database) {
        let world = World::new(db).await;
        let user = world.member("mia@example.test").await;
        for state in [Disabled, Deleted] {
            world.change(to_state(user, state)).await.unwrap();
        }
        world.events().await;
        let restored = world.change(to_state(user, Active)).await.unwrap();
        assert_eq!((restored.state, restored.email_verified), (Disabled, true));
        assert_eq!(world.account(user).await.unwrap().state, Disabled);
        assert_eq!(world.events().await[0].data["state"], "disabled");
        world.log_in("mia@example.test", PASSWORD).await.expect(401);
        assert!(!world.permissions.counts_on(user));
        world.change(to_state(user, Active)).await.unwrap();
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
        for state in [Deleted, Active] {
            assert_eq!(world.change(to_state(user, state)).await.unwrap().state, state);
        }
    }

    async fn a_registration_replaces_no_password_of_an_account_that_has_to_prove_itself_again(db: Database) {
        let world = World::new(db).await;
        let user = world.member("mia@example.test").await;
        world.change(to_state(user, Unverified)).await.unwrap();
        world.events().await;
        world.register("mia@example.test", OTHER_PASSWORD).await.expect(202);
        let (_, request) = world.requested().await.pop().unwrap();
        world.verify(&world.token_of(request).await).await.expect(204);
        world.log_in("mia@example.test", OTHER_PASSWORD).await.expect(401);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
    }

    async fn a_lost_update_is_refused_and_nobody_waits(db: Database) {
        let world = World::new(db).await;
        let made = world.create(to_make("mia@example.test")).await.unwrap();
        let ask = |n: i32| ChangeAccount { revision: Some(made.revision), ..to_address(made.id, &format!("m{n}@example.test")) };
        let replies = join_all((0..20).map(|n| world.change(ask(n)))).await;
        let lost = replies.iter().filter_map(|it| it.as_ref().err());
        let codes: Vec<_> = lost.map(|it| it.code.as_ref()).collect();
        assert_eq!(codes, ["auth.account_changed"; 19]);
        assert_eq!(world.account(made.id).await.unwrap().revision, made.revision + 1);
        let back = join_all((0..3).map(|n| world.change(to_address(made.id, &format!("n{n}@example.test"))))).await;
        assert!(back.iter().all(Result::is_ok), "who names no revision takes what is there: {back:?}");
    }

    async fn of_two_who_want_one_address_one_gets_it(db: Database) {
        let world = World::new(db).await;
        let mut people = Vec::new();
        for n in 0..8 {
            people.push(world.create(to_make(&format!("m{n}@example.test"))).await.unwrap().id);
        }
        let replies = join_all(people.iter().map(|user| world.change(to_address(*user, "one@example.test")))).await;
        assert_eq!(replies.iter().filter(|it| it.is_ok()).count(), 1);
        let codes: Vec<_> = replies.iter().filter_map(|it| it.as_ref().err()).map(|it| it.code.as_ref()).collect();
        assert_eq!(codes, ["auth.address_taken"; 7]);
        assert_eq!(count(&world.db, "auth_accounts WHERE state = 'active'").await, 7);
    }

    async fn what_is_remembered_of_an_account_is_what_is_stored(db: Database) {
        let world = World::new(db).await;
        world.register("mia@example.test", PASSWORD).await.expect(202);
        let (user, request) = world.requested().await[0];
        assert_eq!(world.account(user).await.unwrap().state, Unverified);
        world.verify(&world.token_of(request).await).await.expect(204);
        assert_eq!(world.account(user).await.unwrap().state, Active);
        for state in [Disabled, Active, Deleted, Active, Unverified, Active] {
            world.change(to_state(user, state)).await.unwrap();
            assert_eq!(world.account(user).await.unwrap().state, state);
        }
        let invited = to_invite("max@example.test");
        assert_eq!(world.account(invited.user).await, None);
        world.create(invited.clone()).await.unwrap();
        assert_eq!(world.account(invited.user).await.unwrap().state, Unverified);
        let request = world.invited().await.pop().unwrap();
        world.accept(&world.token_of(request).await, PASSWORD).await.expect(204);
        assert_eq!(world.account(invited.user).await.unwrap().state, Active);
        let root = to_invite("root@example.test");
        world.create(root.clone()).await.unwrap();
        assert_eq!(world.account(root.user).await.unwrap().state, Unverified);
        let body = json!({ "token": world.setup_token().await, "email": "root@example.test", "password": PASSWORD });
        world.post(crate::world::SETUP, &body).send().await.expect(201);
        assert_eq!(world.account(root.user).await.unwrap().state, Active);
    }
}
