//! Nobody can be flooded through us, and nobody can spend the operator's money: SMS pumping and its relatives.

use std::time::Duration;

use contracts::Caller;
use contracts::auth::{PasswordChanged, PasswordResetRequested};
use contracts::notifications::{Notifications, Recipient, SendNotification};
use notifications::{Failure, Limits, Reason, SmsProvider};
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;
use testkit::sms_gateway::{Answer, SmsGateway};

use crate::providers::{plain, texting, to_phone, twilio};
use crate::receipts::{SECRET, texted, twilio_says};
use crate::world::{Hand, World, data, deliver_all};

/// How many of these messages left, and what held back the others.
async fn left(
    world: &World,
    service: &std::sync::Arc<notifications::Service>,
    to: &[serde_json::Value],
) -> (usize, Vec<String>) {
    let mut sent = 0;
    let mut reasons = Vec::new();
    for changes in to {
        let id = world.send(service, changes).await;
        deliver_all(service).await;
        match world.fate(service, &id).await {
            (state, _) if state == "sent" => sent += 1,
            (_, reason) => reasons.push(reason),
        }
    }
    reasons.dedup();
    (sent, reasons)
}

/// Tries again by hand what was given up.
async fn again(world: &World, service: &std::sync::Arc<notifications::Service>, id: &str) {
    let retry = format!("/api/v1/notifications/{id}/retry");
    let answer = world.ask(service, actix_web::http::Method::POST, &retry, None).await;
    assert_eq!(answer.status.as_u16(), 202, "{}", answer.text);
    deliver_all(service).await;
}

impl World {
    /// How many mails with a link came.
    async fn with_links(&self, service: &std::sync::Arc<notifications::Service>) -> usize {
        let mails = self.mails(service).await;
        mails.iter().filter(|mail| mail["links"] != json!([])).count()
    }
}

/// Fails so many times, then takes everything.
fn failing(times: usize, failure: fn() -> Failure) -> Hand {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    Hand::new(move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < times {
        true => Err(failure()),
        false => Ok(()),
    })
}

both_engines! {
    async fn one_address_gets_so_many_and_then_waits(db: Database) {
        let mut world = World::new(db);
        world.settings.limits = Limits { email: 3, email_security: 5, ..Limits::default() };
        let service = world.service();
        let general = vec![json!({ "to": { "email": "mia@example.org" } }); 6];
        assert_eq!(left(&world, &service, &general).await, (3, vec!["over_limit".to_owned()]));
        let secure = vec![json!({ "to": { "email": "mia@example.org" }, "category": "security" }); 7];
        assert_eq!(left(&world, &service, &secure).await, (5, vec!["over_limit".to_owned()]), "security has a bucket of its own");
        let user = world.auth.add_account("mia@example.org").id;
        let resets = [(); 6].map(|()| PasswordResetRequested { user, request: world.auth.open_request() });
        for reset in &resets {
            world.hear(&service, reset).await;
            deliver_all(&service).await;
        }
        assert_eq!(world.with_links(&service).await, 5, "and so has Doorward itself");
        let other = vec![json!({ "to": { "email": "eve@example.org" } })];
        assert_eq!(left(&world, &service, &other).await.0, 1);
        world.clock.advance(Duration::from_secs(3_600));
        assert_eq!(left(&world, &service, &general[..3]).await.0, 3);
    }

    async fn announcements_about_security_hold_back_no_password_reset(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        for _ in 0..301 {
            let ask = SendNotification {
                to: Recipient::User(user),
                template: "announcement".to_owned(),
                data: data("Alarm"),
                channels: Some(vec!["email".to_owned()]),
                category: "security".to_owned(),
                deduplication_key: None,
            };
            service.send(&Caller::module("test"), ask).await.unwrap();
        }
        deliver_all(&service).await;
        let over = world.ask(&service, actix_web::http::Method::GET, "/api/v1/notifications?state=suppressed", None).await;
        assert_eq!(over.body["items"].as_array().unwrap().len(), 1, "the limit is spent");
        world.hear(&service, &PasswordResetRequested { user, request: world.auth.open_request() }).await;
        deliver_all(&service).await;
        assert_eq!(world.with_links(&service).await, 1);
    }

    async fn announcements_fill_no_inbox_for_notices_of_doorward(db: Database) {
        let mut world = World::new(db);
        world.settings.limits = Limits { inbox: 1, ..Limits::default() };
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        let news = vec![json!({ "to": { "user_id": user }, "channels": ["inbox"] }); 2];
        assert_eq!(left(&world, &service, &news).await, (1, vec!["over_limit".to_owned()]));
        world.hear(&service, &PasswordChanged { user, reset: false }).await;
        deliver_all(&service).await;
        let inbox = world.ask_as(&service, user, actix_web::http::Method::GET, "/api/v1/inbox", None).await;
        assert_eq!(inbox.body["items"][0]["subject"], "Your password was changed");
    }

    async fn what_was_over_the_limit_can_be_sent_later_by_hand(db: Database) {
        let mut world = World::new(db);
        world.settings.limits = Limits { email: 1, ..Limits::default() };
        let service = world.service();
        let to = json!({ "to": { "email": "mia@example.org" } });
        world.send(&service, &to).await;
        // Those that are due together are tried together, and either may be the first.
        deliver_all(&service).await;
        let late = world.send(&service, &to).await;
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &late).await, ("suppressed".to_owned(), "over_limit".to_owned()));
        let retry = format!("/api/v1/notifications/{late}/retry");
        world.clock.advance(Duration::from_secs(3_600));
        assert_eq!(world.ask(&service, actix_web::http::Method::POST, &retry, None).await.status.as_u16(), 202);
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &late).await.0, "sent");
        assert_eq!(world.ask(&service, actix_web::http::Method::POST, &retry, None).await.status.as_u16(), 409);
    }

    /// A text that did not arrive was paid for all the same.
    async fn a_text_that_is_sent_again_by_hand_is_counted_again(db: Database) {
        let gateway = SmsGateway::start().await;
        let mut world = texting(db, twilio(&gateway), SmsProvider::default());
        world.settings.limits = Limits { sms: 3, ..Limits::default() };
        let service = world.service();
        let (id, delivery, _) = texted(&world, &service, &gateway).await;
        for sent in 1..3 {
            assert_eq!(gateway.asked(), sent);
            let sid = gateway.taken().pop().unwrap().id;
            assert_eq!(twilio_says(&world, &service, &delivery, &sid, "undelivered", SECRET).await.status.as_u16(), 204);
            again(&world, &service, &id).await;
            assert_eq!(world.fate(&service, &id).await.0, "sent");
        }
        let sid = gateway.taken().pop().unwrap().id;
        twilio_says(&world, &service, &delivery, &sid, "undelivered", SECRET).await;
        for _ in 0..3 {
            again(&world, &service, &id).await;
            assert_eq!(world.fate(&service, &id).await, ("suppressed".to_owned(), "over_limit".to_owned()));
        }
        assert_eq!(gateway.asked(), 3, "no more than the limit, however often it is wanted");
        world.clock.advance(Duration::from_secs(3_600));
        again(&world, &service, &id).await;
        assert_eq!((world.fate(&service, &id).await.0, gateway.asked()), ("sent".to_owned(), 4));
    }

    async fn a_text_that_a_provider_refused_is_counted_again_since_another_may_have_taken_it(db: Database) {
        let gateway = SmsGateway::start().await;
        let mut world = texting(db, twilio(&gateway), SmsProvider::default());
        world.settings.limits = Limits { sms: 1, ..Limits::default() };
        let service = world.service();
        gateway.next([Answer::Say(400, String::new())]);
        let id = world.send(&service, &to_phone()).await;
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &id).await.1, "provider_refused");
        again(&world, &service, &id).await;
        assert_eq!((world.fate(&service, &id).await.1.as_str(), gateway.asked()), ("over_limit", 1));
    }

    async fn a_mail_that_was_refused_is_sent_again_by_hand_without_being_counted_again(db: Database) {
        let mut world = World::new(db);
        world.settings.limits = Limits { email: 1, ..Limits::default() };
        let service = world.service_with(failing(2, || Failure::permanent(Reason::ProviderRefused, "never")));
        let id = world.send(&service, &json!({ "to": { "email": "mia@example.org" } })).await;
        deliver_all(&service).await;
        for expected in ["parked", "sent"] {
            again(&world, &service, &id).await;
            assert_eq!(world.fate(&service, &id).await.0, expected);
        }
        let another = [json!({ "to": { "email": "mia@example.org" } })];
        assert_eq!(left(&world, &service, &another).await, (0, vec!["over_limit".to_owned()]), "one left");
    }

    async fn a_mail_that_may_have_left_is_counted_again_when_it_is_sent_again_by_hand(db: Database) {
        let mut world = World::new(db);
        world.settings.limits = Limits { email: 1, ..Limits::default() };
        world.settings.max_attempts = 1;
        let service = world.service_with(failing(1, || Failure::unavailable("no answer after the dot")));
        let id = world.send(&service, &json!({ "to": { "email": "mia@example.org" } })).await;
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &id).await.0, "parked");
        for _ in 0..2 {
            again(&world, &service, &id).await;
            assert_eq!(world.fate(&service, &id).await, ("suppressed".to_owned(), "over_limit".to_owned()));
        }
        world.clock.advance(Duration::from_secs(3_600));
        again(&world, &service, &id).await;
        assert_eq!(world.fate(&service, &id).await.0, "sent");
    }

    async fn a_message_that_is_tried_again_is_counted_once(db: Database) {
        let mut world = World::new(db);
        world.settings.limits = Limits { email: 1, ..Limits::default() };
        let tries = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&tries);
        let service = world.service_with(crate::world::Hand::new(move |_| {
            match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0..3 => Err(notifications::Failure::temporary(notifications::Reason::ProviderUnavailable, "not now")),
                _ => Ok(()),
            }
        }));
        let id = world.send(&service, &json!({ "to": { "email": "mia@example.org" } })).await;
        for _ in 0..4 {
            deliver_all(&service).await;
            world.clock.advance(Duration::from_secs(400));
        }
        assert_eq!(world.fate(&service, &id).await.0, "sent");
    }

    async fn a_pumper_is_stopped_by_number_range_country_and_budget(db: Database) {
        let gateway = SmsGateway::start().await;
        let mut world = texting(db, plain(&gateway), SmsProvider::default());
        world.settings.limits = Limits { sms: 2, sms_security: 2, sms_range: 5, sms_country: 8, sms_segments: 10, ..Limits::default() };
        let service = world.service();
        let to = |number: String| json!({ "to": { "phone": number }, "category": "security" });
        let same = vec![to("+436600000001".to_owned()); 4];
        assert_eq!(left(&world, &service, &same).await, (2, vec!["over_limit".to_owned()]));
        let neighbours: Vec<_> = (100..110).map(|last| to(format!("+436600000{last}"))).collect();
        assert_eq!(left(&world, &service, &neighbours).await, (3, vec!["over_limit".to_owned()]));
        let country: Vec<_> = (10..20).map(|range| to(format!("+4366099{range}000"))).collect();
        assert_eq!(left(&world, &service, &country).await, (3, vec!["over_limit".to_owned()]));
        let world_wide: Vec<_> = (10..20).map(|code| to(format!("+3{code}0000000"))).collect();
        assert_eq!(left(&world, &service, &world_wide).await, (2, vec!["budget_spent".to_owned()]));
        assert_eq!(gateway.asked(), 10, "no more was asked for than the budget has");
    }

    async fn long_messages_spend_more_of_the_budget(db: Database) {
        let gateway = SmsGateway::start().await;
        let mut world = texting(db, plain(&gateway), SmsProvider::default());
        world.settings.limits = Limits { sms_segments: 7, ..Limits::default() };
        let service = world.service();
        let long: Vec<_> = (10..14)
            .map(|last| json!({ "to": { "phone": format!("+4366000000{last}") }, "data": { "subject": "x", "text": "a".repeat(400) } }))
            .collect();
        assert_eq!(left(&world, &service, &long).await, (2, vec!["budget_spent".to_owned()]), "three parts each");
    }

    async fn only_the_countries_that_are_named_get_short_messages(db: Database) {
        let gateway = SmsGateway::start().await;
        let mut world = texting(db, plain(&gateway), SmsProvider::default());
        world.settings.sms.countries = vec!["43".to_owned(), "1".to_owned()];
        let service = world.service();
        let to = |number: &str| json!({ "to": { "phone": number } });
        let all = [to("+436601234567"), to("+12025550123"), to("+8821612345678"), to("+4916012345678")];
        assert_eq!(left(&world, &service, &all).await, (2, vec!["country_not_allowed".to_owned()]));
    }
}
