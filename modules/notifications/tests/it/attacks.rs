//! Attacks that were published against others, and floods.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::Method;
use notifications::{Failure, Outlets, Reason, Service};
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;
use testkit::mail_trap::{MailTrap, Tls};
use testkit::sms_gateway::{Answer, SmsGateway};

use crate::providers::{plain, texting, twilio};
use crate::world::{Hand, World, announce, deliver_all, while_working};

const PATH: &str = "/api/v1/notifications";

both_engines! {
    /// Four senders, 1,000 messages through a real mail server, one of them poison: each is there exactly once.
    async fn a_thousand_mails_by_four_senders_arrive_once_each_and_poison_stops_none(db: Database) {
        let trap = MailTrap::start().await;
        let mut world = World::mailing(db, &trap);
        (world.settings.retry_base_ms, world.settings.retry_max_ms, world.settings.max_attempts) = (1, 1, 3);
        let services: Vec<Arc<Service>> = (0..4).map(|_| world.service()).collect();
        let poison = world.service_with(Hand::new(|_| panic!("this message breaks the sender")));
        let bad = announce(&poison, "poison@example.org", "x").await.to_string();
        poison.deliver_due().await.unwrap();
        assert_eq!(world.fate(&poison, &bad).await, ("queued".to_owned(), "crashed".to_owned()));
        for number in 0..1_000 {
            announce(&services[number % 4], &format!("p{number}@example.org"), "News").await;
        }
        while_working(&services, trap.wait_for(1_000)).await;
        deliver_all(&services[0]).await;
        let mut counts: HashMap<String, usize> = HashMap::new();
        for mail in trap.mails() {
            assert_eq!(mail.to.len(), 1);
            *counts.entry(mail.to[0].clone()).or_default() += 1;
        }
        counts.remove("poison@example.org");
        assert_eq!((counts.len(), counts.values().max()), (1_000, Some(&1)));
    }

    /// GHSA-5jpx-9hw9-2fx4: a quoted local part that another program reads as two addresses.
    async fn no_address_reaches_a_second_receiver(db: Database) {
        let trap = MailTrap::start().await;
        let world = World::mailing(db, &trap);
        let service = world.service();
        for evil in [
            "\"e@evil.test\"@victim.example",
            "e@evil.test,v@victim.example",
            "<e@evil.test>v@victim.example",
            "v@victim.example\r\nRCPT TO:<e@evil.test>",
            "e@evil.test;v@victim.example",
            "v@victim.example>,<e@evil.test",
        ] {
            let body = json!({ "to": { "email": evil }, "template": "announcement", "data": { "subject": "x", "text": "y" } });
            let answer = world.ask(&service, Method::POST, PATH, Some(body)).await;
            assert_eq!(answer.status.as_u16(), 422, "{evil}");
        }
        deliver_all(&service).await;
        assert_eq!((trap.named(), trap.mails().len()), (0, 0));
    }

    /// RUSTSEC-2026-0141: a mail server with somebody else's certificate gets neither message nor envelope.
    async fn a_mail_server_nobody_vouches_for_learns_nothing_and_it_is_told(db: Database) {
        let trap = MailTrap::start_tls(Tls::Implicit, "elsewhere.example").await;
        let mut world = World::mailing(db, &trap);
        world.smtp.url = format!("smtps://user:pass@localhost:{}", trap.address().port()).as_str().into();
        world.smtp.ca_file = trap.ca_file();
        let service = world.service();
        let id = announce(&service, "mia@example.org", "News").await.to_string();
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &id).await, ("queued".to_owned(), "provider_unavailable".to_owned()));
        assert_eq!((trap.named(), trap.logins()), (0, 0));
    }

    /// CVE-2024-41953 and CVE-2026-25227: markup and expressions in what people write.
    async fn what_people_write_is_text_on_every_channel(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        let corpus = [
            "<a href=//evil>Click</a>", "{{7*7}}", "${7*7}", "<%= 7*7 %>", "{% for i in range(1000000000) %}x{% endfor %}",
            "{{ self.__init__.__globals__ }}", "{% include '/etc/passwd' %}", "#{7*7}",
        ];
        for evil in corpus {
            let begun = std::time::Instant::now();
            let data = json!({ "subject": evil, "text": evil });
            world.send(&service, &json!({ "to": { "user_id": user }, "data": data })).await;
            world.send(&service, &json!({ "to": { "phone": "+436601234567" }, "category": "security", "data": data })).await;
            deliver_all(&service).await;
            assert!(begun.elapsed().as_secs() < 5, "{evil}");
        }
        for mail in world.mails(&service).await {
            let html = mail["html"].as_str().unwrap();
            assert!(!html.contains("<a href=//evil") && !html.contains(">49<"), "{html}");
            assert!(!mail["text"].as_str().unwrap().contains("root:"));
        }
        let inbox = world.ask_as(&service, user, Method::GET, "/api/v1/inbox", None).await;
        let subjects: Vec<_> = inbox.body["items"].as_array().unwrap().iter().map(|item| item["subject"].as_str().unwrap().to_owned()).collect();
        assert!(subjects.iter().all(|subject| !subject.contains("49") && !subject.contains("//")), "{subjects:?}");
    }

    /// ASVS 16.4.1: what a provider answers stands in the ledger and the log as plain words.
    async fn a_provider_can_write_no_lines_into_our_log(db: Database) {
        let gateway = SmsGateway::start().await;
        let evil = "\u{1b}[31m\\n{\\\"level\\\":\\\"ERROR\\\"}";
        gateway.next([
            Answer::Say(400, format!("{{\"code\":\"{evil}\",\"message\":\"{evil}\"}}")),
            Answer::Say(400, format!("{{\"code\":\"1\\n2\",\"sid\":\"{evil}\"}}")),
        ]);
        let world = texting(db, plain(&gateway), notifications::SmsProvider::default());
        let service = world.service();
        for _ in 0..2 {
            let id = world.send(&service, &json!({ "to": { "phone": "+436601234567" } })).await;
            deliver_all(&service).await;
            assert_eq!(world.delivery(&service, &id).await["last_error"], "The provider refused it: 400.");
        }
    }

    /// Providers that drop, delay, answer twice and fail, under several senders: every message ends in one state, and
    /// by its id the receiver counts each once.
    async fn under_chaos_every_message_ends_once(db: Database) {
        let (first, second) = (SmsGateway::start().await, SmsGateway::start().await);
        let mut world = texting(db, twilio(&first), plain(&second));
        world.settings.retry_base_ms = 1;
        world.settings.retry_max_ms = 1;
        world.settings.poll_interval_ms = 10;
        world.settings.provider_timeout_ms = 400;
        world.settings.circuit.failures = 1_000;
        (world.settings.limits.sms_country, world.settings.limits.sms_range) = (10_000, 10_000);
        let services: Vec<Arc<Service>> = (0..3).map(|_| world.service()).collect();
        let chaos = |number: usize| match number % 5 {
            0 => Answer::Drop,
            1 => Answer::Say(503, String::new()),
            2 => Answer::TakeAndDrop,
            _ => Answer::Take,
        };
        first.next((0..60).map(chaos));
        second.next((0..40).map(|number| chaos(number + 1)));
        let mut ids = Vec::new();
        for number in 0..100 {
            let to = json!({ "to": { "phone": format!("+4366000{number:05}") }, "category": "security" });
            ids.push(world.send(&services[number % 3], &to).await);
        }
        while_working(&services, async {
            loop {
                world.clock.advance(std::time::Duration::from_millis(20));
                let open = world.ask(&services[0], Method::GET, &format!("{PATH}?state=queued&limit=1"), None).await;
                if open.body["items"] == json!([]) {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        let mut seen: HashMap<String, usize> = HashMap::new();
        for texted in first.taken() {
            let callback = &texted.fields["StatusCallback"];
            *seen.entry(callback.split_once("delivery=").unwrap().1.to_owned()).or_default() += 1;
        }
        for texted in second.taken() {
            *seen.entry(texted.fields["reference"].clone()).or_default() += 1;
        }
        assert_eq!(seen.len(), 100, "every message is there, and by its id there are no others");
        for id in ids {
            let delivery: Value = world.delivery(&services[0], &id).await;
            assert_eq!(delivery["state"], "sent", "{delivery}");
            let ended = delivery["attempts"].as_array().unwrap().iter().filter(|it| it["outcome"] == "sent").count();
            assert_eq!(ended, 1, "{delivery}");
        }
    }

    async fn a_secret_of_a_provider_is_nowhere_to_be_read(db: Database) {
        let gateway = SmsGateway::start().await;
        gateway.next([Answer::Say(401, "{\"code\":\"a secret of twilio\"}".to_owned()), Answer::Drop]);
        let world = texting(db, twilio(&gateway), notifications::SmsProvider::default());
        let service = world.service();
        let id = world.send(&service, &json!({ "to": { "phone": "+436601234567" } })).await;
        deliver_all(&service).await;
        let shown = world.ask(&service, Method::GET, &format!("{PATH}/{id}"), None).await;
        assert!(!shown.text.contains("a secret of twilio"), "{}", shown.text);
        assert!(!format!("{:?} {service:?}", world.settings).contains("a secret of twilio"));
        let broken = world.service_over(Outlets { email: Vec::new(), sms: vec![Arc::new(Hand::new(|_| Err(Failure::permanent(Reason::ProviderRefused, "no"))))] });
        assert!(!format!("{broken:?}").contains("hush"));
    }
}
