//! Registering, with good and with evil intentions.

use crate::world::{OTHER_PASSWORD, PASSWORD, REGISTRATIONS, World};
use contracts::auth::{AccountRegistered, VerificationRequested};
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

/// What no address may be.
const NO_ADDRESSES: [&str; 18] = [
    "",
    "mia",
    "@example.test",
    "mia@",
    "mia@example",
    "\"mia@evil.test\"@example.test",
    "\"mia\"@example.test",
    "mia@example.test@evil.test",
    "mia@corp.test\u{ff20}evil.test",
    "mia@corp.test\u{fe6b}evil.test",
    "mia@example.test,evil@evil.test",
    "mia@example.test;evil@evil.test",
    "mia@example.test\r\nBcc: evil@evil.test",
    "mia@example.test\u{1}",
    "<mia@example.test>",
    "m\u{131}a@example.test",
    "\u{fb01}a@example.test",
    "mia@[127.0.0.1]",
];

both_engines! {
    async fn a_registration_is_accepted_and_told(db: Database) {
        let world = World::new(db).await;
        let body = json!({
            "email": "Mia@Example.TEST", "password": PASSWORD, "display_name": " Mia ", "locale": "de-AT"
        });
        let reply = world.post(REGISTRATIONS, &body).send().await.expect(202);
        assert_eq!(reply.body, json!({ "status": "verification_sent" }));
        let events = world.events().await;
        let registered: AccountRegistered = events[0].read().unwrap();
        assert_eq!((registered.display_name.as_deref(), registered.locale.as_deref()), (Some("Mia"), Some("de-AT")));
        let requested: VerificationRequested = events[1].read().unwrap();
        assert_eq!((requested.user, requested.locale.as_deref()), (registered.user, Some("de-AT")));
        assert_eq!(events.len(), 2);
        let trail = world.trail().await;
        assert_eq!(trail[0].action, "auth.account.registered");
        assert_eq!(trail[0].subject_id, registered.user.to_string());
        assert!(!format!("{trail:?}").contains("example.test"), "no address in the trail");
        assert!(!serde_json::to_string(&events).unwrap().contains("example.test"), "no address in events");
    }

    async fn every_answer_is_the_same(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        let fresh = world.register("new@example.test", PASSWORD).await;
        let unproven = world.register("new@example.test", OTHER_PASSWORD).await;
        let proven = world.register("mia@example.test", OTHER_PASSWORD).await;
        assert_eq!(fresh.seen(), unproven.seen());
        assert_eq!(fresh.seen(), proven.seen());
        let expected = [
            "auth.account.registered", "auth.verification.requested", "auth.verification.requested",
            "auth.registration.repeated",
        ];
        let told = world.told().await;
        assert_eq!(told[told.len() - 4..], expected);
        world.log_in("mia@example.test", OTHER_PASSWORD).await.expect(401);
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
    }

    async fn every_broken_rule_is_listed(db: Database) {
        let world = World::new(db).await;
        let body = json!({ "email": "mia", "password": "123456", "display_name": "\n", "locale": "../etc" });
        let reply = world.post(REGISTRATIONS, &body).send().await;
        let reply = reply.expect_problem(422, "platform.invalid_input");
        let expected = [
            ("/email", "malformed_address"), ("/password", "too_short"), ("/password", "common_password"),
            ("/display_name", "empty"), ("/locale", "malformed_locale"),
        ];
        assert_eq!(reply.rules(), expected);
        let body = json!({ "email": "mia.hale@example.test", "password": "Mia.Hale2026" });
        let reply = world.post(REGISTRATIONS, &body).send().await;
        assert_eq!(reply.rules(), [("/password", "contains_address")]);
        assert_eq!(world.told().await, Vec::<String>::new());
    }

    async fn what_a_profile_would_drop_is_refused_and_the_rest_takes_its_normal_form(db: Database) {
        let world = World::new(db).await;
        let ask = |name: &str, locale: &str| {
            let body = json!({
                "email": "mia@example.test", "password": PASSWORD, "display_name": name, "locale": locale,
            });
            world.post(REGISTRATIONS, &body).send()
        };
        for name in ["Mia\u{202e}aiM", "Mia\u{2028}Hale", "\u{2066}Mia"] {
            assert_eq!(ask(name, "en").await.expect(422).rules(), [("/display_name", "control_character")]);
        }
        for locale in ["en-a", "de-x"] {
            assert_eq!(ask("Mia", locale).await.expect(422).rules(), [("/locale", "malformed_locale")]);
        }
        assert_eq!(world.told().await, Vec::<String>::new());
        ask(" Zoe\u{308} ", "DE-at").await.expect(202);
        let told = world.facts::<AccountRegistered>().await.pop().unwrap();
        assert_eq!((told.display_name.as_deref(), told.locale.as_deref()), (Some("Zoë"), Some("de-AT")));
    }

    async fn whoever_says_no_language_is_written_to_in_the_one_of_his_browser(db: Database) {
        let world = World::new(db).await;
        let expected = [
            (None, "fr;q=0.3, de-at;q=0.9, *", Some("de-AT")),
            (Some("it"), "de", Some("it")),
            (None, "*, en-a, \u{e9}", None),
            (None, "", None),
        ];
        for (n, (said, accepted, locale)) in expected.into_iter().enumerate() {
            let mut body = json!({ "email": format!("mia{n}@example.test"), "password": PASSWORD });
            if let Some(said) = said {
                body["locale"] = json!(said);
            }
            world.post(REGISTRATIONS, &body).header("accept-language", accepted).send().await.expect(202);
            let events = world.events().await;
            let registered: AccountRegistered = events[0].read().unwrap();
            let requested: VerificationRequested = events[1].read().unwrap();
            assert_eq!((registered.locale.as_deref(), requested.locale.as_deref()), (locale, locale), "{accepted}");
        }
    }

    async fn what_is_no_address_is_refused(db: Database) {
        let world = World::new(db).await;
        for email in NO_ADDRESSES {
            let reply = world.register(email, PASSWORD).await;
            assert_eq!((reply.status, reply.rules()[0].0), (422, "/email"), "{email:?}");
        }
        assert_eq!(world.told().await, Vec::<String>::new());
    }

    async fn a_text_must_be_a_text(db: Database) {
        let world = World::new(db).await;
        let addresses = [json!(["mia@example.test", "evil@evil.test"]), json!({"0": "a@b.test"}), json!(1), json!(null)];
        for email in addresses {
            let reply = world.post(REGISTRATIONS, &json!({ "email": email, "password": PASSWORD })).send().await;
            assert_eq!(reply.status, 422, "{email}");
            let body = json!({ "email": "mia@example.test", "password": email });
            assert_eq!(world.post(REGISTRATIONS, &body).send().await.status, 422, "{email}");
        }
        let unknown = json!({ "email": "mia@example.test", "password": PASSWORD, "state": "active" });
        let reply = world.post(REGISTRATIONS, &unknown).send().await.expect(422);
        assert_eq!(reply.rules(), [("/state", "unknown_field")]);
        let twice = r#"{"email":"a@b.test","email":"evil@evil.test","password":"correct horse battery"}"#;
        assert_eq!(world.post(REGISTRATIONS, &json!({})).raw(twice).send().await.status, 422);
        assert_eq!(world.told().await, Vec::<String>::new());
    }

    async fn a_huge_password_is_never_hashed(db: Database) {
        // Hashing anything would take minutes.
        let world = World::with(db, |settings| {
            settings.hash.memory_kib = 1_048_576;
            settings.hash.iterations = 64;
        }).await;
        for length in [1_025, 60_000, 1_000_000] {
            let password = "x!".repeat(length / 2 + 1);
            let body = json!({ "email": "mia@example.test", "password": password }).to_string();
            for path in [REGISTRATIONS, crate::world::LOGINS] {
                let started = std::time::Instant::now();
                let reply = world.post(path, &json!({})).raw(body.clone()).send().await;
                assert_eq!(reply.status, if length > 60_000 { 413 } else { 422 }, "{path} {length}");
                assert!(started.elapsed().as_secs() < 10, "{path} {length} took {:?}", started.elapsed());
            }
        }
    }

    async fn a_long_password_counts_to_its_end(db: Database) {
        let world = World::new(db).await;
        let password = "äöü-".repeat(100);
        world.register("mia@example.test", &password).await.expect(202);
        let (_, request) = world.requested().await[0];
        world.verify(&world.token_of(request).await).await.expect(204);
        world.log_in("mia@example.test", &format!("{password}x")).await.expect(401);
        world.log_in("mia@example.test", password.trim_end_matches('-')).await.expect(401);
        world.log_in("mia@example.test", &password).await.expect(200);
    }

    async fn a_hundred_at_once_are_one_account(db: Database) {
        let world = World::new(db).await;
        let spellings = ["mia@bücher.example", "MIA@BÜCHER.EXAMPLE", "Mia@xn--bcher-kva.example", "mia@XN--BCHER-KVA.example"];
        let replies = join_all((0..100).map(|n| world.register(spellings[n % 4], PASSWORD))).await;
        let good = replies.iter().filter(|reply| reply.status == 202).count();
        assert_eq!(good, 100, "{:?}", replies.iter().find(|reply| reply.status != 202));
        let told = world.told().await;
        assert_eq!(told.iter().filter(|it| *it == "auth.account.registered").count(), 1);
        assert_eq!(told.iter().filter(|it| *it == "auth.verification.requested").count(), 5);
    }

    async fn a_registration_takes_as_long_whoever_has_the_address(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for n in 0..10 {
            for (email, times) in [("mia@example.test", &mut known), (&format!("ben{n}@example.test"), &mut unknown)] {
                times.push(world.register(email, OTHER_PASSWORD).await.expect(202).took);
            }
        }
        let least = |times: &[std::time::Duration]| times.iter().min().copied().unwrap();
        let (known, unknown) = (least(&known), least(&unknown));
        assert!(known.as_millis() >= 50 && unknown.as_millis() >= 50, "{known:?} {unknown:?}");
        assert!(known.abs_diff(unknown).as_millis() < 4, "{known:?} {unknown:?}");
    }

    async fn one_address_gets_few_messages_and_nobody_notices(db: Database) {
        let world = World::new(db).await;
        for _ in 0..8 {
            world.register("mia@example.test", PASSWORD).await.expect(202);
        }
        assert_eq!(world.requested().await.len(), 5);
        world.pass(3_600);
        world.register("mia@example.test", PASSWORD).await.expect(202);
        assert_eq!(world.requested().await.len(), 1);
    }

    async fn a_network_that_registers_all_the_time_has_to_wait(db: Database) {
        let world = World::with(db, |settings| settings.limits.registrations_per_network = 3).await;
        let register = async |n: u32, from: &str| {
            let body = json!({ "email": format!("mia{n}@example.test"), "password": PASSWORD });
            world.post(REGISTRATIONS, &body).from(from).send().await
        };
        for n in 0..3 {
            register(n, "2001:db8::1").await.expect(202);
        }
        let reply = register(3, "2001:db8::ffff").await.expect_problem(429, "auth.too_many_requests");
        assert!(reply.header("retry-after").parse::<u32>().unwrap() > 0);
        register(4, "2001:db8:0:1::1").await.expect(202);
    }
}
