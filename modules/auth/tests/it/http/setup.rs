//! Making the first administrator.

use crate::store::count;
use crate::world::{OTHER_PASSWORD, PASSWORD, PUBLIC_URL, Reply, SETUP, World};
use contracts::permissions::Subject;
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

async fn set_up(world: &World, token: &str, email: &str, password: &str) -> Reply {
    world.post(SETUP, &json!({ "token": token, "email": email, "password": password })).send().await
}

both_engines! {
    async fn the_printed_link_makes_the_first_administrator_once(db: Database) {
        let world = World::new(db).await;
        let link = world.service.setup_link().await.unwrap().unwrap();
        assert!(link.reveal().starts_with(&format!("{PUBLIC_URL}/setup#token=dws_")), "{}", link.reveal());
        assert_eq!(format!("{link:?}"), "SetupLink(***)");
        let token = crate::world::token_in(link.reveal());
        let reply = set_up(&world, &token, "Root@Example.test", PASSWORD).await.expect(201);
        let id = reply.word("id");
        assert_eq!(reply.body, json!({ "id": id, "email": "root@example.test" }));
        assert_eq!(reply.header("location"), format!("/api/v1/users/{id}"));
        let expected = [
            "auth.account.registered", "auth.account.verified", "auth.account.state_changed",
            "auth.administrator.appointed",
        ];
        assert_eq!(world.told().await, expected);
        let assigned = world.permissions.assigned();
        assert_eq!((assigned.len(), assigned[0].role.as_str()), (1, "admin"));
        assert_eq!(assigned[0].subject, Subject::user(id.parse().unwrap()));
        world.log_in("root@example.test", PASSWORD).await.expect(200);
        assert!(world.service.setup_link().await.unwrap().is_none());
        for token in [token.as_str(), "x", ""] {
            set_up(&world, token, "evil@example.test", PASSWORD).await.expect_problem(410, "auth.setup_completed");
        }
        let action = world.trail().await[0].action.clone();
        assert_eq!(action, "auth.administrator.appointed");
    }

    async fn fifty_at_once_are_one_administrator(db: Database) {
        let world = World::new(db).await;
        let tokens = [world.setup_token().await, world.setup_token().await];
        let emails: Vec<String> = (0..50).map(|n| format!("root{n}@example.test")).collect();
        let asks = emails.iter().enumerate().map(|(n, email)| set_up(&world, &tokens[n % 2], email, PASSWORD));
        let replies = join_all(asks).await;
        let count_of = |status| replies.iter().filter(|reply| reply.status == status).count();
        assert_eq!((count_of(201), count_of(410)), (1, 49));
        assert_eq!(count(&world.db, "auth_accounts").await, 1);
        assert_eq!(world.permissions.assigned().len(), 1);
    }

    async fn a_refused_set_up_spends_nothing(db: Database) {
        let world = World::new(db).await;
        let token = world.setup_token().await;
        let reply = set_up(&world, "x", "root", "1234567").await.expect_problem(422, "platform.invalid_input");
        let expected = [
            ("/token", "unknown_token"), ("/email", "malformed_address"), ("/password", "too_short"),
            ("/password", "common_password"),
        ];
        assert_eq!(reply.rules(), expected);
        set_up(&world, &token, "root@example.test", "password1").await.expect(422);
        let unknown = format!("dws_{}", "A".repeat(43));
        set_up(&world, &unknown, "root@example.test", PASSWORD).await.expect_problem(422, "auth.unknown_token");
        world.member("owner@example.test").await;
        let reply = set_up(&world, &token, "owner@example.test", OTHER_PASSWORD).await;
        assert_eq!(reply.expect_problem(409, "auth.address_taken").rules(), [("/email", "taken")]);
        world.log_in("owner@example.test", PASSWORD).await.expect(200);
        set_up(&world, &token, "root@example.test", PASSWORD).await.expect(201);
    }

    async fn a_set_up_link_is_over_at_its_time(db: Database) {
        let world = World::new(db).await;
        let token = world.setup_token().await;
        world.pass(24 * 3_600);
        set_up(&world, &token, "root@example.test", PASSWORD).await.expect_problem(410, "auth.spent_token");
        set_up(&world, &world.setup_token().await, "root@example.test", PASSWORD).await.expect(201);
    }

    async fn who_registered_the_address_before_gets_nothing(db: Database) {
        let world = World::new(db).await;
        world.register("root@example.test", OTHER_PASSWORD).await.expect(202);
        let (_, request) = world.requested().await[0];
        let theirs = world.token_of(request).await;
        set_up(&world, &world.setup_token().await, "root@example.test", PASSWORD).await.expect(201);
        world.verify(&theirs).await.expect(410);
        world.log_in("root@example.test", OTHER_PASSWORD).await.expect(401);
        world.log_in("root@example.test", PASSWORD).await.expect(200);
        assert_eq!(count(&world.db, "auth_accounts").await, 1);
    }
}
