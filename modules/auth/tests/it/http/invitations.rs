//! Accepting invitations, honestly and not.

use crate::accounts::{caller, to_invite, to_make, to_state};
use crate::store::count;
use crate::world::{INVITATIONS, OTHER_PASSWORD, PASSWORD, RESEND, World};
use contracts::auth::{AccountState, Auth as _, CreateAccount, MintLink};
use contracts::permissions::{Permissions as _, SetStanding};
use contracts::{OneTimeRequestId, UserId};
use futures_util::future::join_all;
use platform::db::Database;
use platform::settings::MasterKey;
use serde_json::json;
use testkit::both_engines;

/// Somebody is invited: the id and the link's token.
async fn invited(world: &World, email: &str) -> (UserId, String) {
    let made = world.create(to_invite(email)).await.unwrap();
    let request = world.invited().await.pop().unwrap();
    (made.id, world.token_of(request).await)
}

async fn is_spent(world: &World, request: OneTimeRequestId) -> bool {
    let minted = world.service.mint_link(&caller(), MintLink { request }).await;
    minted.is_err_and(|error| error.kind == contracts::Kind::Gone)
}

both_engines! {
    async fn an_invitation_proves_the_address_and_sets_the_password_once(db: Database) {
        let world = World::new(db).await;
        let (user, token) = invited(&world, "mia@example.test").await;
        world.log_in("mia@example.test", PASSWORD).await.expect(401);
        let reply = world.accept(&token, PASSWORD).await.expect(204);
        assert_eq!(reply.text, "");
        assert_eq!(world.told().await, ["auth.account.verified", "auth.account.state_changed"]);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
        world.accept(&token, OTHER_PASSWORD).await.expect_problem(410, "auth.spent_token");
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
        assert!(world.account(user).await.unwrap().email_verified);
        let entry = world.trail().await.into_iter().find(|it| it.action == "auth.invitation.accepted").unwrap();
        assert_eq!(entry.subject_id, user.to_string());
        assert_eq!(entry.before, Some(json!({ "state": "unverified", "password": false })));
    }

    async fn a_weak_password_does_not_spend_the_invitation(db: Database) {
        let world = World::new(db).await;
        let (_, token) = invited(&world, "mia.hale@example.test").await;
        for (password, code) in [("short", "too_short"), ("password1", "common_password"), ("mia.hale1", "contains_address")] {
            let reply = world.accept(&token, password).await.expect_problem(422, "platform.invalid_input");
            assert!(reply.rules().contains(&("/password", code)), "{}", reply.text);
        }
        let reply = world.accept("dwi_nothing", "short").await.expect(422);
        assert_eq!(reply.rules(), [("/token", "unknown_token"), ("/password", "too_short")]);
        assert_eq!(count(&world.db, "auth_credentials").await, 0);
        world.accept(&token, PASSWORD).await.expect(204);
    }

    async fn an_invitation_is_over_at_its_time_to_the_second(db: Database) {
        let key = MasterKey::generate().unwrap();
        let world = World::with_key(db.clone(), key.clone(), |_| {}).await;
        let (_, first) = invited(&world, "mia@example.test").await;
        world.pass(168 * 3_600 - 1);
        let (_, second) = invited(&world, "max@example.test").await;
        world.accept(&first, PASSWORD).await.expect(204);
        world.pass(168 * 3_600);
        world.accept(&second, PASSWORD).await.expect_problem(410, "auth.spent_token");
        world.log_in("max@example.test", PASSWORD).await.expect(401);
        let world = World::with_key(db, key, |settings| settings.links.invitation_hours = 1).await;
        let (_, short) = invited(&world, "short@example.test").await;
        world.pass(3_600);
        world.accept(&short, PASSWORD).await.expect(410);
    }

    async fn fifty_at_once_are_one_acceptance(db: Database) {
        let world = World::new(db).await;
        for round in 0..20 {
            let email = format!("mia{round}@example.test");
            let made = world.create(to_invite(&email)).await.unwrap();
            let request = world.invited().await[0];
            let tokens = [world.token_of(request).await, world.token_of(request).await];
            let passwords: Vec<String> = (0..50).map(|n| format!("{PASSWORD} {n}")).collect();
            let asks = passwords.iter().enumerate().map(|(n, password)| world.accept(&tokens[n % 2], password));
            let replies = join_all(asks).await;
            let won: Vec<usize> = (0..50).filter(|n| replies[*n].status == 204).collect();
            assert_eq!(won.len(), 1, "{:?}", replies.iter().map(|it| it.status).collect::<Vec<_>>());
            assert!(replies.iter().all(|it| it.status == 204 || it.status == 410));
            for (n, password) in passwords.iter().enumerate().filter(|(n, _)| n % 10 == 0 || won.contains(n)) {
                let expected = if won.contains(&n) { 200 } else { 401 };
                world.log_in(&email, password).await.expect(expected);
            }
            assert_eq!(count(&world.db, "auth_credentials").await, round + 1);
            assert_eq!(world.account(made.id).await.unwrap().revision, 2);
            let told = world.told().await;
            assert_eq!(told.iter().filter(|it| *it == "auth.account.verified").count(), 1);
        }
    }

    async fn nothing_but_the_token_and_a_password_is_taken(db: Database) {
        let world = World::new(db).await;
        let (_, token) = invited(&world, "mia@example.test").await;
        for body in [
            json!({ "token": token, "password": PASSWORD, "email": "evil@example.test" }),
            json!({ "token": token, "password": PASSWORD, "role": "admin" }),
            json!({ "token": [token], "password": PASSWORD }),
            json!({ "token": token, "password": null }),
            json!({ "token": token }),
            json!({}),
        ] {
            assert_eq!(world.post(INVITATIONS, &body).send().await.status, 422, "{body}");
        }
        let mut wrong: Vec<String> = (0..token.len()).map(|n| token[..n].to_owned()).collect();
        wrong.extend([format!("{token}A"), format!("{token}="), token.to_lowercase(), format!(" {token}")]);
        wrong.push(format!("dwi_{}", "A".repeat(43)));
        for token in wrong {
            assert_eq!(world.accept(&token, PASSWORD).await.status, 422, "{token}");
        }
        world.accept(&token, PASSWORD).await.expect(204);
    }

    async fn who_was_vouched_for_may_choose_a_first_password_and_no_second(db: Database) {
        let world = World::new(db).await;
        let ask = CreateAccount { password: None, invite: true, ..to_make("mia@example.test") };
        let made = world.create(ask).await.unwrap();
        let request = world.invited().await[0];
        world.accept(&world.token_of(request).await, PASSWORD).await.expect(204);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
        assert!(is_spent(&world, request).await);
        world.change(to_state(made.id, AccountState::Deleted)).await.unwrap();
    }

    async fn an_invitation_to_an_account_that_is_gone_opens_nothing(db: Database) {
        let world = World::new(db).await;
        for state in [AccountState::Disabled, AccountState::Deleted, AccountState::Active] {
            let email = format!("{}@example.test", state.as_str());
            let (user, token) = invited(&world, &email).await;
            world.change(to_state(user, state)).await.unwrap();
            world.accept(&token, PASSWORD).await.expect_problem(410, "auth.spent_token");
            world.log_in(&email, PASSWORD).await.expect(401);
        }
    }

    async fn who_was_invited_is_invited_again_and_not_merely_verified(db: Database) {
        let world = World::new(db).await;
        world.create(to_invite("mia@example.test")).await.unwrap();
        let first = world.invited().await[0];
        world.post(RESEND, &json!({ "email": "mia@example.test" })).send().await.expect(202);
        assert_eq!(world.invited().await, [first], "the same invitation, with one more link");
        world.pass(168 * 3_600);
        world.post(RESEND, &json!({ "email": "mia@example.test" })).send().await.expect(202);
        let second = world.invited().await;
        assert!(second.len() == 1 && second[0] != first && is_spent(&world, first).await);
        world.accept(&world.token_of(second[0]).await, PASSWORD).await.expect(204);
        world.post(RESEND, &json!({ "email": "mia@example.test" })).send().await.expect(202);
        assert_eq!(world.told().await.len(), 2, "after that there is nothing to send");
    }

    async fn permissions_count_on_whoever_can_log_in_only(db: Database) {
        let world = World::new(db).await;
        let root = world.member("root@example.test").await;
        world.permissions.add_administrator(root);
        let (user, token) = invited(&world, "mia@example.test").await;
        world.permissions.add_administrator(user);
        let leave = SetStanding { user: root, active: false };
        assert!(world.permissions.set_standing(&caller(), leave.clone()).await.is_err(), "nobody else could log in");
        world.accept(&token, PASSWORD).await.expect(204);
        assert!(world.permissions.set_standing(&caller(), leave).await.is_ok());
    }
}
