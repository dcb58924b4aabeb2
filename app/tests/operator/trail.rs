//! The audit trail: every operation that writes is in it, with who, which request, and what was there before and after.
//!
//! The operations come from the OpenAPI document. One without a recipe (`recipes.rs`) fails the test: whoever adds an
//! operation adds how it is called with success.

use reqwest::Method;
use serde_json::{Value, json};

use testkit::mail_trap::MailTrap;

use crate::client::{Ask, Person};
use crate::house::{House, Shape, in_every_shape, token_in};
use crate::recipes::{Done, Tells, World};

/// Operations that have the method of a write and only answer.
const READS: [(&str, &str); 5] = [
    ("POST", "/access/v1/evaluation"),
    ("POST", "/access/v1/evaluations"),
    ("POST", "/access/v1/search/action"),
    ("POST", "/access/v1/search/resource"),
    ("POST", "/access/v1/search/subject"),
];

/// Needs a provider of short messages at the other end: told by the tests of notifications.
const ELSEWHERE: [(&str, &str); 1] = [("POST", "/api/v1/notifications/receipts/{provider}")];

/// What the trail holds of a request, whatever it is about.
async fn entries(root: &Person, request: &str) -> Vec<Value> {
    let (mut found, mut path) = (Vec::new(), "/api/v1/audit-events?limit=200".to_owned());
    loop {
        let page = root.client.get(&path).await;
        assert_eq!(page.status, 200, "{:?}", page.body);
        let items = page.body["items"].as_array().unwrap().clone();
        found.extend(items.into_iter().filter(|item| item["request_id"] == request));
        match page.body["next_cursor"].as_str() {
            Some(cursor) if found.is_empty() => {
                path = format!("/api/v1/audit-events?limit=200&cursor={cursor}");
            }
            _ => return found,
        }
    }
}

fn fits(entry: &Value, done: &Done) -> bool {
    let there = |name: &str| entry[name].as_object().is_some_and(|fields| !fields.is_empty());
    let told = match done.tells {
        Tells::Happened => true,
        Tells::After => there("after"),
        Tells::Before => there("before"),
        Tells::Both => there("before") && there("after"),
    };
    let by = match &done.by {
        Some(id) => entry["actor"]["type"] == "user" && entry["actor"]["id"] == *id,
        None => true,
    };
    told && by && entry["outcome"] == "succeeded"
}

async fn every_operation_that_writes_is_told(shape: Shape) {
    let trap = MailTrap::start().await;
    let url = trap.url();
    let Some(house) = House::open(shape, &[("DOORWARD__SMTP__URL", url.as_str())]).await else { return };
    let document = house.client().get("/openapi.json").await.body;
    let setup = Ask::new(Method::POST, "/api/v1/setup").header("x-request-id", "request-setup");
    let token = token_in(&house.setup_link.clone().unwrap());
    let body =
        json!({ "token": token, "email": "root@example.org", "password": "correct horse battery staple" });
    assert_eq!(house.client().send(&setup.body(&body)).await.status, 201);
    let root = Person::log_in(&house.public, "root@example.org", "correct horse battery staple").await;
    assert!(!entries(&root, "request-setup").await.is_empty(), "POST /api/v1/setup");

    let mut world = World { house, trap, root, people: 0 };
    let mut wrong = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let operation = (method.as_str(), path.as_str());
            let known =
                READS.contains(&operation) || ELSEWHERE.contains(&operation) || path == "/api/v1/setup";
            if !["POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) || known {
                continue;
            }
            let request = format!("{}{}", method.to_lowercase(), path.replace(['/', '{', '}'], "."));
            let request: String = request.chars().take(60).collect();
            let Some(done) = world.call(&method, path, &request).await else {
                wrong.push(format!("{method} {path}: it is not known here how to call it"));
                continue;
            };
            if done.answer.status >= 300 {
                wrong.push(format!("{method} {path}: {} {}", done.answer.status, done.answer.body));
                continue;
            }
            // Some work is done after the answer, so that the answer tells nothing by its time.
            let mut entries = entries(&world.root, &request).await;
            for _ in 0..40 {
                if entries.iter().any(|entry| fits(entry, &done)) {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                entries = self::entries(&world.root, &request).await;
            }
            if !entries.iter().any(|entry| fits(entry, &done)) {
                wrong.push(format!(
                    "{method} {path}: {:?} by {:?} is not told by {entries:?}",
                    done.tells, done.by
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{shape:?}:\n{}", wrong.join("\n"));
}

in_every_shape! {
    async fn every_operation_that_writes_is_in_the_trail(shape) {
        every_operation_that_writes_is_told(shape).await;
    }
}

in_every_shape! {
    async fn the_trail_is_searched_by_who_whom_what_and_when_page_by_page(shape) {
        let Some(mut house) = House::open(shape, &[]).await else { return };
        let (root, mia) = (house.administrator().await, house.person("mia").await);
        for number in 0..5 {
            let ask =
                Ask::new(Method::PUT, "/api/v1/users/me/preferences/ui").body(&json!({ "number": number }));
            assert!(mia.client.send(&ask).await.status < 300);
        }
        let list = async |query: &str| root.client.get(&format!("/api/v1/audit-events?{query}")).await;
        let all =
            list(&format!("limit=200&actor_id={}", mia.id)).await.body["items"].as_array().unwrap().clone();
        assert!(all.len() >= 5, "{all:?}");
        let (newest, oldest) =
            (all.first().unwrap()["at"].as_str().unwrap(), all.last().unwrap()["at"].as_str().unwrap());
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = list(&format!("limit=2&actor_id={}{cursor}", mia.id)).await;
            paged.extend(page.body["items"].as_array().unwrap().clone());
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            assert!(page.header("link").contains("rel=\"next\""));
            let edited = format!("limit=2&actor_id={}&cursor={}x", mia.id, next);
            assert_eq!(list(&edited).await.status, 400);
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, all, "pages hold the same, once, in the same order");
        let count = async |query: &str| list(query).await.body["items"].as_array().unwrap().len();
        let by_mia = format!("limit=200&actor_id={}", mia.id);
        assert_eq!(
            count(&format!("{by_mia}&from={newest}")).await,
            all.iter().filter(|it| it["at"] == newest).count()
        );
        assert_eq!(count(&format!("{by_mia}&to={oldest}")).await, 0);
        assert_eq!(count(&format!("{by_mia}&from={oldest}")).await, all.len());
        let action = all[0]["action"].as_str().unwrap();
        assert!(count(&format!("{by_mia}&action={action}")).await >= 5);
        assert_eq!(count(&format!("{by_mia}&action=nothing.such")).await, 0);
        assert!(count(&format!("limit=200&subject_id={}", mia.id)).await >= 1);
        for bad in ["from=yesterday", "limit=0", "limit=1000000000", "limit=-1", "cursor=x", "who=me", "to="]
        {
            assert_eq!(list(bad).await.status, 400, "{bad}");
        }
        assert_eq!(mia.client.get("/api/v1/audit-events").await.status, 403);
        house.close();
    }
}
