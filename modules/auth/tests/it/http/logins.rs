//! Logging in, and guessing.

use crate::accounts::import::account;
use crate::accounts::{caller, to_make};
use crate::store::sql;
use crate::world::{LOGINS, OTHER_PASSWORD, PASSWORD, PUBLIC_URL, REGISTRATIONS, World};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::auth::{Auth as _, ImportAccount, ImportAccounts, SessionCreated};
use contracts::{Caller, Concealed};
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

/// What a token says, unverified.
fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap());
    (next().unwrap(), next().unwrap())
}

async fn guess(world: &World, email: &str, password: &str, from: &str) -> crate::world::Reply {
    world.post(LOGINS, &json!({ "email": email, "password": password })).from(from).send().await
}

both_engines! {
    async fn a_login_gives_tokens_and_tells(db: Database) {
        let world = World::new(db).await;
        let user = world.member("mia@example.test").await;
        world.events().await;
        let reply = world.log_in("mia@example.test", PASSWORD).await.expect(200);
        assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"));
        assert_eq!((reply.word("token_type").as_str(), &reply.body["expires_in"]), ("Bearer", &json!(600)));
        assert_eq!(reply.body.as_object().unwrap().len(), 5);
        let tokens = reply.tokens();
        let (header, claims) = parts(&tokens.access);
        assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("at+jwt"), Some("EdDSA")));
        let now = world.clock.now().seconds();
        for (name, value) in [
            ("iss", json!(PUBLIC_URL)), ("aud", json!(PUBLIC_URL)), ("sub", json!(user)),
            ("sid", json!(tokens.session)), ("client_id", json!("doorward")), ("iat", json!(now)),
            ("exp", json!(now + 600)), ("auth_time", json!(now)),
        ] {
            assert_eq!(claims[name], value, "{name}");
        }
        let created: SessionCreated = world.events().await[0].read().unwrap();
        assert_eq!((created.user, created.session.to_string()), (user, tokens.session));
        let trail = world.trail().await;
        let last = trail.last().unwrap();
        assert_eq!((last.action.as_str(), &last.subject_id), ("auth.login.succeeded", &user.to_string()));
    }

    async fn whatever_does_not_fit_looks_the_same(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        world.member("off@example.test").await;
        sql(&world.db, "UPDATE auth_accounts SET state = 'disabled' WHERE email = 'off@example.test'").await;
        world.register("new@example.test", PASSWORD).await.expect(202);
        let wrong = world.log_in("mia@example.test", OTHER_PASSWORD).await;
        let wrong = wrong.expect_problem(401, "auth.invalid_credentials").seen();
        let others = [
            ("nobody@example.test", PASSWORD), ("off@example.test", PASSWORD), ("off@example.test", OTHER_PASSWORD),
            ("new@example.test", PASSWORD), ("no address", PASSWORD), ("m\u{131}a@example.test", PASSWORD),
            ("mia@example.test", ""), ("", ""),
        ];
        for (email, password) in others {
            assert_eq!(world.log_in(email, password).await.seen(), wrong, "{email:?}");
        }
        let trail = format!("{:?}", world.trail().await);
        assert_eq!(trail.matches("auth.login.failed").count(), 9);
        assert!(!trail.contains("@"), "no address in the trail: {trail}");
    }

    async fn after_too_many_failures_the_right_password_is_refused_too(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        let mut limited = Vec::new();
        for email in ["mia@example.test", "nobody@example.test", "no address"] {
            let spellings = [email.to_owned(), email.to_uppercase()];
            for n in 0..10 {
                let from = format!("198.51.100.{n}");
                guess(&world, &spellings[n % 2], OTHER_PASSWORD, &from).await.expect(401);
            }
            let reply = guess(&world, email, PASSWORD, "198.51.100.99").await;
            let reply = reply.expect_problem(429, "auth.too_many_failures");
            assert!((1..=90).contains(&reply.header("retry-after").parse::<u32>().unwrap()));
            limited.push(reply.seen());
        }
        assert_eq!(limited[0], limited[1], "who is unknown is limited alike");
        assert_eq!(limited[0], limited[2]);
        guess(&world, "mia@example.test", PASSWORD, "203.0.113.1").await.expect(200);
        guess(&world, "mia@example.test", PASSWORD, "198.51.100.99").await.expect(429);
        world.pass(90);
        guess(&world, "mia@example.test", PASSWORD, "198.51.100.99").await.expect(200);
        for _ in 0..10 {
            guess(&world, "mia@example.test", OTHER_PASSWORD, "198.51.100.99").await.expect(401);
        }
    }

    async fn one_network_has_one_count_however_it_is_written(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        let addresses = ["2001:db8:0:7::1", "2001:DB8:0:7:ffff::", "2001:db8::7:0:0:0:3"];
        for n in 0..10 {
            guess(&world, "mia@example.test", OTHER_PASSWORD, addresses[n % 3]).await.expect(401);
        }
        guess(&world, "mia@example.test", PASSWORD, "2001:db8:0:7:1:2:3:4").await.expect(429);
        for n in 0..10 {
            let from = if n % 2 == 0 { "::ffff:192.0.2.1" } else { "192.0.2.77" };
            guess(&world, "mia@example.test", OTHER_PASSWORD, from).await.expect(401);
        }
        guess(&world, "mia@example.test", PASSWORD, "192.0.2.1").await.expect(429);
    }

    async fn headers_do_not_change_who_is_counted(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        let body = json!({ "email": "mia@example.test", "password": OTHER_PASSWORD });
        for n in 0..10 {
            let ask = world.post(LOGINS, &body).header("x-forwarded-for", &format!("10.0.{n}.1"));
            ask.header("x-real-ip", "10.9.9.9").header("forwarded", "for=10.8.8.8").send().await.expect(401);
        }
        let ask = world.post(LOGINS, &body).header("x-forwarded-for", "10.77.0.1");
        ask.send().await.expect(429);
    }

    async fn guessing_from_everywhere_ends_too(db: Database) {
        let world = World::with(db, |settings| settings.limits.login_failures_per_address = 20).await;
        world.member("mia@example.test").await;
        for n in 0..20 {
            guess(&world, "mia@example.test", OTHER_PASSWORD, &format!("10.0.{n}.1")).await.expect(401);
        }
        guess(&world, "mia@example.test", PASSWORD, "10.1.0.1").await.expect(429);
    }

    async fn who_is_logged_in_somewhere_is_not_locked_out_there_by_others(db: Database) {
        let world = World::with(db, |settings| settings.limits.login_failures_per_address = 20).await;
        world.member("mia@example.test").await;
        let mine = guess(&world, "mia@example.test", PASSWORD, "192.0.2.1").await.expect(200).tokens();
        for n in 0..20 {
            guess(&world, "mia@example.test", OTHER_PASSWORD, &format!("10.0.{n}.1")).await.expect(401);
        }
        guess(&world, "mia@example.test", PASSWORD, "203.0.113.1").await.expect(429);
        guess(&world, "mia@example.test", PASSWORD, "192.0.2.77").await.expect(200);
        for _ in 0..10 {
            guess(&world, "mia@example.test", OTHER_PASSWORD, "192.0.2.77").await.expect(401);
        }
        guess(&world, "mia@example.test", PASSWORD, "192.0.2.1").await.expect(429);
        world.pass(90);
        guess(&world, "mia@example.test", PASSWORD, "192.0.2.1").await.expect(200);
        world.delete(crate::world::SESSIONS).by(&mine).send().await.expect(204);
        world.delete("/api/v1/auth/sessions/current").by(&mine).send().await.expect(204);
        guess(&world, "mia@example.test", PASSWORD, "192.0.2.1").await.expect(200);
    }

    async fn a_session_that_nobody_uses_any_more_gets_nobody_past_the_lock(db: Database) {
        let world = World::with(db, |settings| {
            settings.limits.login_failures_per_address = 20;
            settings.tokens.idle_days = 2;
        }).await;
        world.member("mia@example.test").await;
        guess(&world, "mia@example.test", PASSWORD, "192.0.2.1").await.expect(200);
        for (days, agent, status) in [(1, "x", 200), (2, "y", 429)] {
            world.pass(days * 86_400);
            for n in 0..20 {
                guess(&world, "mia@example.test", OTHER_PASSWORD, &format!("10.{days}.{n}.1")).await.expect(401);
            }
            // Another client each time, so that only the first session speaks for it.
            let here = world.log_in_from("192.0.2.77", agent, "mia@example.test").await.expect(status);
            if here.status == 200 {
                world.delete("/api/v1/auth/sessions/current").by(&here.tokens()).send().await.expect(204);
            }
        }
    }

    async fn one_network_leaves_half_of_the_hashing_to_the_others(db: Database) {
        let world = World::with(db, |settings| {
            settings.hash.threads = 1;
            settings.hash.queue = 8;
        }).await;
        let emails: Vec<String> = (0..40).map(|n| format!("mia{n}@example.test")).collect();
        let ask = async |n: usize, email: &String| {
            let body = json!({ "email": email, "password": PASSWORD });
            world.post([LOGINS, REGISTRATIONS][n % 2], &body).from("2001:db8::1").send().await
        };
        let greedy = join_all(emails.iter().enumerate().map(|(n, email)| ask(n, email)));
        let others = join_all(["192.0.2.1", "198.51.100.1"].map(|from| guess(&world, "ben@example.test", PASSWORD, from)));
        let (greedy, others) = tokio::join!(greedy, others);
        assert!(others.iter().all(|reply| reply.status == 401), "{others:?}");
        let refused: Vec<_> = greedy.iter().filter(|reply| reply.status == 503).collect();
        assert!(!refused.is_empty());
        for reply in refused {
            assert_eq!((reply.body["code"].as_str(), reply.header("retry-after")), (Some("auth.busy"), "1"));
        }
    }

    async fn making_and_importing_accounts_keeps_nobody_from_logging_in(db: Database) {
        let world = World::with(db, |settings| {
            settings.hash.threads = 1;
            settings.hash.queue = 8;
            settings.hash.memory_kib = 16_384;
        }).await;
        world.member("mia@example.test").await;
        let desk = Caller { client_address: Some("192.0.2.99".parse().unwrap()), ..caller() };
        let login = || guess(&world, "mia@example.test", PASSWORD, "198.51.100.1");
        let made = join_all((0..40).map(|n| {
            world.service.create_account(&desk, to_make(&format!("made{n}@example.test")))
        }));
        let (made, reply) = tokio::join!(made, login());
        assert_eq!(reply.status, 200, "{}", reply.text);
        let refused: Vec<_> = made.iter().filter_map(|it| it.as_ref().err()).collect();
        assert!(!refused.is_empty() && refused.len() < 40, "{}", refused.len());
        assert!(refused.iter().all(|error| error.code == "auth.busy"), "{refused:?}");
        let imports = join_all((0..20).map(|n| {
            let password = Some(Concealed::new(PASSWORD));
            let accounts = (0..2).map(|m| account(&format!("import{n}.{m}@example.test")));
            let accounts = accounts.map(|it| ImportAccount { password: password.clone(), ..it }).collect();
            world.service.import_accounts(&desk, ImportAccounts { dry_run: false, accounts })
        }));
        let (imports, reply) = tokio::join!(imports, login());
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert!(imports.iter().all(Result::is_ok), "imports wait for each other");
    }

    async fn a_crowd_at_one_account_is_sent_away_at_once(db: Database) {
        let world = World::with(db, |settings| {
            settings.hash.threads = 1;
            settings.hash.queue = 4;
        }).await;
        world.member("mia@example.test").await;
        let replies = join_all((0..40).map(|_| world.log_in("mia@example.test", PASSWORD))).await;
        let count = |status| replies.iter().filter(|reply| reply.status == status).count();
        assert!(count(200) >= 3 && count(503) >= 1 && count(200) + count(503) == 40, "{}", count(200));
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
    }

    async fn a_success_forgives_the_failures_from_its_own_network_only(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        for _ in 0..3 {
            for _ in 0..9 {
                guess(&world, "mia@example.test", OTHER_PASSWORD, "192.0.2.1").await.expect(401);
            }
            guess(&world, "mia@example.test", PASSWORD, "192.0.2.1").await.expect(200);
        }
        for _ in 0..10 {
            guess(&world, "mia@example.test", OTHER_PASSWORD, "203.0.113.1").await.expect(401);
        }
        guess(&world, "mia@example.test", PASSWORD, "192.0.2.1").await.expect(200);
        guess(&world, "mia@example.test", PASSWORD, "203.0.113.1").await.expect(429);
    }

    async fn guessing_at_once_does_not_get_past_the_limit(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        let replies = join_all((0..100).map(|_| world.log_in("mia@example.test", OTHER_PASSWORD))).await;
        let count = |status| replies.iter().filter(|reply| reply.status == status).count();
        assert_eq!((count(401), count(429)), (10, 90));
    }

    async fn logging_in_at_once_does_not_lock_anybody_out(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        for _ in 0..9 {
            world.log_in("mia@example.test", OTHER_PASSWORD).await.expect(401);
        }
        let replies = join_all((0..60).map(|_| world.log_in("mia@example.test", PASSWORD))).await;
        assert!(replies.iter().all(|reply| reply.status == 200), "{:?}", replies.iter().find(|it| it.status != 200));
    }

    async fn a_full_pool_refuses_at_once(db: Database) {
        let world = World::with(db, |settings| {
            settings.hash.threads = 1;
            settings.hash.queue = 1;
            settings.hash.memory_kib = 65_536;
        }).await;
        let emails: Vec<String> = (0..20).map(|n| format!("mia{n}@example.test")).collect();
        let replies = join_all(emails.iter().map(|email| world.register(email, PASSWORD))).await;
        let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
        assert!(!refused.is_empty() && replies.iter().any(|reply| reply.status == 202));
        for reply in refused {
            assert_eq!((reply.body["code"].as_str(), reply.header("retry-after")), (Some("auth.busy"), "1"));
        }
    }

    async fn what_changes_while_a_password_is_compared_counts(db: Database) {
        let slow = |settings: &mut auth::Settings| {
            settings.hash.memory_kib = 65_536;
            settings.hash.iterations = 10;
        };
        let world = World::with(db, slow).await;
        world.member("mia@example.test").await;
        for change in ["state = 'disabled'", "credential_version = credential_version + 1"] {
            let meanwhile = async {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                sql(&world.db, &format!("UPDATE auth_accounts SET {change}")).await;
            };
            let (reply, ()) = tokio::join!(world.log_in("mia@example.test", PASSWORD), meanwhile);
            reply.expect_problem(401, "auth.invalid_credentials");
            sql(&world.db, "UPDATE auth_accounts SET state = 'active'").await;
        }
        assert_eq!(crate::store::count(&world.db, "auth_sessions").await, 0);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
    }

    async fn registering_does_not_change_how_somebody_logs_in(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        let body = json!({ "email": "mia@example.test", "password": OTHER_PASSWORD });
        world.post(REGISTRATIONS, &body).send().await.expect(202);
        world.log_in("mia@example.test", OTHER_PASSWORD).await.expect(401);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
    }
}
