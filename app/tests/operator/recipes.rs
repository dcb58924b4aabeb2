//! How each operation that writes is called with success: what it needs before, who calls it, and what its entry in the
//! audit trail has to tell.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::mail_trap::{MailTrap, Manner};

use crate::client::{Answer, Ask, Person};
use crate::house::{House, eventually, token_in};

/// What an entry must tell of the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
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
pub struct Done {
    pub answer: Answer,
    /// Who called it, when somebody was logged in.
    pub by: Option<String>,
    pub tells: Tells,
}

/// A house with an administrator and whoever a recipe needs.
pub struct World {
    pub house: House,
    pub trap: MailTrap,
    pub root: Person,
    pub people: usize,
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

    /// The secret of the link with these words in it, from a message to an address; none when no such message comes.
    async fn linked(&self, email: &str, words: &str) -> Option<String> {
        for _ in 0..100 {
            let messages = self.house.mailbox(email).await;
            let links = messages.iter().flat_map(|message| message["links"].as_array().unwrap());
            if let Some(link) = links.filter_map(Value::as_str).find(|link| link.contains(words)) {
                return Some(token_in(link));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    }

    /// Somebody whom the administrator made: id and address.
    async fn made(&mut self, body: &Value) -> Option<(String, String)> {
        self.people += 1;
        let email = format!("made{}@example.org", self.people);
        let mut body = body.clone();
        body["email"] = json!(email);
        let made = self.root.client.post("/api/v1/users", &body).await;
        (made.status == 201).then(|| (made.body["id"].as_str().unwrap().to_owned(), email))
    }

    async fn group(&self, name: &str) -> String {
        let made = self.root.client.post("/api/v1/groups", &json!({ "name": name })).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.body["id"].as_str().unwrap().to_owned()
    }

    /// With the state that is there, where one has to be named.
    async fn matching(&self, person: &Person, ask: Ask) -> Ask {
        let tag = person.client.get(&ask.path).await.header("etag").to_owned();
        if tag.is_empty() { ask } else { ask.header("if-match", &tag) }
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
    pub async fn call(&mut self, method: &str, path: &str, request: &str) -> Option<Done> {
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
            ("POST", "/api/v1/auth/password-resets") => {
                let mia = self.somebody().await;
                Some(self.anonymous(ask(&json!({ "email": mia.email })), Happened).await)
            }
            ("POST", "/api/v1/auth/password-resets/confirm") => {
                let mia = self.somebody().await;
                let asked = json!({ "email": mia.email });
                assert_eq!(
                    self.house.client().post("/api/v1/auth/password-resets", &asked).await.status,
                    202
                );
                let token = self.linked(&mia.email, "password-reset").await?;
                let body = json!({ "token": token, "new_password": "drei Hunde im Garten" });
                Some(self.anonymous(ask(&body), Both).await)
            }
            ("PUT", "/api/v1/auth/password") => {
                let mia = self.somebody().await;
                let body =
                    json!({ "current_password": mia.password, "new_password": "drei Hunde im Garten" });
                Some(as_person(&mia, &ask(&body), Both).await)
            }
            ("POST", "/api/v1/auth/session-reports") => {
                let mia = self.somebody().await;
                let elsewhere = Ask::new(Method::POST, "/api/v1/auth/logins")
                    .body(&json!({ "email": mia.email, "password": mia.password }))
                    .header("user-agent", "Another browser on another machine");
                assert_eq!(self.house.client().send(&elsewhere).await.status, 200);
                let token = self.linked(&mia.email, "session-report").await?;
                Some(self.anonymous(ask(&json!({ "token": token })), After).await)
            }
            ("POST", "/api/v1/auth/invitations/accept") => {
                let (_, email) = self.made(&json!({ "send_invitation": true })).await?;
                let token = self.linked(&email, "invitation").await?;
                let body = json!({ "token": token, "password": "zwei Katzen auf dem Dach" });
                Some(self.anonymous(ask(&body), Both).await)
            }
            ("POST", "/api/v1/users") => {
                let body = json!({ "email": "made@example.org", "display_name": "Made" });
                Some(as_person(&self.root, &ask(&body), After).await)
            }
            ("POST", "/api/v1/users/imports") => {
                let row = ask(&json!({ "email": "moved@example.org", "display_name": "Moved" }));
                Some(as_person(&self.root, &row.header("content-type", "application/x-ndjson"), After).await)
            }
            ("PATCH" | "DELETE", "/api/v1/users/{id}") => {
                let (id, _) = self.made(&json!({ "display_name": "Made" })).await?;
                let (ask, tells) = match method {
                    "DELETE" => (bare(ask(&none)), Both),
                    _ => (ask(&json!({ "given_name": "Another" })), Both),
                };
                let ask = self.matching(&self.root, at(ask, &[&id])).await;
                Some(as_person(&self.root, &ask, tells).await)
            }
            ("POST", "/api/v1/users/{id}/restore") => {
                let (id, _) = self.made(&json!({ "display_name": "Made" })).await?;
                let end = Ask::new(Method::DELETE, &format!("/api/v1/users/{id}"));
                assert!(self.root.client.send(&end).await.status < 300);
                Some(as_person(&self.root, &at(bare(ask(&none)), &[&id]), Both).await)
            }
            ("POST", "/api/v1/groups") => {
                Some(as_person(&self.root, &ask(&json!({ "name": "writers" })), After).await)
            }
            (_, "/api/v1/groups/{id}") => {
                let id = self.group(&format!("group-{}", method.to_lowercase())).await;
                let (ask, tells) = match method {
                    "DELETE" => (bare(ask(&none)), Before),
                    _ => (ask(&json!({ "name": "renamed" })), Both),
                };
                let ask = self.matching(&self.root, at(ask, &[&id])).await;
                Some(as_person(&self.root, &ask, tells).await)
            }
            (_, "/api/v1/groups/{id}/members/{type}/{member}") => {
                let (mia, id) =
                    (self.somebody().await, self.group(&format!("members-{}", method.to_lowercase())).await);
                let ask = at(bare(ask(&none)), &[&id, "user", &mia.id]);
                if method == "DELETE" {
                    let add = Ask::new(Method::PUT, &ask.path);
                    assert!(self.root.client.send(&add).await.status < 300);
                }
                let tells = if method == "DELETE" { Before } else { After };
                Some(as_person(&self.root, &ask, tells).await)
            }
            ("POST", "/api/v1/notifications/unsubscribe") => {
                self.people += 1;
                let email = format!("person{}@example.org", self.people);
                let body = json!({ "to": { "email": email }, "template": "announcement", "channels": ["email"],
                    "category": "marketing", "data": { "subject": "Hello", "text": "We moved." } });
                assert_eq!(self.root.client.post("/api/v1/notifications", &body).await.status, 202);
                let mail = self.house.messages(&email, 1).await[0]["text"].as_str().unwrap().to_owned();
                let link = mail.split_whitespace().find(|word| word.contains("unsubscribe?token="))?;
                let link = &link[link.find("/api/")?..];
                let leave = Ask::new(Method::POST, link).header("x-request-id", request);
                let leave = leave.text("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click");
                Some(self.anonymous(leave, After).await)
            }
            ("PUT", "/api/v1/notification-preferences") => {
                let mia = self.somebody().await;
                let ask = self.matching(&mia, ask(&json!({ "marketing": { "email": false } }))).await;
                Some(as_person(&mia, &ask, After).await)
            }
            ("POST", "/api/v1/inbox/read" | "/api/v1/inbox/{id}/read") => {
                let mia = self.somebody().await;
                let mut body = announcement(&mia);
                body["channels"] = json!(["inbox"]);
                assert_eq!(self.root.client.post("/api/v1/notifications", &body).await.status, 202);
                let item = eventually("the message in the inbox", async || {
                    let inbox = mia.client.get("/api/v1/inbox?limit=10").await.body;
                    inbox["items"][0]["id"].as_str().map(ToOwned::to_owned)
                })
                .await;
                let ask = bare(ask(&none));
                let ask = if path.contains('{') { at(ask, &[&item]) } else { ask };
                Some(as_person(&mia, &ask, Both).await)
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
