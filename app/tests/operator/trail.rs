//! The audit trail: every operation that writes is in it, with who, which request, and what was there before and after.
//!
//! The operations come from the OpenAPI document. One without a recipe below fails the test: whoever adds an operation
//! adds how it is called with success.

use reqwest::Method;
use serde_json::{Value, json};

use testkit::mail_trap::{MailTrap, Manner};

use crate::client::{Answer, Ask, Person};
use crate::house::{House, Shape, eventually, token_in};

/// What an entry must tell of the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    /// That it happened.
    Happened,
    /// What is there now.
    After,
    /// What was there.
    Before,
    /// What was there and what is there now.
    Both,
}

use Tells::{After, Before, Both, Happened};

/// An operation that was called.
struct Done {
    answer: Answer,
    /// Who called it, when somebody was logged in.
    by: Option<String>,
    tells: Tells,
}

/// Operations that have the method of a write and only answer.
const READS: [(&str, &str); 2] = [("POST", "/access/v1/evaluation"), ("POST", "/access/v1/evaluations")];

struct World {
    house: House,
    trap: MailTrap,
    root: Person,
    people: usize,
}

impl World {
    /// Somebody new who is logged in.
    async fn somebody(&mut self) -> Person {
        self.people += 1;
        self.house.person(&format!("person{}", self.people)).await
    }

    /// An account that is not verified yet, and the link it got.
    async fn registered(&mut self) -> (String, String) {
        self.people += 1;
        let email = format!("person{}@example.org", self.people);
        let body = json!({ "email": email, "password": "zwei Katzen auf dem Dach", "display_name": "New" });
        assert_eq!(self.house.client().post("/api/v1/auth/registrations", &body).await.status, 202);
        let link = self.house.messages(&email, 1).await[0]["links"][0].as_str().unwrap().to_owned();
        (email, token_in(&link))
    }

    async fn role(&self, name: &str) -> String {
        let body = json!({ "name": name, "description": "A role", "permissions": ["documents:read"], "inherits": [] });
        assert_eq!(self.root.client.post("/api/v1/roles", &body).await.status, 201, "{name}");
        name.to_owned()
    }

    async fn anonymous(&self, ask: Ask, tells: Tells) -> Done {
        Done { answer: self.house.client().send(&ask).await, by: None, tells }
    }

    /// Calls an operation with success, as somebody who may; none when it is not known how.
    async fn call(&mut self, method: &str, path: &str, request: &str) -> Option<Done> {
        let ask = |body: &Value| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            Ask::new(method, path).header("x-request-id", request).body(body)
        };
        let none = Value::Null;
        match (method, path) {
            ("POST", "/api/v1/auth/registrations") => {
                let body = json!({ "email": "fresh@example.org", "password": "zwei Katzen auf dem Dach" });
                Some(self.anonymous(ask(&body), After).await)
            }
            ("POST", "/api/v1/auth/verifications") => {
                let (_, token) = self.registered().await;
                Some(self.anonymous(ask(&json!({ "token": token })), Both).await)
            }
            ("POST", "/api/v1/auth/verifications/resend") => {
                let (email, _) = self.registered().await;
                Some(self.anonymous(ask(&json!({ "email": email })), Happened).await)
            }
            ("POST", "/api/v1/auth/logins") => {
                let mia = self.somebody().await;
                let body = json!({ "email": mia.email, "password": mia.password });
                Some(self.anonymous(ask(&body), Happened).await)
            }
            ("POST", "/api/v1/auth/tokens") => {
                let mia = self.somebody().await;
                Some(self.anonymous(ask(&json!({ "refresh_token": mia.refresh_token })), Happened).await)
            }
            ("DELETE", "/api/v1/auth/sessions" | "/api/v1/auth/sessions/current") => {
                let mia = self.somebody().await;
                Person::log_in(&self.house.public, &mia.email, &mia.password).await;
                Some(as_person(&mia, &bare(ask(&none)), Happened).await)
            }
            ("DELETE", "/api/v1/auth/sessions/{id}") => {
                let mia = self.somebody().await;
                let other = Person::log_in(&self.house.public, &mia.email, &mia.password).await;
                Some(as_person(&mia, &at(bare(ask(&none)), &[&other.session]), Happened).await)
            }
            ("PATCH", "/api/v1/users/me") => {
                let mia = self.somebody().await;
                let tag = mia.client.get(path).await.header("etag").to_owned();
                let ask = ask(&json!({ "display_name": "Another" })).header("if-match", &tag);
                Some(as_person(&mia, &ask, Both).await)
            }
            (_, "/api/v1/users/me/preferences/{namespace}") => {
                let mia = self.somebody().await;
                let there = Ask::new(Method::PUT, "/api/v1/users/me/preferences/ui")
                    .body(&json!({ "theme": "dark" }));
                let there = mia.client.send(&there).await;
                assert!(there.status < 300, "{there:?}");
                let (ask, tells) = match method {
                    "DELETE" => (bare(ask(&none)), Before),
                    _ => (ask(&json!({ "theme": "light" })), Both),
                };
                Some(as_person(&mia, &at(ask, &["ui"]), tells).await)
            }
            ("POST", "/api/v1/roles") => {
                let body = json!({ "name": "made", "description": "A role", "permissions": ["documents:read"], "inherits": [] });
                Some(as_person(&self.root, &ask(&body), After).await)
            }
            (_, "/api/v1/roles/{name}") => {
                let name = self.role(&format!("role-{}", method.to_lowercase())).await;
                let tag =
                    self.root.client.get(&format!("/api/v1/roles/{name}")).await.header("etag").to_owned();
                let body = json!({ "name": name, "description": "Changed", "permissions": ["documents:write"], "inherits": [] });
                let (ask, tells) =
                    if method == "DELETE" { (bare(ask(&none)), Before) } else { (ask(&body), Both) };
                let ask = if tag.is_empty() { ask } else { ask.header("if-match", &tag) };
                Some(as_person(&self.root, &at(ask, &[&name]), tells).await)
            }
            ("POST", "/api/v1/role-assignments") => {
                let (mia, role) = (self.somebody().await, self.role("given").await);
                let body = json!({ "subject": { "type": "user", "id": mia.id }, "role": role });
                Some(as_person(&self.root, &ask(&body), After).await)
            }
            ("DELETE", "/api/v1/role-assignments/{id}") => {
                let (mia, role) = (self.somebody().await, self.role("taken").await);
                let body = json!({ "subject": { "type": "user", "id": mia.id }, "role": role });
                let given = self.root.client.post("/api/v1/role-assignments", &body).await;
                let id = given.body["id"].as_str().unwrap().to_owned();
                Some(as_person(&self.root, &at(bare(ask(&none)), &[&id]), Before).await)
            }
            ("POST", "/api/v1/notifications") => {
                let mia = self.somebody().await;
                Some(as_person(&self.root, &ask(&announcement(&mia)), After).await)
            }
            ("POST", "/api/v1/notifications/{id}/retry") => {
                let mia = self.somebody().await;
                self.trap.next([Manner::Refuse]);
                let sent = self.root.client.post("/api/v1/notifications", &announcement(&mia)).await;
                let id = sent.body["id"].as_str().unwrap().to_owned();
                let message = format!("/api/v1/notifications/{id}");
                eventually("the message to fail", async || {
                    let state = self.root.client.get(&message).await.body["state"].clone();
                    (state == "failed").then_some(())
                })
                .await;
                Some(as_person(&self.root, &at(bare(ask(&none)), &[&id]), Happened).await)
            }
            _ => None,
        }
    }
}

fn announcement(to: &Person) -> Value {
    json!({ "to": { "user_id": to.id }, "template": "announcement", "data": { "subject": "Hello", "text": "We moved." } })
}

/// The request without a body.
fn bare(ask: Ask) -> Ask {
    Ask { body: None, ..ask }
}

/// The request with its path's parameters filled in.
fn at(ask: Ask, values: &[&str]) -> Ask {
    let path = values.iter().fold(ask.path.clone(), |path, value| {
        let (before, rest) = path.split_once('{').unwrap();
        format!("{before}{value}{}", rest.split_once('}').unwrap().1)
    });
    Ask { path, ..ask }
}

async fn as_person(person: &Person, ask: &Ask, tells: Tells) -> Done {
    Done { answer: person.client.send(ask).await, by: Some(person.id.clone()), tells }
}

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
                path = format!("/api/v1/audit-events?limit=200&cursor={cursor}")
            }
            _ => return found,
        }
    }
}

fn fits(entry: &Value, done: &Done) -> bool {
    let there = |name: &str| entry[name].as_object().is_some_and(|fields| !fields.is_empty());
    let told = match done.tells {
        Happened => true,
        After => there("after"),
        Before => there("before"),
        Both => there("before") && there("after"),
    };
    let by = match &done.by {
        Some(id) => entry["actor"]["type"] == "user" && entry["actor"]["id"] == *id,
        None => true,
    };
    told && by && entry["outcome"] == "succeeded"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_that_writes_is_in_the_trail() {
    for shape in [Shape::Embedded, Shape::Postgres] {
        let trap = MailTrap::start().await;
        let url = trap.url();
        let Some(house) = House::open(shape, &[("DOORWARD__SMTP__URL", url.as_str())]).await else {
            continue;
        };
        let document = house.client().get("/openapi.json").await.body;
        let setup = Ask::new(Method::POST, "/api/v1/setup").header("x-request-id", "request-setup");
        let token = token_in(&house.setup_link.clone().unwrap());
        let body = json!({ "token": token, "email": "root@example.org", "password": "correct horse battery staple" });
        assert_eq!(house.client().send(&setup.body(&body)).await.status, 201);
        let root = Person::log_in(&house.public, "root@example.org", "correct horse battery staple").await;
        assert!(!entries(&root, "request-setup").await.is_empty(), "POST /api/v1/setup");

        let mut world = World { house, trap, root, people: 0 };
        let mut wrong = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
                let known = READS.contains(&(method.as_str(), path.as_str())) || path == "/api/v1/setup";
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
                let entries = entries(&world.root, &request).await;
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_is_searched_by_who_whom_what_and_when_page_by_page() {
    for shape in [Shape::Embedded, Shape::Postgres] {
        let Some(mut house) = House::open(shape, &[]).await else { continue };
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
