//! Who takes messages: providers over HTTP, the next one when the first is in trouble, and circuits.

use std::sync::Arc;
use std::time::Duration;

use contracts::users::Profile;
use notifications::{Circuit, Failure, Format, Kind, Outlets, Reason, SmsProvider};
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;
use testkit::mail_trap::{MailTrap, Manner};
use testkit::sms_gateway::{Answer, SmsGateway};

use crate::world::{Hand, World, announce, deliver_all};

pub(crate) const NUMBER: &str = "+436601234567";

/// A provider that speaks Twilio's interface.
pub(crate) fn twilio(gateway: &SmsGateway) -> SmsProvider {
    SmsProvider {
        kind: Kind::Twilio,
        url: gateway.url(),
        from: "+15005550006".to_owned(),
        account: "AC1".to_owned(),
        token: "a secret of twilio".into(),
        ..SmsProvider::default()
    }
}

/// A provider of any other kind.
pub(crate) fn plain(gateway: &SmsGateway) -> SmsProvider {
    SmsProvider {
        kind: Kind::Http,
        url: format!("{}/send?v=1", gateway.url()),
        from: "Doorward".to_owned(),
        token: "Bearer hush".into(),
        receipt_secret: "a secret for receipts".into(),
        ..SmsProvider::default()
    }
}

/// A world whose short messages go through these.
pub(crate) fn texting(db: Database, primary: SmsProvider, fallback: SmsProvider) -> World {
    let mut world = World::new(db);
    (world.settings.sms.primary, world.settings.sms.fallback) = (primary, fallback);
    world.settings.provider_timeout_ms = 300;
    world
}

pub(crate) fn to_phone() -> serde_json::Value {
    json!({ "to": { "phone": NUMBER }, "data": { "subject": "x", "text": "Grüße", "link": "https://example.org/a" } })
}

both_engines! {
    async fn twilio_is_handed_what_it_wants(db: Database) {
        let gateway = SmsGateway::start().await;
        let world = texting(db, twilio(&gateway), SmsProvider::default());
        let service = world.service();
        let id = world.send(&service, &to_phone()).await;
        deliver_all(&service).await;
        let taken = gateway.taken().remove(0);
        assert_eq!(taken.path, "/2010-04-01/Accounts/AC1/Messages.json");
        assert_eq!(taken.headers["authorization"], "Basic QUMxOmEgc2VjcmV0IG9mIHR3aWxpbw==");
        assert_eq!((taken.fields["To"].as_str(), taken.fields["From"].as_str()), (NUMBER, "+15005550006"));
        assert_eq!(taken.fields["Body"], "Doorward: Grüße https://example.org/a");
        let delivery = world.delivery(&service, &id).await;
        let callback = format!("https://id.example.org/api/v1/notifications/receipts/primary?delivery={}", delivery["id"].as_str().unwrap());
        assert_eq!(taken.fields["StatusCallback"], callback);
        assert_eq!((&delivery["state"], &delivery["provider"]), (&json!("sent"), &json!("primary")));
        assert_eq!((&delivery["provider_message_id"], &delivery["segments"]), (&json!(taken.id), &json!(1)));
    }

    async fn any_other_provider_is_handed_the_fields_it_names(db: Database) {
        for format in [Format::Json, Format::Form] {
            let gateway = SmsGateway::start().await;
            let named = SmsProvider {
                format,
                to_field: "recipient".to_owned(),
                text_field: "message".to_owned(),
                header: "x-api-key".to_owned(),
                ..plain(&gateway)
            };
            let world = texting(db.clone(), named, SmsProvider::default());
            let service = world.service();
            let id = world.send(&service, &to_phone()).await;
            deliver_all(&service).await;
            let (taken, delivery) = (gateway.taken().remove(0), world.delivery(&service, &id).await);
            assert_eq!((taken.path.as_str(), taken.headers["x-api-key"].as_str()), ("/send?v=1", "Bearer hush"));
            assert_eq!((taken.fields["recipient"].as_str(), taken.fields["from"].as_str()), (NUMBER, "Doorward"));
            assert_eq!(json!(taken.fields["reference"]), delivery["id"]);
            assert_eq!(json!(taken.headers["idempotency-key"]), delivery["id"]);
            assert!(taken.fields["message"].contains("Grüße"), "{taken:?}");
        }
    }

    async fn answers_of_providers_are_read_right(db: Database) {
        let say = |status, text: &str| Answer::Say(status, text.to_owned());
        let cases = [
            (say(400, r#"{"code":21211,"message":"The 'To' number +436601234567 is not valid"}"#), "parked", "recipient_refused"),
            (say(400, r#"{"code":21612}"#), "parked", "provider_refused"),
            (say(422, "no JSON <b>+436601234567</b>"), "parked", "provider_refused"),
            (say(401, r#"{"code":20003}"#), "queued", "provider_unavailable"),
            (say(429, ""), "queued", "provider_unavailable"),
            (say(500, ""), "queued", "provider_unavailable"),
            (say(302, ""), "queued", "provider_unavailable"),
            (Answer::Drop, "queued", "provider_unavailable"),
            (Answer::Hang, "queued", "provider_unavailable"),
        ];
        let gateway = SmsGateway::start().await;
        let mut world = texting(db, twilio(&gateway), SmsProvider::default());
        world.settings.circuit = Circuit { failures: 100, open_seconds: 1 };
        world.settings.limits.sms = 15;
        let service = world.service();
        for (number, (answer, state, reason)) in cases.into_iter().enumerate() {
            gateway.next([answer.clone()]);
            let id = world.send(&service, &json!({ "to": { "phone": format!("+43660000000{number}") } })).await;
            assert_eq!(service.deliver_due().await.unwrap(), 1);
            let delivery = world.delivery(&service, &id).await;
            assert_eq!((&delivery["state"], &delivery["reason"]), (&json!(state), &json!(reason)), "{answer:?}: {delivery}");
            let told = delivery["last_error"].as_str().unwrap();
            assert!(!told.contains("436601") && !told.contains('<') && !told.contains("127.0.0.1"), "{told}");
        }
        assert_eq!(gateway.taken().len(), 0);
    }

    async fn a_provider_that_points_elsewhere_is_not_followed(db: Database) {
        let (gateway, elsewhere) = (SmsGateway::start().await, SmsGateway::start().await);
        gateway.next([Answer::Redirect(format!("{}/steal", elsewhere.url()))]);
        let world = texting(db, plain(&gateway), SmsProvider::default());
        let service = world.service();
        world.send(&service, &to_phone()).await;
        deliver_all(&service).await;
        assert_eq!((elsewhere.asked(), gateway.taken().len()), (0, 0));
    }

    async fn the_next_provider_takes_what_the_first_one_cannot(db: Database) {
        for answer in [Answer::Say(503, String::new()), Answer::Drop, Answer::Hang] {
            let (first, second) = (SmsGateway::start().await, SmsGateway::start().await);
            first.next([answer.clone()]);
            let world = texting(db.clone(), twilio(&first), plain(&second));
            let service = world.service();
            let begun = std::time::Instant::now();
            let id = world.send(&service, &to_phone()).await;
            deliver_all(&service).await;
            assert!(begun.elapsed() < Duration::from_secs(5), "{answer:?}: {:?}", begun.elapsed());
            let delivery = world.delivery(&service, &id).await;
            assert_eq!((&delivery["state"], &delivery["provider"]), (&json!("sent"), &json!("fallback")), "{answer:?}");
            assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1, "in the same try");
            assert_eq!((first.taken().len(), second.taken().len()), (0, 1));
        }
    }

    async fn what_a_provider_refuses_for_good_is_not_asked_of_the_next(db: Database) {
        let (first, second) = (SmsGateway::start().await, SmsGateway::start().await);
        first.next([Answer::Say(400, r#"{"code":21614}"#.to_owned())]);
        let world = texting(db, twilio(&first), plain(&second));
        let service = world.service();
        let id = world.send(&service, &to_phone()).await;
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &id).await, ("parked".to_owned(), "recipient_refused".to_owned()));
        assert_eq!(second.asked(), 0);
    }

    async fn mail_goes_through_the_second_server_when_the_first_is_gone(db: Database) {
        let (gone, second) = (MailTrap::start().await, MailTrap::start().await);
        let mut world = World::mailing(db, &gone);
        world.smtp.fallback_url = second.url().as_str().into();
        drop(gone);
        let service = world.service();
        let id = announce(&service, "mia@example.org", "News").await.to_string();
        deliver_all(&service).await;
        let delivery = world.delivery(&service, &id).await;
        assert_eq!((&delivery["state"], &delivery["provider"]), (&json!("sent"), &json!("fallback")), "{delivery}");
        assert_eq!(second.mails().len(), 1);
    }

    async fn a_full_mailbox_shuts_nobody_elses_mail_out(db: Database) {
        let trap = MailTrap::start().await;
        let mut world = World::mailing(db, &trap);
        world.settings.circuit.failures = 1;
        let service = world.service();
        trap.next([Manner::PutOff, Manner::PutOff]);
        for number in 0..2 {
            announce(&service, &format!("full{number}@example.org"), "News").await;
        }
        deliver_all(&service).await;
        announce(&service, "mia@example.org", "News").await;
        deliver_all(&service).await;
        assert_eq!(trap.mails().len(), 1);
    }

    async fn a_provider_that_fails_again_and_again_is_left_alone_and_comes_back(db: Database) {
        let mut world = World::new(db);
        world.settings.circuit = Circuit { failures: 3, open_seconds: 1 };
        let broken = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (is_broken, count) = (Arc::clone(&broken), Arc::clone(&asked));
        let first = Hand::new(move |_| {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if is_broken.load(std::sync::atomic::Ordering::SeqCst) { Err(Failure::unavailable("gone")) } else { Ok(()) }
        });
        let second = Hand::new(|_| Ok(()));
        let service = world.service_over(Outlets {
            email: vec![Arc::new(first.clone()), Arc::new(second.clone())],
            sms: Vec::new(),
        });
        let send = async || {
            announce(&service, "mia@example.org", "News").await;
            deliver_all(&service).await;
        };
        for _ in 0..3 {
            send().await;
        }
        let opened = std::time::Instant::now();
        for _ in 0..3 {
            send().await;
        }
        if opened.elapsed() < Duration::from_secs(1) {
            assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 3, "then it is left alone");
        }
        assert_eq!(second.taken().len(), 6, "and nothing waits");
        broken.store(false, std::sync::atomic::Ordering::SeqCst);
        while first.taken().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            send().await;
        }
        let by_the_second = second.taken().len();
        for _ in 0..3 {
            send().await;
        }
        assert_eq!((first.taken().len(), second.taken().len()), (4, by_the_second), "it is back");
    }

    async fn how_long_a_provider_is_left_alone_has_nothing_to_do_with_the_clock_on_the_wall(db: Database) {
        let mut world = World::new(db);
        world.settings.circuit = Circuit { failures: 1, open_seconds: 3_600 };
        let service = world.service_with(Hand::new(|_| Err(Failure::unavailable("gone"))));
        let first = announce(&service, "a@example.org", "News").await.to_string();
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &first).await.1, "provider_unavailable");
        world.clock.advance(Duration::from_secs(3_700));
        let second = announce(&service, "b@example.org", "News").await.to_string();
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &second).await.1, "circuit_open", "nobody waited an hour");
    }

    async fn when_every_circuit_is_open_that_is_the_reason(db: Database) {
        let mut world = World::new(db);
        world.settings.circuit = Circuit { failures: 1, open_seconds: 60 };
        let service = world.service_with(Hand::new(|_| Err(Failure::unavailable("gone"))));
        let first = announce(&service, "a@example.org", "News").await.to_string();
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &first).await.1, "provider_unavailable");
        let second = announce(&service, "b@example.org", "News").await.to_string();
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &second).await, ("queued".to_owned(), "circuit_open".to_owned()));
    }

    async fn without_a_provider_development_shows_short_messages(db: Database) {
        let world = World::new(db);
        let service = world.service();
        world.send(&service, &to_phone()).await;
        deliver_all(&service).await;
        let mail = &world.mails(&service).await[0];
        assert_eq!((&mail["channel"], &mail["to"]), (&json!("sms"), &json!(NUMBER)));
        assert_eq!(mail["text"], "Doorward: Grüße https://example.org/a");
    }

    async fn elsewhere_a_message_to_a_phone_is_refused_at_once(db: Database) {
        let trap = MailTrap::start().await;
        let world = World::mailing(db, &trap);
        let body = json!({ "template": "announcement", "data": { "subject": "x", "text": "y" }, "to": { "phone": NUMBER } });
        let answer = world.ask(&world.service(), actix_web::http::Method::POST, "/api/v1/notifications", Some(body)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (422, "notifications.channel_unavailable"));
        assert_eq!(answer.pointers(), ["/to/phone"]);
    }

    async fn what_is_too_long_for_a_phone_is_not_sent(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let long = json!({ "to": { "phone": NUMBER }, "data": { "subject": "x", "text": "ж".repeat(300) } });
        let id = world.send(&service, &long).await;
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &id).await, ("parked".to_owned(), "too_long".to_owned()));
    }

    async fn a_number_nobody_has_proven_gets_nothing_unless_the_operator_wants_it(db: Database) {
        let mut world = World::new(db);
        let user = world.auth.add_account("mia@example.org").id;
        let body = json!({ "to": { "user_id": user }, "channels": ["sms"] });
        let service = world.service();
        let first = world.send(&service, &body).await;
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &first).await, ("suppressed".to_owned(), "no_phone".to_owned()));
        let phone = Some(NUMBER.to_owned());
        world.users.set_profile(Profile { id: user, display_name: None, phone, locale: None, time_zone: None });
        let second = world.send(&service, &body).await;
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &second).await, ("suppressed".to_owned(), "phone_unverified".to_owned()));
        world.settings.sms.unproven_numbers = true;
        let service = world.service();
        let third = world.send(&service, &body).await;
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &third).await.0, "sent");
        let reasons = [Reason::NoPhone, Reason::PhoneUnverified];
        assert_eq!(reasons.map(Reason::as_str), ["no_phone", "phone_unverified"]);
    }
}
