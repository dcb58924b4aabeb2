//! Proving an address.

use crate::world::{OTHER_PASSWORD, PASSWORD, PUBLIC_URL, RESEND, VERIFICATIONS, World, token_in};
use contracts::auth::{Auth as _, MintLink, PasswordResetRequested};
use contracts::{Caller, Kind};
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

both_engines! {
    async fn a_link_works_once_and_lets_its_owner_in(db: Database) {
        let world = World::new(db).await;
        world.register("mia@example.test", PASSWORD).await.expect(202);
        world.log_in("mia@example.test", PASSWORD).await.expect_problem(401, "auth.invalid_credentials");
        let (_, request) = world.requested().await[0];
        let token = world.token_of(request).await;
        let reply = world.verify(&token).await.expect(204);
        assert_eq!(reply.text, "");
        assert_eq!(world.told().await, ["auth.account.verified", "auth.account.state_changed"]);
        world.log_in("MIA@example.test", PASSWORD).await.expect(200);
        world.verify(&token).await.expect_problem(410, "auth.spent_token");
        assert!(world.trail().await.iter().any(|it| it.action == "auth.account.verified"));
    }

    async fn every_link_of_a_request_opens_it_once(db: Database) {
        let world = World::new(db).await;
        world.register("mia@example.test", PASSWORD).await.expect(202);
        let (_, request) = world.requested().await[0];
        let (first, second) = (world.token_of(request).await, world.token_of(request).await);
        world.verify(&second).await.expect(204);
        world.verify(&first).await.expect_problem(410, "auth.spent_token");
    }

    async fn a_link_is_over_at_its_time(db: Database) {
        let world = World::new(db).await;
        world.register("mia@example.test", PASSWORD).await.expect(202);
        let (_, request) = world.requested().await[0];
        let token = world.token_of(request).await;
        world.pass(24 * 3_600 - 1);
        let late = world.service.mint_link(&Caller::module("test"), MintLink { request }).await;
        assert!(late.is_ok());
        world.pass(1);
        world.verify(&token).await.expect_problem(410, "auth.spent_token");
        let late = world.service.mint_link(&Caller::module("test"), MintLink { request }).await;
        assert_eq!(late.unwrap_err().kind, Kind::Gone);
    }

    async fn a_link_starts_with_the_configured_address(db: Database) {
        let world = World::new(db).await;
        let body = json!({ "email": "mia@example.test", "password": PASSWORD });
        let ask = world.post(crate::world::REGISTRATIONS, &body).header("host", "evil.test");
        let ask = ask.header("x-forwarded-host", "evil.test").header("forwarded", "host=evil.test;proto=http");
        ask.header("x-forwarded-proto", "http").send().await.expect(202);
        let (_, request) = world.requested().await[0];
        let link = world.service.mint_link(&Caller::module("test"), MintLink { request }).await.unwrap();
        assert!(link.url.starts_with(&format!("{PUBLIC_URL}/verify#token=dwv_")), "{}", link.url);
        assert!(!format!("{link:?}").contains(&token_in(&link.url)));
    }

    async fn the_link_of_an_attempt_makes_its_own_password_valid(db: Database) {
        let world = World::new(db).await;
        world.register("mia@example.test", OTHER_PASSWORD).await.expect(202);
        world.register("mia@example.test", PASSWORD).await.expect(202);
        let requested = world.requested().await;
        let (theirs, mine) = (world.token_of(requested[0].1).await, world.token_of(requested[1].1).await);
        world.verify(&mine).await.expect(204);
        world.verify(&theirs).await.expect_problem(410, "auth.spent_token");
        world.log_in("mia@example.test", OTHER_PASSWORD).await.expect(401);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
    }

    async fn fifty_at_once_are_one_success(db: Database) {
        let world = World::new(db).await;
        for round in 0..20 {
            world.register(&format!("mia{round}@example.test"), PASSWORD).await.expect(202);
            let (_, request) = world.requested().await[0];
            let token = world.token_of(request).await;
            let replies = join_all((0..50).map(|_| world.verify(&token))).await;
            let count = |status| replies.iter().filter(|reply| reply.status == status).count();
            assert_eq!((count(204), count(410)), (1, 49));
            assert_eq!(world.told().await.iter().filter(|it| *it == "auth.account.verified").count(), 1);
        }
    }

    async fn two_attempts_at_once_are_one_success(db: Database) {
        let world = World::new(db).await;
        for round in 0..10 {
            let email = format!("mia{round}@example.test");
            world.register(&email, PASSWORD).await.expect(202);
            world.register(&email, OTHER_PASSWORD).await.expect(202);
            let requested = world.requested().await;
            let (one, other) = (world.token_of(requested[0].1).await, world.token_of(requested[1].1).await);
            let (one, other) = tokio::join!(world.verify(&one), world.verify(&other));
            let mut statuses = [one.status, other.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [204, 410]);
            let (first, second) = (
                world.log_in(&email, PASSWORD).await.status,
                world.log_in(&email, OTHER_PASSWORD).await.status,
            );
            assert_eq!((first, second), if one.status == 204 { (200, 401) } else { (401, 200) });
        }
    }

    async fn what_is_no_token_is_told_so(db: Database) {
        let world = World::new(db).await;
        world.register("mia@example.test", PASSWORD).await.expect(202);
        let (_, request) = world.requested().await[0];
        let token = world.token_of(request).await;
        let unknown = format!("dwv_{}", "A".repeat(43));
        let mut wrong: Vec<String> = (0..token.len()).map(|n| token[..n].to_owned()).collect();
        wrong.extend([format!("{token}="), format!("{token}A"), token.to_uppercase(), unknown]);
        for token in wrong {
            let reply = world.verify(&token).await.expect_problem(422, "auth.unknown_token");
            assert_eq!(reply.rules(), [("/token", "unknown_token")], "{token}");
        }
        for token in [json!(null), json!([token]), json!({ "token": token }), json!(true), json!(7)] {
            assert_eq!(world.post(VERIFICATIONS, &json!({ "token": token })).send().await.status, 422, "{token}");
        }
        for body in ["{}", "[]", "null", "\"\""] {
            assert_eq!(world.post(VERIFICATIONS, &json!({})).raw(body).send().await.status, 422, "{body}");
        }
        assert_eq!(world.post(VERIFICATIONS, &json!({})).raw("").send().await.status, 400);
        world.verify(&token).await.expect(204);
    }

    async fn sending_again_is_the_same_for_everybody(db: Database) {
        let world = World::new(db).await;
        world.member("known@example.test").await;
        world.register("waiting@example.test", PASSWORD).await.expect(202);
        let first = world.requested().await[0].1;
        let addresses = ["waiting@example.test", "known@example.test", "nobody@example.test", "m\u{131}a@example.test"];
        let mut seen = Vec::new();
        for email in addresses {
            let reply = world.post(RESEND, &json!({ "email": email })).send().await.expect(202);
            seen.push(reply.seen());
        }
        assert!(seen.iter().all(|it| *it == seen[0]));
        let again = world.requested().await;
        assert_eq!(again.iter().map(|it| it.1).collect::<Vec<_>>(), [first], "the same attempt, and only that one");
        for email in addresses {
            for _ in 0..4 {
                world.post(RESEND, &json!({ "email": email })).send().await.expect(202);
            }
            let reply = world.post(RESEND, &json!({ "email": email.to_uppercase() })).send().await;
            if email.is_ascii() {
                let reply = reply.expect_problem(429, "auth.too_many_requests");
                assert!(reply.header("retry-after").parse::<u32>().unwrap() > 0);
            }
        }
    }

    async fn sending_again_after_the_links_time_makes_a_new_link(db: Database) {
        let world = World::new(db).await;
        world.register("mia@example.test", PASSWORD).await.expect(202);
        let (_, first) = world.requested().await[0];
        world.pass(2 * 86_400);
        world.post(RESEND, &json!({ "email": "mia@example.test" })).send().await.expect(202);
        let (_, second) = world.requested().await[0];
        assert_ne!(first, second);
        world.post(RESEND, &json!({ "email": "mia@example.test" })).send().await.expect(202);
        assert_eq!(world.requested().await[0].1, second, "it is still one attempt");
        world.verify(&world.token_of(second).await).await.expect(204);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
    }

    async fn sending_again_does_not_make_the_password_good_of_who_registered_first(db: Database) {
        let world = World::new(db).await;
        let again = async || world.post(RESEND, &json!({ "email": "mia@example.test" })).send().await.expect(202);
        world.register("mia@example.test", OTHER_PASSWORD).await.expect(202);
        for _ in 0..4 {
            again().await;
        }
        world.events().await;
        world.register("mia@example.test", PASSWORD).await.expect(202);
        assert_eq!(world.told().await, Vec::<String>::new(), "the address has got its messages");
        world.pass(3_600);
        again().await;
        let events = world.events().await;
        let told: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(told, ["auth.password.reset_requested"], "whoever reads the mail chooses");
        let offer: PasswordResetRequested = events[0].read().unwrap();
        let token = world.token_of(offer.request).await;
        world.reset(&token, "a brand new battery staple").await.expect(204);
        for password in [PASSWORD, OTHER_PASSWORD] {
            world.log_in("mia@example.test", password).await.expect(401);
        }
        world.log_in("mia@example.test", "a brand new battery staple").await.expect(200);
    }
}
