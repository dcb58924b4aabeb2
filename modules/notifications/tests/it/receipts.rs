//! What providers say became of short messages: believed when they signed it, once.

use std::sync::Arc;

use actix_web::test::TestRequest;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contracts::Fact;
use contracts::notifications::{MessageDelivered, MessageFailed, MessageSent};
use notifications::{Service, SmsProvider};
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;
use testkit::sms_gateway::SmsGateway;

use crate::providers::{plain, texting, to_phone, twilio};
use crate::store::told;
use crate::world::{Answer, World, deliver_all};

const PATH: &str = "/api/v1/notifications/receipts";

/// Twilio's receipt, signed over this address with this token.
async fn twilio_says(
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
async fn texted(world: &World, service: &Arc<Service>, gateway: &SmsGateway) -> (String, String, String) {
    let id = world.send(service, &to_phone()).await;
    deliver_all(service).await;
    let delivery = world.delivery(service, &id).await["id"].as_str().unwrap().to_owned();
    (id, delivery, gateway.taken().pop().unwrap().id)
}

const SECRET: &str = "a secret of twilio";
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
        let shown = world.ask(&service, actix_web::http::Method::GET, &format!("/api/v1/notifications/{id}"), None).await;
        assert_eq!(shown.body["state"], "failed");
        let retry = format!("/api/v1/notifications/{id}/retry");
        assert_eq!(world.ask(&service, actix_web::http::Method::POST, &retry, None).await.status.as_u16(), 202);
        deliver_all(&service).await;
        assert_eq!((gateway.taken().len(), world.fate(&service, &id).await.0), (2, "sent".to_owned()));
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
