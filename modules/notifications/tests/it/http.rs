//! The HTTP interface: who may call, what is refused and how, and what is answered.

use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use contracts::{NotificationId, UserId};
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

use crate::world::{Answer, World, announce, deliver_all};

const PATH: &str = "/api/v1/notifications";

fn good() -> Value {
    json!({
        "to": { "email": "mia@example.org" },
        "template": "announcement",
        "data": { "subject": "News", "text": "There are news." },
    })
}

/// The good body with some of its members replaced; null takes one away.
fn with(changes: &Value) -> Value {
    let mut body = good();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(body.as_object_mut().unwrap().remove(name)),
            value => body[name] = value.clone(),
        }
    }
    body
}

both_engines! {
    async fn nobody_gets_in_without_the_right(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let id = NotificationId::new();
        let endpoints = [
            (Method::POST, PATH.to_owned(), "notifications:read"),
            (Method::GET, PATH.to_owned(), "notifications:send"),
            (Method::GET, format!("{PATH}/{id}"), "notifications:send"),
            (Method::POST, format!("{PATH}/{id}/retry"), "notifications:read"),
        ];
        for (method, path, other_right) in endpoints {
            let request = || TestRequest::with_uri(&path).method(method.clone());
            let anonymous = world.call(&service, request()).await;
            assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            let user = UserId::new();
            world.gate.allow(user, other_right);
            let bearer = ("authorization", format!("Bearer {}", world.gate.token_for(user)));
            let stranger = world.call(&service, request().insert_header(bearer)).await;
            assert_eq!((stranger.status, stranger.code()), (StatusCode::FORBIDDEN, "platform.denied"), "{method} {path}");
        }
    }

    /// Whatever is about security comes although somebody switched the rest off.
    async fn nobody_calls_news_security_by_the_right_to_send_alone(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        let (sender, trusted, other) = (UserId::new(), UserId::new(), UserId::new());
        [sender, trusted].iter().for_each(|user| world.gate.allow(*user, "notifications:send"));
        [trusted, other].iter().for_each(|user| world.gate.allow(*user, "notifications:send-security"));
        let send = async |by: UserId, changes: Value| {
            world.ask_as(&service, by, Method::POST, PATH, Some(with(&changes))).await
        };
        let secure = json!({ "category": "security" });
        let bad = json!({ "category": "security", "data": {}, "to": {} });
        let bodies = [
            secure.clone(), bad, json!({ "category": "security", "template": "none" }),
            json!({ "category": "security", "to": { "user_id": user } }), json!({ "category": "security", "to": { "phone": "+436601234567" } }),
        ];
        for body in bodies {
            let refused = send(sender, body.clone()).await;
            assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "notifications.security_denied"), "{body}");
            assert!(refused.body["detail"].as_str().unwrap().contains("notifications:send-security"), "{}", refused.text);
        }
        let denied = send(other, secure.clone()).await;
        assert_eq!((denied.status, denied.code()), (StatusCode::FORBIDDEN, "platform.denied"), "it is no right to send");
        let listed = world.ask(&service, Method::GET, PATH, None).await;
        assert_eq!(listed.body["items"], json!([]), "nothing was queued");
        let reserved = send(sender, json!({ "category": "security", "template": "session_ended", "data": {} })).await;
        assert_eq!(reserved.code(), "notifications.template_reserved");
        assert_eq!(send(sender, json!({ "category": "marketing" })).await.status, StatusCode::ACCEPTED);
        assert_eq!(send(sender, json!({})).await.status, StatusCode::ACCEPTED);
        assert_eq!(send(trusted, secure).await.status, StatusCode::ACCEPTED);
        let listed = world.ask(&service, Method::GET, &format!("{PATH}?category=security"), None).await;
        assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    }

    async fn a_message_is_accepted_delivered_and_shown(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let account = world.auth.add_account("mia@example.org");
        let body = with(&json!({ "to": { "user_id": account.id }, "channels": ["email"], "category": "product_news" }));
        let answer = world.ask(&service, Method::POST, PATH, Some(body)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        let id = answer.body["id"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("location"), format!("{PATH}/{id}"));
        deliver_all(&service).await;
        let shown = world.ask(&service, Method::GET, &format!("{PATH}/{id}"), None).await;
        assert_eq!(shown.status, StatusCode::OK);
        insta::assert_json_snapshot!("shown", shown.body, {
            ".id" => "[id]",
            ".to.user_id" => "[user]",
            ".deliveries[].id" => "[id]",
            ".deliveries[].message_id" => "[message id]",
        });
        assert_eq!(world.mails(&service).await[0]["to"], "mia@example.org");
    }

    async fn every_rule_has_its_refusal(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let id = UserId::new();
        let cases: [(Value, &str, &[&str]); 31] = [
            (with(&json!({ "to": null })), "platform.invalid_input", &["/to"]),
            (with(&json!({ "to": {} })), "platform.invalid_input", &["/to"]),
            (with(&json!({ "to": "mia@example.org" })), "platform.invalid_input", &["/to"]),
            (with(&json!({ "to": { "email": ["a@b.org", "c@d.org"] } })), "platform.invalid_input", &["/to/email"]),
            (with(&json!({ "to": { "email": "\"e@evil.test\"@b.org" } })), "platform.invalid_input", &["/to/email"]),
            (with(&json!({ "to": { "email": "a@b.org,c@d.org" } })), "platform.invalid_input", &["/to/email"]),
            (with(&json!({ "to": { "email": "a@b.org\r\nBcc: c@d.org" } })), "platform.invalid_input", &["/to/email"]),
            (with(&json!({ "to": { "email": "" } })), "platform.invalid_input", &["/to/email"]),
            (with(&json!({ "to": { "user_id": "me" } })), "platform.invalid_input", &["/to/user_id"]),
            (with(&json!({ "to": { "user_id": id, "email": "a@b.org" } })), "platform.invalid_input", &["/to"]),
            (with(&json!({ "to": { "email": "a@b.org", "cc": "c@d.org" } })), "platform.invalid_input", &["/to/cc"]),
            (with(&json!({ "to": { "phone": "0170 1234567" } })), "platform.invalid_input", &["/to/phone"]),
            (with(&json!({ "to": { "phone": "+491701234567" }, "channels": ["email"] })), "notifications.channel_unavailable", &["/channels/0"]),
            (with(&json!({ "to": { "phone": "+491701234567", "email": "a@b.org" } })), "platform.invalid_input", &["/to"]),
            (with(&json!({ "channels": ["sms"] })), "notifications.channel_unavailable", &["/channels/0"]),
            (with(&json!({ "channels": ["inbox"] })), "notifications.channel_unavailable", &["/channels/0"]),
            (with(&json!({ "category": "nobody_knows_it" })), "platform.invalid_input", &["/category"]),
            (with(&json!({ "channels": ["email", "push"] })), "notifications.channel_unavailable", &["/channels/1"]),
            (with(&json!({ "channels": ["email", "email"] })), "platform.invalid_input", &["/channels/1"]),
            (with(&json!({ "channels": [] })), "platform.invalid_input", &["/channels"]),
            (with(&json!({ "template": null })), "platform.invalid_input", &["/template"]),
            (with(&json!({ "template": "none" })), "notifications.template_unknown", &["/template"]),
            (with(&json!({ "template": "../layout" })), "notifications.template_unknown", &["/template"]),
            (with(&json!({ "template": "session_ended", "data": {} })), "notifications.template_reserved", &["/template"]),
            (with(&json!({ "data": { "subject": "a" } })), "platform.invalid_input", &["/data/text"]),
            (with(&json!({ "data": null })), "platform.invalid_input", &["/data/subject", "/data/text"]),
            (with(&json!({ "data": { "subject": "a", "text": "b", "x": 1 } })), "platform.invalid_input", &["/data/x"]),
            (with(&json!({ "data": { "subject": "a", "text": 7 } })), "platform.invalid_input", &["/data/text"]),
            (with(&json!({ "data": { "subject": "a", "text": "b", "link": "javascript:alert(1)" } })), "platform.invalid_input", &["/data/link"]),
            (with(&json!({ "category": "Not A Word" })), "platform.invalid_input", &["/category"]),
            (with(&json!({ "surprise": true })), "platform.invalid_input", &["/surprise"]),
        ];
        for (body, code, pointers) in cases {
            let answer = world.ask(&service, Method::POST, PATH, Some(body.clone())).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", answer.text);
            assert_eq!((answer.code(), answer.pointers().as_slice()), (code, pointers), "{body}: {}", answer.text);
        }
        let listed = world.ask(&service, Method::GET, PATH, None).await;
        assert_eq!(listed.body["items"], json!([]), "nothing was queued");
    }

    async fn what_cannot_be_read_is_refused(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let post = |body: &'static str, kind: &'static str| {
            let request = TestRequest::post().uri(PATH).insert_header(world.administrator());
            world.call(&service, request.insert_header(("content-type", kind)).set_payload(body))
        };
        let status = |answer: Answer| answer.status.as_u16();
        assert_eq!(status(post("{", "application/json").await), 400);
        assert_eq!(status(post("", "application/json").await), 400);
        assert_eq!(status(post("[]", "application/json").await), 422);
        assert_eq!(status(post("to=a", "application/x-www-form-urlencoded").await), 415);
        assert_eq!(status(post(r#"{"to":{"email":"a@b.org"},"to":{"email":"c@d.org"}}"#, "application/json").await), 422);
        let huge = json!({ "to": { "email": "a@b.org" }, "template": "announcement", "data": { "text": "x".repeat(70_000) } });
        assert_eq!(status(world.ask(&service, Method::POST, PATH, Some(huge)).await), 413);
        for path in [format!("{PATH}/nonsense"), format!("{PATH}/{}", NotificationId::new())] {
            assert_eq!(status(world.ask(&service, Method::GET, &path, None).await), 404, "{path}");
            assert_eq!(status(world.ask(&service, Method::POST, &format!("{path}/retry"), None).await), 404, "{path}");
        }
        let cases = [
            "state=lost", "state=", "user_id=me", "limit=0", "limit=201", "limit=many", "cursor=x", "color=red", "channel=fax",
            "state=sent&state=sent",
        ];
        for query in cases {
            assert_eq!(status(world.ask(&service, Method::GET, &format!("{PATH}?{query}"), None).await), 400, "{query}");
        }
    }

    async fn the_same_idempotency_key_is_the_same_message(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let administrator = world.administrator();
        let post = |key: &'static str, body: Value| {
            let request = TestRequest::post().uri(PATH).insert_header(administrator.clone());
            world.call(&service, request.insert_header(("idempotency-key", key)).set_json(body))
        };
        let first = post("one", good()).await;
        let again = post("one", good()).await;
        assert_eq!((first.status, again.status), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
        assert_eq!((&first.text, first.header("location")), (&again.text, again.header("location")));
        let other = post("one", with(&json!({ "category": "product_news" }))).await;
        assert_eq!((other.status.as_u16(), other.code()), (422, "platform.idempotency_key_reused"));
        assert_ne!(post("two", good()).await.text, first.text);
        let at_once = futures_util::future::join_all((0..10).map(|_| post("three", good()))).await;
        assert!(at_once.iter().all(|answer| answer.text == at_once[0].text), "{}", at_once[0].text);
        deliver_all(&service).await;
        assert_eq!(world.mails(&service).await.len(), 3);
    }

    async fn lists_are_newest_first_in_pages_and_narrowed(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        let mut ids = Vec::new();
        for number in 0..7 {
            ids.push(announce(&service, &format!("p{number}@example.org"), "News").await.to_string());
        }
        deliver_all(&service).await;
        let body = with(&json!({ "to": { "user_id": user } }));
        let last = world.ask(&service, Method::POST, PATH, Some(body)).await.body["id"].as_str().unwrap().to_owned();
        ids.push(last.clone());
        ids.reverse();

        let (mut seen, mut path) = (Vec::new(), format!("{PATH}?limit=3"));
        for page in 0..3 {
            let answer = world.ask(&service, Method::GET, &path, None).await;
            let items = answer.body["items"].as_array().unwrap();
            seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            let cursor = answer.body["next_cursor"].as_str();
            assert_eq!(cursor.is_some(), page < 2, "page {page}");
            path = format!("{PATH}?limit=3&cursor={}", cursor.unwrap_or_default());
        }
        assert_eq!(seen, ids);

        let list = |query: String| {
            let path = format!("{PATH}?{query}");
            let (world, service) = (&world, &service);
            async move { world.ask(service, Method::GET, &path, None).await.body["items"].as_array().unwrap().len() }
        };
        assert_eq!(list("state=sent".to_owned()).await, 7);
        assert_eq!(list("state=queued".to_owned()).await, 1);
        assert_eq!(list("state=failed".to_owned()).await, 0);
        assert_eq!(list("state=suppressed".to_owned()).await, 0);
        assert_eq!(list("channel=email".to_owned()).await, 8);
        assert_eq!(list("channel=inbox".to_owned()).await, 1);
        assert_eq!(list("channel=sms".to_owned()).await, 0);
        assert_eq!(list("category=general".to_owned()).await, 8);
        assert_eq!(list("category=marketing".to_owned()).await, 0);
        assert_eq!(list(format!("user_id={user}")).await, 1);
        assert_eq!(list(format!("user_id={}", UserId::new())).await, 0);
        assert_eq!(list("template=announcement&state=sent".to_owned()).await, 7);
        assert_eq!(list("template=none".to_owned()).await, 0);
        let first = world.ask(&service, Method::GET, &format!("{PATH}?limit=3"), None).await;
        let carried = format!("{PATH}?limit=3&state=sent&cursor={}", first.body["next_cursor"].as_str().unwrap());
        let answer = world.ask(&service, Method::GET, &carried, None).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "platform.invalid_cursor"));
    }
}
