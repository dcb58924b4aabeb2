//! Guessing, by every way that compares a password, and what it does to the owner.

use crate::world::{LOGINS, OTHER_PASSWORD, PASSWORD, Reply, World};
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

const NEW: &str = "a brand new battery staple";

async fn guess(world: &World, address: &str, agent: &str, password: &str) -> Reply {
    let body = json!({ "email": "mia@example.test", "password": password });
    world.post(LOGINS, &body).from(address).header("user-agent", agent).send().await
}

both_engines! {
    async fn logins_and_changes_are_counted_together(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        for n in 0..10 {
            if n % 2 == 0 {
                world.change_password(&mine, OTHER_PASSWORD, NEW).await.expect(401);
            } else {
                world.log_in("mia@example.test", OTHER_PASSWORD).await.expect(401);
            }
        }
        let reply = world.change_password(&mine, PASSWORD, NEW).await.expect_problem(429, "auth.too_many_failures");
        assert!((1..=90).contains(&reply.header("retry-after").parse::<u32>().unwrap()));
        world.log_in("mia@example.test", PASSWORD).await.expect(429);
        world.pass(90);
        world.change_password(&mine, PASSWORD, NEW).await.expect(204);
    }

    async fn changes_at_once_do_not_get_past_the_limit(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        let replies = join_all((0..60).map(|_| world.change_password(&mine, OTHER_PASSWORD, NEW))).await;
        let count = |status| replies.iter().filter(|reply| reply.status == status).count();
        assert_eq!((count(401), count(429)), (10, 50));
    }

    async fn after_a_thousand_misses_from_everywhere_the_owner_s_device_still_gets_in(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        let mine = guess(&world, "192.0.2.1", "Browser/1 (x)", PASSWORD).await.expect(200).tokens();
        world.delete("/api/v1/auth/sessions/current").by(&mine).send().await.expect(204);
        let networks: Vec<String> = (0..1_000).map(|n| format!("10.{}.{}.1", n / 250, n % 250)).collect();
        let mut replies = Vec::new();
        for crowd in networks.chunks(50) {
            replies.extend(join_all(crowd.iter().map(|from| guess(&world, from, "evil", OTHER_PASSWORD))).await);
        }
        let count = |status| replies.iter().filter(|reply| reply.status == status).count();
        assert_eq!((count(401), count(429)), (100, 900));
        guess(&world, "203.0.113.1", "Browser/1 (x)", PASSWORD).await.expect(429);
        guess(&world, "192.0.2.1", "another", PASSWORD).await.expect(429);
        guess(&world, "192.0.2.99", "Browser/2.5 (x)", PASSWORD).await.expect(200);
    }

    async fn who_calls_himself_like_the_owner_s_device_gets_no_more_tries_from_its_network(db: Database) {
        let world = World::with(db, |it| it.limits.login_failures_per_address = 10).await;
        world.member("mia@example.test").await;
        guess(&world, "192.0.2.1", "Browser/1 (x)", PASSWORD).await.expect(200);
        for n in 0..10 {
            guess(&world, &format!("10.0.{n}.1"), "evil", OTHER_PASSWORD).await.expect(401);
        }
        for _ in 0..10 {
            guess(&world, "192.0.2.7", "Browser/1 (x)", OTHER_PASSWORD).await.expect(401);
        }
        guess(&world, "192.0.2.7", "Browser/1 (x)", PASSWORD).await.expect(429);
    }

    async fn a_reset_lets_its_owner_in_where_he_is(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        for _ in 0..10 {
            world.log_in("mia@example.test", OTHER_PASSWORD).await.expect(401);
        }
        world.log_in("mia@example.test", PASSWORD).await.expect(429);
        let token = world.reset_token("mia@example.test").await;
        world.reset(&token, NEW).await.expect(204);
        world.log_in("mia@example.test", NEW).await.expect(200);
    }

    async fn correct_logins_at_once_go_through_beside_a_guesser(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        guess(&world, "192.0.2.1", "mine", PASSWORD).await.expect(200);
        let guesses = join_all((0..40).map(|_| guess(&world, "10.0.0.1", "evil", OTHER_PASSWORD)));
        let mine = join_all((0..40).map(|_| guess(&world, "192.0.2.1", "mine", PASSWORD)));
        let (guesses, mine) = tokio::join!(guesses, mine);
        assert!(mine.iter().all(|reply| reply.status == 200));
        assert_eq!(guesses.iter().filter(|reply| reply.status == 401).count(), 10);
    }
}
