//! Messages as people live with them: an inbox, a stream of what comes in, choosing what to get, and leaving by a link.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Ask;
use crate::house::eventually;

fn send(to: &Value, channels: &Value, category: &str) -> Ask {
    let data = json!({ "subject": "We moved", "text": "Come and see.", "link": "https://example.org/map" });
    let body = json!({ "to": to, "template": "announcement", "data": data, "channels": channels, "category": category });
    Ask::new(Method::POST, "/api/v1/notifications").body(&body)
}

/// Waits until a message is over.
async fn over(root: &crate::client::Person, answer: &crate::client::Answer) -> String {
    let path = format!("/api/v1/notifications/{}", answer.body["id"].as_str().unwrap());
    eventually("the message to be over", async || {
        let state = root.client.get(&path).await.body["state"].as_str().unwrap().to_owned();
        (state != "queued").then_some(())
    })
    .await;
    path
}

crate::journey! {
    async fn somebody_reads_an_inbox_and_chooses_what_to_get(house) {
        let root = house.administrator().await;
        let mia = house.person("mia").await;
        let to = json!({ "user_id": mia.id });
        let notes = &mut house.transcript;
        let mut stream = mia.client.open("/api/v1/inbox/stream?after=0").await;
        let sent = root.client.tell(notes, &send(&to, &json!(["inbox", "email"]), "general")).await;
        let path = over(&root, &sent).await;
        let mut heard = String::new();
        while !heard.contains("event: item") {
            heard += std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap();
        }
        assert!(heard.contains("id: 1\n") && heard.contains("We moved"), "{heard}");
        drop(stream);
        notes.say("It stands in the inbox, and is read");
        let inbox = mia.client.tell(notes, &Ask::new(Method::GET, "/api/v1/inbox?limit=10")).await;
        let read = format!("/api/v1/inbox/{}/read", inbox.body["items"][0]["id"].as_str().unwrap());
        assert_eq!(mia.client.tell(notes, &Ask::new(Method::POST, &read)).await.status, 204);
        assert_eq!(root.client.tell(notes, &Ask::new(Method::POST, &read)).await.status, 404);
        let unread = mia.client.tell(notes, &Ask::new(Method::GET, "/api/v1/inbox?unread=true")).await;
        assert_eq!(unread.body["unread_count"], 0);
        assert_eq!(root.client.get(&path).await.body["deliveries"].as_array().unwrap().len(), 2);

        notes.say("Some messages are not wanted; those about security come anyway");
        let preferences = "/api/v1/notification-preferences";
        let tag = mia.client.tell(notes, &Ask::new(Method::GET, preferences)).await.header("etag").to_owned();
        let off = json!({ "marketing": { "email": false } });
        let change = |body: &Value| Ask::new(Method::PUT, preferences).body(body).header("if-match", &tag);
        assert_eq!(mia.client.tell(notes, &change(&json!({ "security": { "email": false } }))).await.status, 422);
        assert_eq!(mia.client.tell(notes, &change(&off)).await.status, 200);
        assert_eq!(mia.client.tell(notes, &change(&off)).await.status, 412);
        let sent = root.client.tell(notes, &send(&to, &json!(["email"]), "marketing")).await;
        let path = over(&root, &sent).await;
        notes.say("Why was it not sent?");
        let why = root.client.tell(notes, &Ask::new(Method::GET, &path)).await;
        assert_eq!(why.body["deliveries"][0]["reason"], "preference_off");
        let retry = Ask::new(Method::POST, &format!("{path}/retry"));
        assert_eq!(root.client.tell(notes, &retry).await.status, 409);
    }
}

crate::journey! {
    async fn a_stranger_gets_short_messages_and_leaves_by_a_link(house) {
        let root = house.administrator().await;
        let notes = &mut house.transcript;
        let phone = json!({ "phone": "+436601234567" });
        let sent = root.client.tell(notes, &send(&phone, &json!(["sms"]), "general")).await;
        over(&root, &sent).await;
        let mailed = root.client.send(&send(&json!({ "email": "eve@example.org" }), &json!(["email"]), "marketing")).await;
        over(&root, &mailed).await;
        let text = &house.mailbox("+436601234567").await[0];
        assert_eq!((&text["channel"], &text["text"]), (&json!("sms"), &json!("Doorward: Come and see. https://example.org/map")));
        let mail = house.mailbox("eve@example.org").await[0]["text"].as_str().unwrap().to_owned();
        let link = mail.split_whitespace().find(|word| word.contains("unsubscribe?token=")).expect("a link");
        let link = link.strip_prefix("http://doorward.test").unwrap().to_owned();
        let page = house.client().get(&link).await;
        assert_eq!(page.status, 200);
        assert!(page.body.as_str().unwrap().contains("<button>"), "{:?}", page.body);
        for _ in 0..2 {
            let left = house.client().post_form(&link, "List-Unsubscribe=One-Click").await;
            assert_eq!(left, 200);
        }
        let mailed = root.client.send(&send(&json!({ "email": "eve@example.org" }), &json!(["email"]), "marketing")).await;
        let path = over(&root, &mailed).await;
        let why = root.client.tell(&mut house.transcript, &Ask::new(Method::GET, &path)).await;
        assert_eq!(why.body["deliveries"][0]["reason"], "unsubscribed");
        let forged = house.client().post_form("/api/v1/notifications/receipts/primary", "MessageStatus=delivered").await;
        assert_eq!(forged, 401);
    }
}

/// A stream must not keep a process from stopping.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_stops_although_somebody_listens() {
    let mut house = crate::house::House::open(crate::house::Shape::Embedded, &[]).await.unwrap();
    let mia = house.person("mia").await;
    let mut stream = mia.client.open("/api/v1/inbox/stream").await;
    assert!(stream.chunk().await.unwrap().is_some());
    let begun = std::time::Instant::now();
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = stream.chunk().await {} });
    let stopped = tokio::task::spawn_blocking(move || house.close());
    stopped.await.unwrap();
    reading.await.unwrap();
    assert!(begun.elapsed() < std::time::Duration::from_secs(8), "{:?}", begun.elapsed());
}
