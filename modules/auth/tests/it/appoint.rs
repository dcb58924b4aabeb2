//! Administrators that an operator makes by command: whoever had a hand in the account before gains nothing by it.

use crate::accounts::{caller, to_address, to_make, to_state};
use crate::store::count;
use crate::world::{OTHER_PASSWORD, PASSWORD, RESEND, SETUP, Tokens, World};
use auth::{Appointed, Appointment, FirstAccess};
use contracts::auth::{AccountState, CreateAccount, PasswordChanged};
use contracts::{Error, UserId};
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

const BOSS: &str = "boss@corp.example.test";
const THEIRS: &str = "what the help desk typed in";

async fn appoint(world: &World, email: &str, access: FirstAccess) -> Result<Appointed, Error> {
    world.service.appoint_administrator(&caller(), email, access).await
}

fn with_password() -> FirstAccess {
    FirstAccess::Password(PASSWORD.to_owned())
}

/// The ways in which a help desk may have a hand in the boss's account: in use or not, made or moved there; with the
/// tokens of its login, where there is one.
async fn claimed(world: &World, boss: &str, how: usize) -> (UserId, Option<Tokens>) {
    let typed = |email: &str, state| CreateAccount {
        password: Some(contracts::Concealed::new(THEIRS)),
        state,
        ..to_make(email)
    };
    let log_in = async |email: &str| world.log_in(email, THEIRS).await.expect(200).tokens();
    match how {
        0 => {
            let user = world.create(typed(boss, AccountState::Active)).await.unwrap().id;
            (user, Some(log_in(boss).await))
        }
        1 => (world.create(typed(boss, AccountState::Unverified)).await.unwrap().id, None),
        2 => {
            let user = world.create(typed(&format!("desk.{boss}"), AccountState::Active)).await.unwrap().id;
            let tokens = log_in(&format!("desk.{boss}")).await;
            world.change(to_address(user, boss)).await.unwrap();
            (user, Some(tokens))
        }
        _ => {
            world.register(boss, THEIRS).await.expect(202);
            (world.requested().await.pop().unwrap().0, None)
        }
    }
}

/// Neither the password, nor a login, nor another message of the help desk's opens anything.
async fn is_shut_out(world: &World, boss: &str, tokens: Option<&Tokens>) {
    world.log_in(boss, THEIRS).await.expect_problem(401, "auth.invalid_credentials");
    if let Some(tokens) = tokens {
        assert!(!world.is_in(tokens).await, "the session is over");
        world.refresh(&tokens.refresh).await.expect_problem(401, "auth.invalid_refresh_token");
    }
}

both_engines! {
    async fn who_made_the_account_of_an_invited_administrator_is_shut_out(db: Database) {
        let world = World::new(db).await;
        for how in 0..4 {
            let boss = &format!("boss{how}@corp.example.test");
            let (user, tokens) = claimed(&world, boss, how).await;
            let earlier = world.requested().await.pop();
            let earlier = match earlier {
                Some((_, request)) => Some(world.token_of(request).await),
                None => None,
            };
            world.events().await;
            let appointed = appoint(&world, boss, FirstAccess::Invitation).await.unwrap();
            assert_eq!(appointed, Appointed { user, how: Appointment::TakenOver }, "{how}");
            is_shut_out(&world, boss, tokens.as_ref()).await;
            if let Some(token) = earlier {
                world.verify(&token).await.expect(410);
            }
            let invitation = world.invited().await.pop().unwrap();
            assert!(!world.permissions.counts_on(user), "nobody counts on who was only invited");
            let invitation = world.token_of(invitation).await;
            world.post(RESEND, &json!({ "email": boss })).send().await.expect(202);
            assert_eq!(world.requested().await, [], "proving the address alone would make the old password good");
            world.accept(&invitation, PASSWORD).await.expect(204);
            is_shut_out(&world, boss, tokens.as_ref()).await;
            world.log_in(boss, PASSWORD).await.expect(200);
            assert!(world.permissions.counts_on(user) && world.account(user).await.unwrap().email_verified);
        }
    }

    async fn who_made_the_account_of_an_administrator_with_a_password_is_shut_out(db: Database) {
        let world = World::new(db).await;
        for how in 0..4 {
            let boss = &format!("boss{how}@corp.example.test");
            let (user, tokens) = claimed(&world, boss, how).await;
            let theirs = world.requested().await.pop();
            world.ask_reset(boss).await.expect(202);
            let reset = world.facts::<contracts::auth::PasswordResetRequested>().await.pop();
            let appointed = appoint(&world, boss, with_password()).await.unwrap();
            assert_eq!(appointed, Appointed { user, how: Appointment::TakenOver }, "{how}");
            is_shut_out(&world, boss, tokens.as_ref()).await;
            world.log_in(boss, PASSWORD).await.expect(200);
            let open = "auth_one_time_requests WHERE used_at IS NULL AND kind <> 'session_report'";
            assert_eq!(count(&world.db, open).await, 0, "{:?} {:?}", theirs.is_some(), reset.is_some());
            assert!(world.permissions.counts_on(user) && world.account(user).await.unwrap().email_verified);
            assert_eq!(count(&world.db, "auth_accounts WHERE self_registered = FALSE").await, how as i64 + 1);
        }
    }

    async fn a_take_over_is_told_to_the_owner_and_in_the_trail(db: Database) {
        let world = World::new(db).await;
        let (user, _) = claimed(&world, BOSS, 0).await;
        world.events().await;
        appoint(&world, BOSS, with_password()).await.unwrap();
        let told = world.events().await;
        let types: Vec<_> = told.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(types, ["auth.session.revoked", "auth.password.changed", "auth.administrator.appointed"]);
        assert_eq!(told[1].read::<PasswordChanged>().unwrap().user, user);
        let trail = world.trail().await;
        let entry = trail.iter().find(|it| it.action == "auth.account.taken_over").unwrap();
        assert_eq!(entry.subject_id, user.to_string());
        assert_eq!(entry.before, Some(json!({ "state": "active", "password": true })));
        assert_eq!(entry.after, Some(json!({ "state": "active", "password": true, "ended_sessions": 1 })));
        assert_eq!(trail.iter().filter(|it| it.action == "auth.administrator.appointed").count(), 1);
        assert_eq!(count(&world.db, "auth_devices").await, 0, "no device is an old acquaintance");
        appoint(&world, BOSS, FirstAccess::Invitation).await.unwrap();
        let types = world.told().await;
        assert_eq!(types, [
            "auth.account.state_changed", "auth.password.changed", "auth.invitation.requested",
            "auth.administrator.appointed",
        ]);
    }

    async fn an_administrator_who_is_appointed_again_keeps_everything(db: Database) {
        let world = World::new(db).await;
        let appointed = appoint(&world, BOSS, with_password()).await.unwrap();
        assert_eq!(appointed.how, Appointment::Made);
        world.permissions.allow(appointed.user, "*:*");
        let tokens = world.log_in(BOSS, PASSWORD).await.expect(200).tokens();
        let before = (world.account(appointed.user).await, world.trail().await.len());
        world.events().await;
        for access in [FirstAccess::Password(OTHER_PASSWORD.to_owned()), FirstAccess::Invitation] {
            let again = appoint(&world, BOSS, access).await.unwrap();
            assert_eq!(again, Appointed { user: appointed.user, how: Appointment::Already });
        }
        assert_eq!((world.account(appointed.user).await, world.trail().await.len()), before);
        assert_eq!(world.told().await, Vec::<String>::new());
        assert!(world.is_in(&tokens).await);
        world.log_in(BOSS, OTHER_PASSWORD).await.expect(401);
        world.log_in(BOSS, PASSWORD).await.expect(200);
        assert_eq!(world.permissions.assigned().len(), 1);
    }

    async fn an_account_that_is_switched_off_is_left_alone(db: Database) {
        let world = World::new(db).await;
        let (user, _) = claimed(&world, BOSS, 0).await;
        for state in [AccountState::Disabled, AccountState::Deleted] {
            world.change(to_state(user, state)).await.unwrap();
            let refused = appoint(&world, BOSS, with_password()).await.unwrap_err();
            assert_eq!(refused.code, "auth.account_not_usable");
        }
        assert_eq!(world.permissions.assigned().len(), 0);
    }

    async fn a_take_over_that_permissions_does_not_answer_leaves_the_account_as_it_was(db: Database) {
        let world = World::new(db).await;
        let (user, tokens) = claimed(&world, BOSS, 0).await;
        // Nothing else is on its way that would tell permissions what is true.
        world.events().await;
        world.permissions.lose_answers(true);
        appoint(&world, BOSS, FirstAccess::Invitation).await.unwrap_err();
        world.permissions.lose_answers(false);
        assert!(world.is_in(&tokens.unwrap()).await);
        for _ in 0..100 {
            world.deliver().await;
            if world.permissions.counts_on(user) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("permissions takes the account for switched off");
    }

    async fn the_printed_link_shuts_out_who_made_the_account(db: Database) {
        let world = World::new(db).await;
        let (user, _) = claimed(&world, BOSS, 1).await;
        let ask = json!({ "token": world.setup_token().await, "email": BOSS, "password": PASSWORD });
        let made = world.post(SETUP, &ask).send().await.expect(201);
        assert_eq!(made.word("id"), user.to_string());
        is_shut_out(&world, BOSS, None).await;
        world.log_in(BOSS, PASSWORD).await.expect(200);
        assert_eq!(count(&world.db, "auth_accounts WHERE self_registered = FALSE").await, 1);
        assert!(world.trail().await.iter().any(|it| it.action == "auth.account.taken_over"));
    }
}
