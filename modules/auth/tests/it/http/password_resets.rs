//! Forgetting a password: what its owner gets, and what somebody else does not.

use crate::store::{count, sql};
use crate::world::{CONFIRM, OTHER_PASSWORD, PASSWORD, PUBLIC_URL, RESETS, World};
use contracts::auth::Auth as _;
use contracts::auth::{MintLink, PasswordChanged, PasswordResetRequested};
use contracts::{Caller, Kind};
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

const NEW: &str = "a brand new battery staple";

both_engines! {
    async fn a_reset_ends_every_session_and_tells_the_owner(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        let other = world.log_in_from("203.0.113.1", "phone", "mia@example.test").await.expect(200).tokens();
        let theirs = world.logged_in("ben@example.test").await;
        assert!(world.is_in(&mine).await && world.is_in(&other).await);
        let token = world.reset_token("MIA@example.test").await;
        world.events().await;
        world.reset(&token, NEW).await.expect(204);
        for session in [&mine, &other] {
            assert!(!world.is_in(session).await);
            world.refresh(&session.refresh).await.expect_problem(401, "auth.invalid_refresh_token");
        }
        assert!(world.is_in(&theirs).await);
        let events = world.events().await;
        let revoked: Vec<&Value> = events.iter().filter_map(|it| it.data.get("reason")).collect();
        assert_eq!(revoked, ["password_reset", "password_reset"]);
        let changed: Vec<PasswordChanged> =
            events.iter().filter(|it| it.is::<PasswordChanged>()).map(|it| it.read().unwrap()).collect();
        assert!(changed.len() == 1 && changed[0].reset);
        world.log_in("mia@example.test", PASSWORD).await.expect(401);
        world.log_in("mia@example.test", NEW).await.expect(200);
        world.reset(&token, NEW).await.expect_problem(410, "auth.spent_token");
        let trail = world.trail().await;
        let entry = trail.iter().find(|it| it.action == "auth.password.reset").unwrap();
        assert_eq!(entry.before.as_ref().unwrap()["credential_version"], json!(1));
        assert_eq!(entry.after.as_ref().unwrap()["credential_version"], json!(2));
    }

    async fn the_answer_tells_nothing_about_the_address(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        world.member("off@example.test").await;
        sql(&world.db, "UPDATE auth_accounts SET state = 'disabled' WHERE email = 'off@example.test'").await;
        world.register("new@example.test", PASSWORD).await.expect(202);
        world.events().await;
        let known = world.ask_reset("mia@example.test").await.expect(202);
        assert_eq!(known.body, json!({ "status": "reset_sent" }));
        for email in ["nobody@example.test", "off@example.test", "new@example.test", "m\u{131}a@example.test"] {
            assert_eq!(world.ask_reset(email).await.seen(), known.seen(), "{email}");
        }
        let facts = world.facts::<PasswordResetRequested>().await;
        assert_eq!(facts.len(), 2, "one for the proven address and one for the unproven one");
        let token = world.token_of(facts[0].request).await;
        assert!(!format!("{:?} {:?}", known.text, known.headers).contains(&token[..8]));
        assert!(!known.text.contains("dwp_"));
    }

    async fn known_and_unknown_addresses_are_answered_at_the_same_time(db: Database) {
        let world = World::with(db, |it| it.limits.resets_per_address = 1_000).await;
        world.member("mia@example.test").await;
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            for (email, times) in [("mia@example.test", &mut known), ("nobody@example.test", &mut unknown)] {
                let started = std::time::Instant::now();
                world.ask_reset(email).await.expect(202);
                times.push(started.elapsed());
            }
        }
        let least = |times: &[std::time::Duration]| times.iter().min().copied().unwrap();
        let (known, unknown) = (least(&known), least(&unknown));
        assert!(known.as_millis() >= 50 && unknown.as_millis() >= 50, "{known:?} {unknown:?}");
        assert!(known.abs_diff(unknown).as_millis() < 4, "{known:?} {unknown:?}");
    }

    async fn a_list_of_addresses_gets_nobody_a_message(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        world.events().await;
        for email in [
            json!(["mia@example.test", "evil@example.test"]), json!(["mia@example.test"]), json!(null), json!(true),
            json!({ "0": "mia@example.test" }), json!(7),
        ] {
            assert_eq!(world.post(RESETS, &json!({ "email": email })).send().await.status, 422, "{email}");
        }
        for body in [
            r#"{"email":"mia@example.test","email":"evil@example.test"}"#, r#"["mia@example.test"]"#, "{}", "null",
            r#"{"email[]":"mia@example.test"}"#, r#"{"email":"mia@example.test","cc":"evil@example.test"}"#,
        ] {
            assert_eq!(world.post(RESETS, &json!({})).raw(body).send().await.status, 422, "{body}");
        }
        let form = world.ask(actix_web::http::Method::POST, RESETS).raw("email=mia@example.test&email=evil@example.test");
        let reply = form.header("content-type", "application/x-www-form-urlencoded").send().await;
        assert!((400..=422).contains(&reply.status), "{}", reply.status);
        assert_eq!(world.told().await, Vec::<String>::new());
    }

    async fn addresses_that_could_be_somebody_elses_get_nobody_a_message(db: Database) {
        let world = World::new(db).await;
        world.member("mike@example.test").await;
        world.member("fi@example.test").await;
        world.events().await;
        for email in [
            "\"evil@example.test\"@example.test", "mike@example.test\u{FF20}evil.test", "mike@example.test\u{FE6B}evil.test",
            "mike@example.test,evil@example.test", "mike@example.test\nbcc:evil@example.test", "mike", "",
        ] {
            assert_eq!(world.ask_reset(email).await.status, 422, "{email:?}");
            assert_eq!(world.register(email, PASSWORD).await.status, 422, "{email:?}");
        }
        for email in ["m\u{131}ke@example.test", "M\u{130}KE@example.test", "\u{FB01}@example.test", "mi\u{212A}e@example.test"] {
            world.ask_reset(email).await.expect(202);
        }
        assert_eq!(world.told().await, Vec::<String>::new());
        world.ask_reset("MIKE@EXAMPLE.test").await.expect(202);
        assert_eq!(world.facts::<PasswordResetRequested>().await.len(), 1);
    }

    async fn the_link_starts_with_the_configured_address_whatever_the_headers_say(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        world.events().await;
        let ask = world.post(RESETS, &json!({ "email": "mia@example.test" })).header("host", "evil.test");
        let ask = ask.header("x-forwarded-host", "evil.test").header("forwarded", "host=evil.test;proto=http");
        let ask = ask.header("x-forwarded-proto", "javascript").header("x-original-host", "evil.test");
        ask.send().await.expect(202);
        let fact = world.facts::<PasswordResetRequested>().await.remove(0);
        let link = world.service.mint_link(&Caller::module("test"), MintLink { request: fact.request }).await.unwrap();
        assert!(link.url.starts_with(&format!("{PUBLIC_URL}/password-reset#token=dwp_")));
        assert_eq!(link.expires_at, world.clock.now().plus(std::time::Duration::from_secs(3_600)));
    }

    async fn nothing_but_its_own_token_confirms_a_reset(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        world.member("ben@example.test").await;
        let token = world.reset_token("mia@example.test").await;
        let theirs = world.reset_token("ben@example.test").await;
        for token in [json!(null), json!(""), json!("true"), json!(true), json!([token]), json!({}), json!("dwp_")] {
            let body = json!({ "token": token, "new_password": NEW });
            assert_eq!(world.post(CONFIRM, &body).send().await.status, 422, "{token}");
        }
        assert_eq!(world.post(CONFIRM, &json!({ "new_password": NEW })).send().await.status, 422);
        let body = json!({ "token": token, "new_password": NEW, "email": "ben@example.test" });
        assert_eq!(world.post(CONFIRM, &body).send().await.status, 422);
        let unknown = format!("dwp_{}", "A".repeat(43));
        world.reset(&unknown, NEW).await.expect_problem(422, "auth.unknown_token");
        let accounts = count(&world.db, "auth_accounts").await;
        world.reset(&theirs, NEW).await.expect(204);
        assert_eq!(count(&world.db, "auth_accounts").await, accounts);
        world.log_in("mia@example.test", NEW).await.expect(401);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
        world.log_in("ben@example.test", NEW).await.expect(200);
    }

    async fn a_weak_password_leaves_the_link_good(db: Database) {
        let world = World::new(db).await;
        world.member("mia.hale@example.test").await;
        let token = world.reset_token("mia.hale@example.test").await;
        let reply = world.reset(&token, "1234567").await.expect_problem(422, "platform.invalid_input");
        assert_eq!(reply.rules(), [("/new_password", "too_short"), ("/new_password", "common_password")]);
        let reply = world.reset(&token, "mia.hale1").await.expect(422);
        assert_eq!(reply.rules(), [("/new_password", "contains_address")]);
        let reply = world.reset(&token, &"xyz!".repeat(257)).await.expect(422);
        assert_eq!(reply.rules(), [("/new_password", "too_long")]);
        world.log_in("mia.hale@example.test", PASSWORD).await.expect(200);
        world.reset(&token, NEW).await.expect(204);
    }

    async fn a_link_is_over_at_its_time(db: Database) {
        let world = World::with(db, |it| it.links.reset_minutes = 5).await;
        world.member("mia@example.test").await;
        let (one, other) = (world.reset_token("mia@example.test").await, world.reset_token("mia@example.test").await);
        world.pass(299);
        world.reset(&one, NEW).await.expect(204);
        world.reset(&other, NEW).await.expect_problem(410, "auth.spent_token");
        let token = world.reset_token("mia@example.test").await;
        world.pass(300);
        world.reset(&token, OTHER_PASSWORD).await.expect_problem(410, "auth.spent_token");
        world.log_in("mia@example.test", NEW).await.expect(200);
    }

    async fn asking_again_does_not_close_the_link_that_is_on_its_way(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        let first = world.reset_token("mia@example.test").await;
        for _ in 0..4 {
            world.ask_reset("mia@example.test").await.expect(202);
        }
        let reply = world.ask_reset("mia@example.test").await.expect_problem(429, "auth.too_many_requests");
        assert!(reply.header("retry-after").parse::<u32>().unwrap() > 0);
        world.reset(&first, NEW).await.expect(204);
    }

    async fn too_many_asks_are_refused_for_unknown_addresses_and_networks_alike(db: Database) {
        let world = World::with(db, |it| it.limits.resets_per_network = 8).await;
        world.member("mia@example.test").await;
        let mut seen = Vec::new();
        for email in ["mia@example.test", "nobody@example.test"] {
            let ask = async |email: &str, from: &str| world.post(RESETS, &json!({ "email": email })).from(from).send().await;
            for n in 0..5 {
                ask(email, &format!("10.0.{n}.1")).await.expect(202);
            }
            seen.push(ask(&email.to_uppercase(), "10.9.9.9").await.expect(429).seen());
        }
        assert_eq!(seen[0], seen[1]);
        for n in 0..8 {
            world.ask_reset(&format!("nobody{n}@example.test")).await.expect(202);
        }
        world.ask_reset("nobody9@example.test").await.expect_problem(429, "auth.too_many_requests");
    }

    async fn a_password_that_changed_in_between_makes_the_link_worthless(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        let token = world.reset_token("mia@example.test").await;
        world.ask_reset("mia@example.test").await.expect(202);
        let request = world.facts::<PasswordResetRequested>().await.remove(0).request;
        world.change_password(&mine, PASSWORD, NEW).await.expect(204);
        world.reset(&token, OTHER_PASSWORD).await.expect_problem(410, "auth.spent_token");
        let late = world.service.mint_link(&Caller::module("test"), MintLink { request }).await;
        assert_eq!(late.unwrap_err().kind, Kind::Gone);
        world.log_in("mia@example.test", NEW).await.expect(200);
        let token = world.reset_token("mia@example.test").await;
        sql(&world.db, "UPDATE auth_accounts SET credential_version = credential_version + 1").await;
        world.reset(&token, OTHER_PASSWORD).await.expect_problem(410, "auth.spent_token");
    }

    async fn a_disabled_account_is_not_reset(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        let token = world.reset_token("mia@example.test").await;
        sql(&world.db, "UPDATE auth_accounts SET state = 'disabled'").await;
        world.reset(&token, NEW).await.expect_problem(410, "auth.spent_token");
        sql(&world.db, "UPDATE auth_accounts SET state = 'active'").await;
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
    }

    async fn who_registered_somebody_elses_address_first_gains_nothing_by_the_owners_reset(db: Database) {
        let world = World::new(db).await;
        world.register("mia@example.test", OTHER_PASSWORD).await.expect(202);
        let (_, theirs) = world.requested().await[0];
        let theirs = world.token_of(theirs).await;
        let token = world.reset_token("mia@example.test").await;
        world.reset(&token, NEW).await.expect(204);
        let told = world.told().await;
        assert!(told.contains(&"auth.account.verified".to_owned()), "{told:?}");
        world.verify(&theirs).await.expect_problem(410, "auth.spent_token");
        world.log_in("mia@example.test", OTHER_PASSWORD).await.expect(401);
        world.log_in("mia@example.test", NEW).await.expect(200);
        assert_eq!(count(&world.db, "auth_one_time_requests WHERE password_hash IS NOT NULL").await, 0);
    }

    async fn registering_the_address_all_the_time_does_not_keep_its_owner_from_a_reset(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        for _ in 0..9 {
            world.register("mia@example.test", OTHER_PASSWORD).await.expect(202);
        }
        let token = world.reset_token("mia@example.test").await;
        world.reset(&token, NEW).await.expect(204);
        world.log_in("mia@example.test", NEW).await.expect(200);
        for _ in 0..5 {
            world.ask_reset("ben@example.test").await.expect(202);
        }
        world.register("ben@example.test", PASSWORD).await.expect(202);
        assert_eq!(world.requested().await.len(), 1, "nor does the other one");
    }

    async fn when_sessions_can_not_be_ended_nothing_is_reset(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        let token = world.reset_token("mia@example.test").await;
        sql(&world.db, "ALTER TABLE auth_sessions RENAME TO auth_sessions_gone").await;
        let reply = world.reset(&token, NEW).await;
        assert!(reply.status >= 500, "{}", reply.text);
        sql(&world.db, "ALTER TABLE auth_sessions_gone RENAME TO auth_sessions").await;
        world.log_in("mia@example.test", NEW).await.expect(401);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
        assert!(world.is_in(&mine).await);
        world.reset(&token, NEW).await.expect(204);
        assert!(!world.is_in(&mine).await);
    }

    async fn fifty_at_once_are_one_success(db: Database) {
        let world = World::new(db).await;
        for round in 0..20 {
            let email = format!("mia{round}@example.test");
            world.member(&email).await;
            let token = world.reset_token(&email).await;
            let passwords: Vec<String> = (0..50).map(|n| format!("{NEW} {n}")).collect();
            let replies = join_all(passwords.iter().map(|password| world.reset(&token, password))).await;
            let won: Vec<usize> = (0..50).filter(|n| replies[*n].status == 204).collect();
            assert_eq!(won.len(), 1);
            assert!(replies.iter().all(|it| it.status == 204 || it.status == 410));
            world.log_in(&email, &passwords[won[0]]).await.expect(200);
        }
    }

    async fn two_links_of_one_account_at_once_are_one_success(db: Database) {
        let world = World::new(db).await;
        for round in 0..8 {
            let email = format!("mia{round}@example.test");
            world.member(&email).await;
            let (one, other) = (world.reset_token(&email).await, world.reset_token(&email).await);
            let (first, second) = tokio::join!(world.reset(&one, NEW), world.reset(&other, OTHER_PASSWORD));
            let mut statuses = [first.status, second.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [204, 410]);
            world.log_in(&email, if first.status == 204 { NEW } else { OTHER_PASSWORD }).await.expect(200);
        }
    }

    async fn a_login_that_races_with_a_reset_leaves_no_session_of_the_old_password(db: Database) {
        let world = World::new(db).await;
        for round in 0..12 {
            let email = format!("mia{round}@example.test");
            world.member(&email).await;
            let token = world.reset_token(&email).await;
            let (reply, login) = tokio::join!(world.reset(&token, NEW), world.log_in(&email, PASSWORD));
            reply.expect(204);
            if login.status == 200 {
                let tokens = login.tokens();
                assert!(!world.is_in(&tokens).await);
                world.refresh(&tokens.refresh).await.expect(401);
            }
        }
        let stale = "auth_sessions s JOIN auth_accounts a ON a.id = s.account_id WHERE s.revoked_at IS NULL AND \
                     s.credential_version <> a.credential_version";
        assert_eq!(count(&world.db, stale).await, 0);
    }

    async fn a_huge_password_is_refused_without_a_hash(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        let token = world.reset_token("mia@example.test").await;
        for size in [1_025, 60_000, 1_000_000] {
            let reply = world.reset(&token, &"x".repeat(size)).await;
            assert!(reply.status == 422 || reply.status == 413, "{size}: {}", reply.status);
        }
        world.reset(&token, &"four".repeat(16)).await.expect(204);
    }
}
