//! How long sessions live, how many there are, and when what is left of them is swept.

use crate::store::{count, sweep};
use crate::world::{PASSWORD, Tokens, World};
use contracts::auth::{Auth as _, CheckSession};
use contracts::{Caller, UserId};
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

const MIA: &str = "mia@example.test";
const DAY: u64 = 86_400;

async fn stands(world: &World, user: UserId, tokens: &Tokens) -> bool {
    let ask = CheckSession { user, session: tokens.session.parse().unwrap() };
    world.service.check_session(&Caller::module("test"), ask).await.unwrap().live
}

both_engines! {
    async fn a_session_that_is_not_used_ends_at_its_idle_time(db: Database) {
        let world = World::with(db, |it| it.tokens.idle_days = 2).await;
        let user = world.member(MIA).await;
        let log_in = async || world.log_in(MIA, PASSWORD).await.expect(200).tokens();
        let (one, other) = (log_in().await, log_in().await);
        assert!(stands(&world, user, &one).await && stands(&world, user, &one).await && stands(&world, user, &other).await);
        world.pass(2 * DAY - 1);
        assert!(stands(&world, user, &other).await);
        let one = world.refresh(&one.refresh).await.expect(200).tokens();
        assert!(world.is_in(&one).await);
        world.pass(1);
        assert!(!stands(&world, user, &other).await);
        world.refresh(&other.refresh).await.expect_problem(401, "auth.invalid_refresh_token");
        assert!(stands(&world, user, &one).await, "its use is not forgotten by what was remembered before");
        world.pass(2 * DAY - 2);
        assert!(stands(&world, user, &one).await);
        world.pass(1);
        assert!(!stands(&world, user, &one).await);
        world.refresh(&one.refresh).await.expect(401);
    }

    async fn a_session_ends_at_its_absolute_time_however_much_it_is_used(db: Database) {
        let change = |it: &mut auth::Settings| (it.tokens.idle_days, it.tokens.absolute_days, it.tokens.access_seconds) = (2, 3, 3_600);
        let world = World::with(db, change).await;
        let user = world.member(MIA).await;
        let mut mine = world.log_in(MIA, PASSWORD).await.expect(200).tokens();
        for _ in 0..2 {
            world.pass(DAY);
            mine = world.refresh(&mine.refresh).await.expect(200).tokens();
        }
        world.pass(DAY - 60);
        mine = world.refresh(&mine.refresh).await.expect(200).tokens();
        world.pass(59);
        assert!(world.is_in(&mine).await && stands(&world, user, &mine).await);
        let last = world.refresh(&mine.refresh).await.expect(200).tokens();
        assert!(world.is_in(&last).await);
        world.pass(1);
        assert!(!world.is_in(&last).await && !stands(&world, user, &last).await, "although the token is good for an hour");
        world.refresh(&last.refresh).await.expect_problem(401, "auth.invalid_refresh_token");
    }

    async fn over_the_limit_the_session_that_was_not_used_for_longest_ends(db: Database) {
        let world = World::with(db, |it| it.sessions.max_per_account = 3).await;
        world.member(MIA).await;
        let log_in = async || {
            world.pass(1);
            world.log_in(MIA, PASSWORD).await.expect(200).tokens()
        };
        let (first, second, third) = (log_in().await, log_in().await, log_in().await);
        for session in [&first, &second, &third] {
            assert!(world.is_in(session).await);
        }
        world.pass(1);
        let first = world.refresh(&first.refresh).await.expect(200).tokens();
        world.events().await;
        let fourth = log_in().await;
        assert!(!world.is_in(&second).await);
        world.refresh(&second.refresh).await.expect(401);
        for session in [&first, &third, &fourth] {
            assert!(world.is_in(session).await);
        }
        let revoked: Vec<_> = world.events().await.into_iter().filter(|it| it.event_type == "auth.session.revoked").collect();
        assert_eq!((revoked.len(), &revoked[0].data["reason"]), (1, &json!("session_limit")));
        for _ in 0..20 {
            log_in().await;
        }
        assert!(!world.trail().await.iter().any(|it| it.action == "auth.login.failed"));
        assert_eq!(count(&world.db, "auth_sessions WHERE revoked_at IS NULL").await, 3);
    }

    async fn nobody_has_sessions_without_end_by_default(db: Database) {
        let world = World::new(db).await;
        world.member(MIA).await;
        for _ in 0..103 {
            world.log_in(MIA, PASSWORD).await.expect(200);
        }
        assert_eq!(count(&world.db, "auth_sessions WHERE revoked_at IS NULL").await, 100);
    }

    async fn logins_at_once_do_not_get_past_the_limit(db: Database) {
        let world = World::with(db, |it| it.sessions.max_per_account = 2).await;
        world.member(MIA).await;
        let replies = futures_util::future::join_all((0..20).map(|_| world.log_in(MIA, PASSWORD))).await;
        assert!(replies.iter().all(|it| it.status == 200));
        assert_eq!(count(&world.db, "auth_sessions WHERE revoked_at IS NULL").await, 2);
    }

    async fn ended_sessions_and_old_devices_are_swept(db: Database) {
        let world = World::with(db, |it| it.devices.remembered_days = 20).await;
        let mine = world.logged_in(MIA).await;
        let other = world.log_in_from("203.0.113.9", "phone", MIA).await.expect(200).tokens();
        world.refresh(&other.refresh).await.expect(200);
        world.delete(&format!("/api/v1/auth/sessions/{}", other.session)).by(&mine).send().await.expect(204);
        let all = async || {
            let mut counts = Vec::new();
            for table in ["auth_sessions", "auth_refresh_tokens", "auth_devices"] {
                counts.push(count(&world.db, table).await);
            }
            counts
        };
        world.pass(7 * DAY - 60);
        sweep(&world).await;
        assert_eq!(all().await, [2, 3, 2]);
        world.refresh(&mine.refresh).await.expect(200);
        world.log_in(MIA, PASSWORD).await.expect(200);
        world.pass(61);
        sweep(&world).await;
        assert_eq!(all().await, [2, 3, 2]);
        world.pass(13 * DAY);
        sweep(&world).await;
        assert_eq!(all().await, [2, 3, 1], "the device that was seen since stays");
    }
}
