//! Exchanging refresh tokens, honestly and not.

use crate::store::{count, sql};
use crate::world::{PASSWORD, TOKENS, World};
use contracts::auth::SessionRevoked;
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::json;
use std::collections::HashSet;
use testkit::both_engines;

const CODE: &str = "auth.invalid_refresh_token";

both_engines! {
    async fn each_exchange_gives_the_next_token_of_the_same_session(db: Database) {
        let world = World::new(db).await;
        let mut tokens = world.logged_in("mia@example.test").await;
        let mut seen = HashSet::from([tokens.refresh.clone()]);
        for _ in 0..5 {
            world.pass(606);
            assert!(!world.is_in(&tokens).await, "the access token is over");
            let reply = world.refresh(&tokens.refresh).await.expect(200);
            assert_eq!(reply.header("cache-control"), "no-store");
            let next = reply.tokens();
            assert_eq!(next.session, tokens.session);
            assert!(seen.insert(next.refresh.clone()), "a token came twice");
            assert!(world.is_in(&next).await);
            tokens = next;
        }
        assert!(world.trail().await.iter().any(|it| it.action == "auth.session.refreshed"));
    }

    async fn an_answer_that_got_lost_is_given_again(db: Database) {
        let world = World::new(db).await;
        let tokens = world.logged_in("mia@example.test").await;
        let first = world.refresh(&tokens.refresh).await.expect(200).tokens();
        world.pass(9);
        let again = world.refresh(&tokens.refresh).await.expect(200).tokens();
        assert_eq!(again.refresh, first.refresh);
        assert!(world.is_in(&again).await);
        let next = world.refresh(&again.refresh).await.expect(200).tokens();
        world.refresh(&tokens.refresh).await.expect_problem(401, CODE);
        assert!(world.is_in(&next).await, "a late repetition ends nothing");
        world.refresh(&next.refresh).await.expect(200);
    }

    async fn a_token_that_comes_back_ends_the_family(db: Database) {
        let world = World::new(db).await;
        let stolen = world.logged_in("mia@example.test").await;
        let mine = world.refresh(&stolen.refresh).await.expect(200).tokens();
        assert!(world.is_in(&mine).await && world.is_in(&mine).await);
        world.events().await;
        world.pass(10);
        world.refresh(&stolen.refresh).await.expect_problem(401, CODE);
        assert!(!world.is_in(&mine).await, "refused on the very next request");
        world.refresh(&mine.refresh).await.expect_problem(401, CODE);
        let events = world.events().await;
        let told: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(told, ["auth.refresh.reused", "auth.session.revoked"]);
        let revoked: SessionRevoked = events[1].read().unwrap();
        assert_eq!((revoked.reason.as_str(), revoked.session.to_string()), ("refresh_reused", mine.session));
        assert!(world.trail().await.iter().any(|it| it.action == "auth.refresh.reused"));
        world.refresh(&stolen.refresh).await.expect_problem(401, CODE);
        assert_eq!(world.told().await, Vec::<String>::new(), "told once");
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
    }

    async fn fifty_at_once_are_one_successor(db: Database) {
        let world = World::new(db).await;
        let mut token = world.logged_in("mia@example.test").await.refresh;
        for round in 0..20 {
            let replies = join_all((0..50).map(|_| world.refresh(&token))).await;
            assert!(replies.iter().all(|it| it.status == 200), "{:?}", replies.iter().find(|it| it.status != 200));
            let successors: HashSet<_> = replies.iter().map(|reply| reply.tokens().refresh).collect();
            assert_eq!(successors.len(), 1, "round {round}");
            assert_eq!(count(&world.db, "auth_refresh_tokens WHERE used_at IS NULL").await, 1);
            token = successors.into_iter().next().unwrap();
            world.pass(60);
        }
        assert_eq!(count(&world.db, "auth_sessions WHERE revoked_at IS NULL").await, 1);
    }

    async fn a_session_ends_when_it_is_not_used_or_too_old(db: Database) {
        let world = World::new(db).await;
        let idle = world.logged_in("mia@example.test").await;
        world.pass(30 * 86_400);
        world.refresh(&idle.refresh).await.expect_problem(401, CODE);
        let mut used = world.log_in("mia@example.test", PASSWORD).await.expect(200).tokens();
        for _ in 0..8 {
            world.pass(10 * 86_400);
            used = world.refresh(&used.refresh).await.expect(200).tokens();
        }
        world.pass(10 * 86_400 - 1);
        let last = world.refresh(&used.refresh).await.expect(200).tokens();
        world.pass(1);
        world.refresh(&last.refresh).await.expect_problem(401, CODE);
        assert!(!world.is_in(&last).await, "the access token ends with its session");
    }

    async fn whatever_is_not_the_token_is_refused_alike(db: Database) {
        let world = World::new(db).await;
        let tokens = world.logged_in("mia@example.test").await;
        let token = &tokens.refresh;
        let mut wrong: Vec<String> = (0..token.len()).map(|n| token[..n].to_owned()).collect();
        wrong.extend([format!("{token}="), format!("{token}x"), token.to_lowercase(), format!(" {token}")]);
        wrong.push(format!("dwr_{}", "A".repeat(43)));
        wrong.push(tokens.access.clone());
        let mut seen = Vec::new();
        for token in wrong {
            seen.push(world.refresh(&token).await.expect_problem(401, CODE).seen());
        }
        assert!(seen.iter().all(|it| *it == seen[0]));
        for token in [json!(null), json!([token]), json!({ "a": token }), json!(1)] {
            assert_eq!(world.post(TOKENS, &json!({ "refresh_token": token })).send().await.status, 422, "{token}");
        }
        world.refresh(token).await.expect(200);
    }

    async fn a_disabled_account_and_a_changed_password_end_refreshing(db: Database) {
        let world = World::new(db).await;
        let tokens = world.logged_in("mia@example.test").await;
        sql(&world.db, "UPDATE auth_accounts SET state = 'disabled'").await;
        world.refresh(&tokens.refresh).await.expect_problem(401, CODE);
        sql(&world.db, "UPDATE auth_accounts SET state = 'active', credential_version = credential_version + 1").await;
        world.refresh(&tokens.refresh).await.expect_problem(401, CODE);
        sql(&world.db, "UPDATE auth_accounts SET credential_version = credential_version - 1").await;
        world.refresh(&tokens.refresh).await.expect(200);
    }
}
