//! What providers say became of short messages: believed when they signed it, once.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contracts::Fact;
use contracts::notifications::{MessageDelivered, MessageFailed, MessageSent};
use notifications::{Kind, Service, SmsProvider};
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;
use testkit::sms_gateway::{Answer as Gateways, SmsGateway};

use crate::providers::{plain, texting, to_phone, twilio};
use crate::store::told;
use crate::world::{Answer, World, deliver_all};

const PATH: &str = "/api/v1/notifications/receipts";

/// Twilio's receipt, signed over this address with this token.
pub(crate) async fn twilio_says(
    world: &World,
    service: &Arc<Service>,
    id: &str,
    sid: &str,
    word: &str,
    token: &str,
) -> Answer {
    let path = format!("{PATH}/primary?delivery={id}");
    let fields = [("ErrorCode", "30003"), ("MessageSid", sid), ("MessageStatus", word)];
    let mut signed = format!("https://id.example.org{path}");
    fields.iter().for_each(|(name, value)| signed += &format!("{name}{value}"));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    let body = fields.map(|(name, value)| format!("{name}={value}")).join("&");
    let request = TestRequest::post()
        .uri(&path)
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .insert_header(("x-twilio-signature", signature))
        // What the request says of our address must not matter.
        .insert_header(("host", "evil.example"))
        .set_payload(body);
    world.call(service, request).await
}

async fn says(world: &World, service: &Arc<Service>, provider: &str, body: &Value, secret: &str) -> Answer {
    let text = body.to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag: String =
        hmac::sign(&key, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let request = TestRequest::post().uri(&format!("{PATH}/{provider}")).insert_header(("x-signature", tag));
    world.call(service, request.set_payload(text)).await
}

/// A message that was taken by the gateway: its id, the delivery's, and the gateway's.
pub(crate) async fn texted(
    world: &World,
    service: &Arc<Service>,
    gateway: &SmsGateway,
) -> (String, String, String) {
    let id = world.send(service, &to_phone()).await;
    deliver_all(service).await;
    let delivery = world.delivery(service, &id).await["id"].as_str().unwrap().to_owned();
    (id, delivery, gateway.taken().pop().unwrap().id)
}

pub(crate) const SECRET: &str = "a secret of twilio";
const PLAIN_SECRET: &str = "a secret for receipts";

both_engines! {
    async fn a_receipt_says_that_it_arrived_and_the_same_one_again_changes_nothing(db: Database) {
        let gateway = SmsGateway::start().await;
        let world = texting(db.clone(), twilio(&gateway), SmsProvider::default());
        let service = world.service();
        let (id, delivery, sid) = texted(&world, &service, &gateway).await;
        let say = |word: &'static str| twilio_says(&world, &service, &delivery, &sid, word, SECRET);
        assert_eq!(say("sent").await.status.as_u16(), 204);
        assert_eq!(world.fate(&service, &id).await.0, "sent", "it is on its way, which is known");
        for _ in 0..3 {
            assert_eq!(say("delivered").await.status.as_u16(), 204);
        }
        assert_eq!(say("undelivered").await.status.as_u16(), 204, "what is over stays over");
        let delivery = world.delivery(&service, &id).await;
        assert_eq!((&delivery["state"], &delivery["reason"]), (&json!("delivered"), &Value::Null));
        assert!(delivery["receipt_at"].is_string());
        let c = &mut *db.read().await.unwrap();
        assert_eq!((told(c, MessageDelivered::TYPE).await, told(c, MessageFailed::TYPE).await), (1, 0));
    }

    async fn a_receipt_says_that_it_did_not_arrive_and_it_can_be_sent_again(db: Database) {
        let gateway = SmsGateway::start().await;
        let world = texting(db, twilio(&gateway), SmsProvider::default());
        let service = world.service();
        let (id, delivery, sid) = texted(&world, &service, &gateway).await;
        assert_eq!(twilio_says(&world, &service, &delivery, &sid, "undelivered", SECRET).await.status.as_u16(), 204);
        let after = world.delivery(&service, &id).await;
        assert_eq!((&after["state"], &after["reason"]), (&json!("undelivered"), &json!("undelivered")));
        assert_eq!(after["last_error"], "The provider says that it did not arrive, code 30003.");
        let shown = world.ask(&service, Method::GET, &format!("/api/v1/notifications/{id}"), None).await;
        assert_eq!(shown.body["state"], "failed");
        let retry = format!("/api/v1/notifications/{id}/retry");
        assert_eq!(world.ask(&service, Method::POST, &retry, None).await.status.as_u16(), 202);
        deliver_all(&service).await;
        assert_eq!((gateway.taken().len(), world.fate(&service, &id).await.0), (2, "sent".to_owned()));
    }

    /// Twilio names its own message in the form and ours in the address, others name ours and perhaps theirs.
    async fn a_text_whose_taking_was_never_heard_of_is_not_sent_again_when_it_arrived(db: Database) {
        for (kind, tries) in [(twilio as fn(&SmsGateway) -> SmsProvider, 12), (plain, 12), (twilio, 1)] {
            let gateway = SmsGateway::start().await;
            let mut world = texting(db.clone(), kind(&gateway), SmsProvider::default());
            world.settings.max_attempts = tries;
            let service = world.service();
            gateway.next([Gateways::TakeAndDrop, Gateways::TakeAndDrop]);
            let c = &mut *db.read().await.unwrap();
            let before = (told(c, MessageSent::TYPE).await, told(c, MessageDelivered::TYPE).await);
            let (id, delivery, name) = texted(&world, &service, &gateway).await;
            let (other, other_delivery, other_name) = texted(&world, &service, &gateway).await;
            let say = async |delivery: &str, name: &str, word: &'static str| match kind(&gateway).kind {
                Kind::Twilio => twilio_says(&world, &service, delivery, name, word, SECRET).await,
                _ => {
                    let body = json!({ "reference": delivery, "id": name, "status": word });
                    says(&world, &service, "primary", &body, PLAIN_SECRET).await
                }
            };
            let waiting = if tries > 1 { "queued" } else { "parked" };
            assert_eq!(world.fate(&service, &id).await.0, waiting);
            assert_eq!(say(&delivery, &name, "undelivered").await.status.as_u16(), 204);
            assert_eq!(world.fate(&service, &id).await.0, waiting, "it is sent again anyhow, or can be");
            let answers = futures_util::future::join_all((0..10).map(|_| say(&delivery, &name, "delivered"))).await;
            assert!(answers.iter().all(|answer| answer.status.as_u16() == 204));
            let after = world.delivery(&service, &id).await;
            assert_eq!((&after["state"], &after["next_attempt_at"]), (&json!("delivered"), &Value::Null));
            assert_eq!((&after["provider"], &after["provider_message_id"]), (&json!("primary"), &json!(name)));
            assert!(after["sent_at"].is_string() && after["receipt_at"].is_string(), "{after}");
            let now = (told(c, MessageSent::TYPE).await, told(c, MessageDelivered::TYPE).await);
            assert_eq!(now, (before.0 + 1, before.1 + 1));
            let shown = world.ask(&service, Method::GET, &format!("/api/v1/notifications/{id}"), None).await;
            assert_eq!(shown.body["state"], "sent");
            assert_eq!(world.fate(&service, &other).await.0, waiting, "the other one waits as before");

            world.clock.advance(std::time::Duration::from_secs(3_600));
            deliver_all(&service).await;
            let copies = if tries > 1 { 3 } else { 2 };
            assert_eq!(gateway.taken().len(), copies, "only the other one went out again");
            if tries > 1 {
                let late = say(&other_delivery, &other_name, "delivered").await;
                assert_eq!(late.status.as_u16(), 404, "what is known by another name by now");
            }
        }
    }

    async fn nothing_is_said_of_a_text_that_was_never_handed_over(db: Database) {
        let (first, second) = (SmsGateway::start().await, SmsGateway::start().await);
        let world = texting(db, twilio(&first), plain(&second));
        let service = world.service();
        let id = world.send(&service, &to_phone()).await;
        let delivery = world.delivery(&service, &id).await["id"].as_str().unwrap().to_owned();
        for word in ["delivered", "undelivered", "sent"] {
            assert_eq!(twilio_says(&world, &service, &delivery, "SM1", word, SECRET).await.status.as_u16(), 404);
            let body = json!({ "reference": delivery, "status": word });
            assert_eq!(says(&world, &service, "fallback", &body, PLAIN_SECRET).await.status.as_u16(), 404);
        }
        assert_eq!(world.fate(&service, &id).await.0, "queued");
    }

    async fn what_is_said_late_of_a_text_is_not_taken_for_the_one_that_is_sent_again(db: Database) {
        let gateway = SmsGateway::start().await;
        let world = texting(db, twilio(&gateway), SmsProvider::default());
        let service = world.service();
        let (id, delivery, old) = texted(&world, &service, &gateway).await;
        let say = async |sid: &str, word: &'static str| {
            twilio_says(&world, &service, &delivery, sid, word, SECRET).await.status.as_u16()
        };
        assert_eq!(say(&old, "undelivered").await, 204);
        let retry = format!("/api/v1/notifications/{id}/retry");
        assert_eq!(world.ask(&service, Method::POST, &retry, None).await.status.as_u16(), 202);
        let waiting = world.delivery(&service, &id).await;
        for nothing in ["provider", "provider_message_id", "segments", "sent_at", "receipt_at"] {
            assert_eq!(waiting[nothing], Value::Null, "{nothing} is of the sending before: {waiting}");
        }
        assert_eq!((say(&old, "undelivered").await, world.fate(&service, &id).await.0.as_str()), (204, "queued"));

        gateway.next([Gateways::Hang]);
        let meanwhile = async {
            while gateway.asked() < 2 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            assert_eq!(world.fate(&service, &id).await.0, "sending");
            assert_eq!(say(&old, "undelivered").await, 503, "which of the two is meant is not known yet");
        };
        tokio::join!(deliver_all(&service), meanwhile);
        assert_eq!(world.fate(&service, &id).await.0, "queued", "it was not answered in time");
        world.clock.advance(std::time::Duration::from_secs(3_600));
        deliver_all(&service).await;
        let new = gateway.taken().pop().unwrap().id;
        assert_ne!(new, old);
        for word in ["undelivered", "delivered"] {
            assert_eq!((say(&old, word).await, world.fate(&service, &id).await.0.as_str()), (404, "sent"), "{word}");
        }
        assert_eq!((say(&new, "delivered").await, world.fate(&service, &id).await.0.as_str()), (204, "delivered"));
    }

    async fn any_other_provider_signs_its_body(db: Database) {
        let (first, second) = (SmsGateway::start().await, SmsGateway::start().await);
        let world = texting(db, plain(&first), plain(&second));
        let service = world.service();
        let (id, delivery, reference) = texted(&world, &service, &first).await;
        let body = json!({ "reference": delivery, "id": reference, "status": "delivered" });
        assert_eq!(says(&world, &service, "fallback", &body, PLAIN_SECRET).await.status.as_u16(), 404, "it was not the one");
        assert_eq!(says(&world, &service, "primary", &body, PLAIN_SECRET).await.status.as_u16(), 204);
        assert_eq!(world.fate(&service, &id).await.0, "delivered");
    }

    async fn a_forged_receipt_changes_nothing(db: Database) {
        let (first, second) = (SmsGateway::start().await, SmsGateway::start().await);
        let mut world = texting(db.clone(), twilio(&first), plain(&second));
        let service = world.service();
        let (id, delivery, sid) = texted(&world, &service, &first).await;
        let refused = |answer: Answer| assert_eq!((answer.status.as_u16(), answer.code()), (401, "notifications.receipt_refused"));
        for token in ["", "a secret of twilio ", PLAIN_SECRET] {
            refused(twilio_says(&world, &service, &delivery, &sid, "delivered", token).await);
        }
        let body = json!({ "reference": delivery, "status": "delivered" });
        for (provider, secret) in [("primary", PLAIN_SECRET), ("fallback", SECRET), ("fallback", ""), ("smtp", PLAIN_SECRET), ("x", "")] {
            refused(says(&world, &service, provider, &body, secret).await);
        }
        let unsigned = TestRequest::post().uri(&format!("{PATH}/primary?delivery={delivery}")).set_payload("MessageStatus=delivered");
        refused(world.call(&service, unsigned).await);
        world.settings.sms.fallback.receipt_secret = "".into();
        refused(says(&world, &world.service(), "fallback", &body, "").await);

        let unknown = contracts::NotificationId::new().to_string();
        assert_eq!(twilio_says(&world, &service, &unknown, &sid, "delivered", SECRET).await.status.as_u16(), 404);
        assert_eq!(twilio_says(&world, &service, &delivery, "SM999", "delivered", SECRET).await.status.as_u16(), 404, "another message's");
        for wrong in [json!({}), json!({ "reference": "x", "status": "delivered" }), json!([])] {
            assert_eq!(says(&world, &service, "fallback", &wrong, PLAIN_SECRET).await.status.as_u16(), 422);
        }
        let huge = TestRequest::post().uri(&format!("{PATH}/fallback")).set_payload("x".repeat(20_000));
        assert_eq!(world.call(&service, huge).await.status.as_u16(), 413);
        assert_eq!(world.fate(&service, &id).await.0, "sent");
        let c = &mut *db.read().await.unwrap();
        assert_eq!(told(c, MessageDelivered::TYPE).await, 0);
    }

    async fn fifty_receipts_at_once_count_once(db: Database) {
        let gateway = SmsGateway::start().await;
        let world = texting(db.clone(), twilio(&gateway), SmsProvider::default());
        let service = world.service();
        let (_, delivery, sid) = texted(&world, &service, &gateway).await;
        let all = (0..50).map(|number| {
            let word = if number % 2 == 0 { "delivered" } else { "undelivered" };
            twilio_says(&world, &service, &delivery, &sid, word, SECRET)
        });
        let answers = futures_util::future::join_all(all).await;
        assert!(answers.iter().all(|answer| answer.status.as_u16() == 204));
        let c = &mut *db.read().await.unwrap();
        assert_eq!(told(c, MessageDelivered::TYPE).await + told(c, MessageFailed::TYPE).await, 1);
        assert_eq!(told(c, MessageSent::TYPE).await, 1);
    }
}
