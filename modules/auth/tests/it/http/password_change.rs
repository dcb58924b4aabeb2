//! Changing a password by somebody who is logged in.

use crate::world::{OTHER_PASSWORD, PASSWORD, PASSWORD_PATH, World};
use actix_web::http::Method;
use contracts::auth::PasswordChanged;
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

const NEW: &str = "a brand new battery staple";

both_engines! {
    async fn this_session_goes_on_and_the_others_end(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        let other = world.log_in_from("203.0.113.1", "phone", "mia@example.test").await.expect(200).tokens();
        assert!(world.is_in(&mine).await && world.is_in(&other).await);
        world.events().await;
        assert_eq!(world.change_password(&mine, PASSWORD, NEW).await.expect(204).text, "");
        assert!(world.is_in(&mine).await && !world.is_in(&other).await);
        world.refresh(&other.refresh).await.expect(401);
        let mine = world.refresh(&mine.refresh).await.expect(200).tokens();
        assert!(world.is_in(&mine).await);
        let events = world.events().await;
        let told: Vec<&str> = events.iter().map(|it| it.event_type.as_str()).collect();
        assert_eq!(told, ["auth.session.revoked", "auth.password.changed"]);
        assert_eq!(events[0].data["reason"], json!("password_changed"));
        assert!(!events[1].read::<PasswordChanged>().unwrap().reset);
        world.log_in("mia@example.test", PASSWORD).await.expect(401);
        world.log_in("mia@example.test", NEW).await.expect(200);
        assert!(world.trail().await.iter().any(|it| it.action == "auth.password.changed" && it.before.is_some()));
    }

    async fn the_others_go_on_when_they_are_to_be_kept(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        let other = world.log_in_from("203.0.113.1", "phone", "mia@example.test").await.expect(200).tokens();
        let body = json!({ "current_password": PASSWORD, "new_password": NEW, "keep_other_sessions": true });
        world.ask(Method::PUT, PASSWORD_PATH).json(&body).by(&mine).send().await.expect(204);
        assert!(world.is_in(&mine).await && world.is_in(&other).await);
        let other = world.refresh(&other.refresh).await.expect(200).tokens();
        world.change_password(&other, NEW, OTHER_PASSWORD).await.expect(204);
        assert!(!world.is_in(&mine).await && world.is_in(&other).await);
    }

    async fn whoever_does_not_know_the_password_changes_nothing(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        world.change_password(&mine, OTHER_PASSWORD, NEW).await.expect_problem(401, "auth.invalid_credentials");
        world.change_password(&mine, "", NEW).await.expect_problem(401, "auth.invalid_credentials");
        let reply = world.change_password(&mine, &"x".repeat(1_025), NEW).await.expect(422);
        assert_eq!(reply.rules(), [("/current_password", "too_long")]);
        for body in [
            json!({ "new_password": NEW }), json!({ "current_password": null, "new_password": NEW }),
            json!({ "current_password": [PASSWORD], "new_password": NEW }),
            json!({ "current_password": PASSWORD, "new_password": NEW, "keep_other_sessions": "yes" }),
            json!({ "current_password": PASSWORD, "new_password": NEW, "user": "x" }),
        ] {
            let reply = world.ask(Method::PUT, PASSWORD_PATH).json(&body).by(&mine).send().await;
            assert_eq!(reply.status, 422, "{body}");
        }
        let body = json!({ "current_password": PASSWORD, "new_password": NEW });
        let reply = world.ask(Method::PUT, PASSWORD_PATH).json(&body).send().await;
        reply.expect_problem(401, "platform.unauthenticated");
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
        assert!(world.trail().await.iter().any(|it| it.action == "auth.password.change_refused"));
    }

    async fn every_broken_rule_of_the_new_one_is_told(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia.hale@example.test").await;
        let reply = world.change_password(&mine, PASSWORD, "1234567").await.expect(422);
        assert_eq!(reply.rules(), [("/new_password", "too_short"), ("/new_password", "common_password")]);
        let reply = world.change_password(&mine, PASSWORD, "Mia.Hale!").await.expect(422);
        assert_eq!(reply.rules(), [("/new_password", "contains_address")]);
        assert!(world.is_in(&mine).await);
    }

    async fn two_changes_at_once_are_one(db: Database) {
        let world = World::new(db).await;
        for round in 0..6 {
            let email = format!("mia{round}@example.test");
            let mine = world.logged_in(&email).await;
            let passwords: Vec<String> = (0..8).map(|n| format!("{NEW} {n}")).collect();
            let replies = join_all(passwords.iter().map(|it| world.change_password(&mine, PASSWORD, it))).await;
            let won: Vec<usize> = (0..8).filter(|n| replies[*n].status == 204).collect();
            assert_eq!(won.len(), 1, "{:?}", replies.iter().map(|it| it.status).collect::<Vec<_>>());
            world.log_in(&email, &passwords[won[0]]).await.expect(200);
            assert!(world.is_in(&mine).await);
        }
    }

    async fn a_login_or_refresh_that_races_with_a_change_leaves_nothing_of_the_old_password(db: Database) {
        let world = World::new(db).await;
        for round in 0..20 {
            let email = format!("mia{round}@example.test");
            let mine = world.logged_in(&email).await;
            let mut others = Vec::new();
            for _ in 0..5 {
                others.push(world.log_in_from("203.0.113.1", "phone", &email).await.expect(200).tokens());
            }
            let (change, logins, refreshes) = tokio::join!(
                world.change_password(&mine, PASSWORD, NEW),
                join_all((0..5).map(|_| world.log_in(&email, PASSWORD))),
                join_all(others.iter().map(|other| world.refresh(&other.refresh))),
            );
            change.expect(204);
            for reply in logins.into_iter().chain(refreshes) {
                if reply.status == 200 {
                    let tokens = reply.tokens();
                    assert!(!world.is_in(&tokens).await);
                    world.refresh(&tokens.refresh).await.expect(401);
                }
            }
            assert!(world.is_in(&mine).await);
        }
    }

    async fn a_session_that_was_ended_meanwhile_changes_nothing(db: Database) {
        let world = World::new(db).await;
        for round in 0..8 {
            let email = format!("mia{round}@example.test");
            let mine = world.logged_in(&email).await;
            let current = "/api/v1/auth/sessions/current";
            let (change, ended) =
                tokio::join!(world.change_password(&mine, PASSWORD, NEW), world.delete(current).by(&mine).send());
            ended.expect(204);
            let (old, new) = (world.log_in(&email, PASSWORD).await.status, world.log_in(&email, NEW).await.status);
            assert_eq!((old, new), if change.status == 204 { (401, 200) } else { (200, 401) });
            assert!(!world.is_in(&mine).await);
        }
    }
}
