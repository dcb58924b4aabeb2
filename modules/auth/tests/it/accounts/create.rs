//! Making accounts for others.

use super::{address, caller, to_invite, to_make};
use crate::store::count;
use crate::world::{OTHER_PASSWORD, PASSWORD, RESEND, World};
use contracts::auth::Auth as _;
use contracts::auth::{AccountState, CreateAccount, MintLink};
use contracts::{Concealed, Kind};
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

both_engines! {
    async fn somebody_vouched_for_logs_in_at_once(db: Database) {
        let world = World::new(db).await;
        let made = world.create(to_make("mia@example.test")).await.unwrap();
        let told = ["auth.account.registered", "auth.account.verified", "auth.account.state_changed"];
        assert_eq!(world.told().await, told);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
        let entry = world.trail().await.into_iter().find(|it| it.action == "auth.account.created").unwrap();
        assert_eq!(entry.after, Some(json!({ "state": "active", "password": true, "invited": false })));
        assert_eq!(entry.subject_id, made.id.to_string());
    }

    async fn whoever_is_not_vouched_for_waits_for_the_proof(db: Database) {
        let world = World::new(db).await;
        let ask = CreateAccount { state: AccountState::Unverified, ..to_make("mia@example.test") };
        world.create(ask).await.unwrap();
        assert_eq!(world.told().await, ["auth.account.registered"], "nobody is written to");
        world.log_in("mia@example.test", PASSWORD).await.expect_problem(401, "auth.invalid_credentials");
        world.post(RESEND, &json!({ "email": "mia@example.test" })).send().await.expect(202);
        let (_, request) = world.requested().await[0];
        world.verify(&world.token_of(request).await).await.expect(204);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
    }

    async fn a_stranger_who_registers_a_made_account_gets_no_say_in_its_password(db: Database) {
        let world = World::new(db).await;
        let with_password = CreateAccount { state: AccountState::Unverified, ..to_make("mia@example.test") };
        world.create(with_password).await.unwrap();
        world.create(to_invite("max@example.test")).await.unwrap();
        world.events().await;
        world.register("mia@example.test", OTHER_PASSWORD).await.expect(202);
        let (_, request) = world.requested().await[0];
        world.verify(&world.token_of(request).await).await.expect(204);
        world.log_in("mia@example.test", OTHER_PASSWORD).await.expect(401);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
        world.register("max@example.test", OTHER_PASSWORD).await.expect(202);
        assert_eq!(world.invited().await.len(), 1, "the owner is invited again instead");
        assert_eq!(count(&world.db, "auth_one_time_requests WHERE password_hash IS NOT NULL").await, 0);
        world.log_in("max@example.test", OTHER_PASSWORD).await.expect(401);
    }

    async fn every_broken_rule_is_told_with_its_place(db: Database) {
        let world = World::new(db).await;
        let ask = CreateAccount {
            password: Some(Concealed::new("1234567")),
            state: AccountState::Disabled,
            invite: true,
            display_name: Some("\n".to_owned()),
            locale: Some("?".to_owned()),
            ..to_make("mia@example.test")
        };
        let error = world.create(ask).await.unwrap_err();
        let told: Vec<_> = error.fields.iter().map(|it| (it.pointer.as_str(), it.code.as_ref())).collect();
        let expected = [
            ("/password", "too_short"), ("/password", "common_password"), ("/invite", "not_allowed"),
            ("/display_name", "empty"), ("/locale", "malformed_locale"),
        ];
        assert_eq!((error.kind, told), (Kind::Invalid, expected.to_vec()));
        for wrong in [
            CreateAccount { state: AccountState::Deleted, ..to_make("mia@example.test") },
            CreateAccount { invite: true, ..to_make("mia@example.test") },
        ] {
            assert_eq!(world.create(wrong).await.unwrap_err().kind, Kind::Invalid);
        }
        assert_eq!(count(&world.db, "auth_accounts").await + count(&world.db, "platform_outbox").await, 0);
    }

    async fn fifty_at_once_are_one_account(db: Database) {
        let world = World::new(db).await;
        let same = to_make("mia@example.test");
        let replies = join_all((0..25).map(|_| world.create(same.clone()))).await;
        let made = world.account(same.user).await.unwrap();
        assert!(replies.into_iter().all(|reply| reply.unwrap() == made), "one id is one account");
        let others = join_all((0..25).map(|_| world.create(to_make("max@example.test")))).await;
        let codes: Vec<_> = others.iter().filter_map(|it| it.as_ref().err()).map(|it| it.code.as_ref()).collect();
        assert_eq!(codes, ["auth.address_taken"; 24]);
        assert_eq!(count(&world.db, "auth_accounts").await, 2);
        assert_eq!(count(&world.db, "auth_credentials").await, 2);
        let registered = world.told().await.iter().filter(|it| *it == "auth.account.registered").count();
        assert_eq!(registered, 2);
    }

    async fn an_account_without_a_password_lets_nobody_in(db: Database) {
        let world = World::new(db).await;
        let made = world.create(CreateAccount { password: None, ..to_make("mia@example.test") }).await.unwrap();
        assert_eq!(made.email, address("mia@example.test"));
        for password in ["", " ", PASSWORD] {
            world.log_in("mia@example.test", password).await.expect_problem(401, "auth.invalid_credentials");
        }
    }

    async fn an_invitation_says_whom_it_is_for_and_in_which_language(db: Database) {
        let world = World::new(db).await;
        let ask = CreateAccount { locale: Some("de-AT".to_owned()), ..to_invite("mia@example.test") };
        let made = world.create(ask).await.unwrap();
        assert_eq!((made.state, made.email_verified), (AccountState::Unverified, false));
        let events = world.events().await;
        let told: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(told, ["auth.account.registered", "auth.invitation.requested"]);
        assert_eq!(events[1].data["locale"], "de-AT");
        let request = events[1].data["request"].as_str().unwrap().parse().unwrap();
        let link = world.service.mint_link(&caller(), MintLink { request }).await.unwrap();
        assert!(link.url.contains("#token=dwi_"), "{}", link.url);
    }
}
