//! Messages on their way: a mail server that refuses, and one that is away.

use reqwest::Method;
use serde_json::json;
use testkit::mail_trap::{MailTrap, Manner};

use crate::client::Ask;
use crate::house::{House, Shape, eventually, in_every_shape, token_in};

async fn house_with_mail(shape: Shape, trap: &MailTrap) -> Option<House> {
    let url = trap.url();
    let settings = [
        ("DOORWARD__SMTP__URL", url.as_str()),
        ("DOORWARD__NOTIFICATIONS__RETRY_BASE_MS", "20"),
        ("DOORWARD__NOTIFICATIONS__RETRY_MAX_MS", "50"),
        ("DOORWARD__NOTIFICATIONS__POLL_INTERVAL_MS", "20"),
    ];
    House::open(shape, &settings).await
}

in_every_shape! {
    async fn a_mail_server_that_refuses_twice_gets_the_message_once(shape) {
        let trap = MailTrap::start().await;
        trap.next([Manner::PutOff, Manner::PutOff]);
        let Some(mut house) = house_with_mail(shape, &trap).await else { return };
        let root = house.administrator().await;
        let body = json!({ "email": "mia@example.org", "password": "zwei Katzen auf dem Dach" });
        let answer = house.client().post("/api/v1/auth/registrations", &body).await;
        assert_eq!(answer.status, 202);

        let mail = trap.wait_for(1).await.remove(0);
        assert_eq!(mail.to, ["mia@example.org"]);
        let list = eventually("the message to be sent", async || {
            let list = root.client.get("/api/v1/notifications?state=sent").await;
            (list.body["items"].as_array().is_some_and(|items| !items.is_empty())).then_some(list)
        })
        .await;
        let id = list.body["items"][0]["id"].as_str().unwrap().to_owned();
        let message = root.client.get(&format!("/api/v1/notifications/{id}")).await;
        let attempts = message.body["deliveries"][0]["attempts"].as_array().unwrap();
        let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["temporary", "temporary", "sent"], "{:?}", message.body);
        assert_eq!(trap.mails().len(), 1, "taken once, sent once");

        let copy = house.messages("mia@example.org", 1).await.remove(0);
        let token = token_in(copy["links"][0].as_str().unwrap());
        let unfolded = mail.data.replace("=\r\n", "").replace("=3D", "=");
        assert!(unfolded.contains(&token), "the mail and its copy carry the same link");
        let verified = house.client().post("/api/v1/auth/verifications", &json!({ "token": token })).await;
        assert_eq!(verified.status, 204);
        house.close();
    }
}

crate::journey! {
    async fn an_administrator_sends_a_message_and_sees_what_became_of_it(house) {
        let root = house.administrator().await;
        let mia = house.person("mia").await;
        let send = |body: &serde_json::Value| Ask::new(Method::POST, "/api/v1/notifications").body(body);
        let notes = &mut house.transcript;
        let body = json!({ "to": { "user_id": mia.id }, "template": "announcement",
            "data": { "subject": "Hello <b>there</b>", "text": "We moved." } });
        let first = root.client.tell(notes, &send(&body).header("idempotency-key", "k1")).await;
        assert_eq!(first.status, 202);
        let again = root.client.tell(notes, &send(&body).header("idempotency-key", "k1")).await;
        assert_eq!((again.status, &again.body["id"]), (202, &first.body["id"]));
        notes.say("The same key for something else, and what does not fit a template");
        let other = json!({ "to": { "user_id": mia.id }, "template": "announcement", "data": { "subject": "x", "text": "y" } });
        assert_eq!(root.client.tell(notes, &send(&other).header("idempotency-key", "k1")).await.status, 422);
        for wrong in [
            json!({ "to": { "user_id": mia.id }, "template": "nobody", "data": {} }),
            json!({ "to": { "user_id": mia.id }, "template": "announcement", "data": { "subject": "x" } }),
            json!({ "to": { "email": "a@b@c" }, "template": "announcement", "data": { "subject": "x", "text": "y" } }),
            json!({ "to": {}, "template": "announcement", "data": { "subject": "x", "text": "y" } }),
        ] {
            assert_eq!(root.client.tell(notes, &send(&wrong)).await.status, 422, "{wrong}");
        }
        assert_eq!(mia.client.tell(notes, &send(&body)).await.status, 403);
        let messages = house.messages(&mia.email, 2).await;
        assert_eq!(messages.len(), 2, "a verification and one announcement");
        let html = messages[0]["html"].as_str().unwrap();
        assert!(html.contains("&lt;b&gt;") && !html.contains("<b>there"), "{html}");
    }
}
