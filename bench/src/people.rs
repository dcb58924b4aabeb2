//! People who are registered, verified and logged in over HTTP, and the first administrator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::house::House;
use crate::http::Api;

const PASSWORD: &str = "the same long sentence for everybody";

#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) id: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl Person {
    pub(crate) async fn log_in(address: SocketAddr, email: &str, password: &str) -> Self {
        let mut api = Api::new(address, None);
        let body = json!({ "email": email, "password": password });
        let login = api.post("/api/v1/auth/logins", &body).await.unwrap();
        assert_eq!(login.status, 200, "{:?}", login.body);
        api.token = Some(login.text("access_token"));
        let me = api.get("/api/v1/users/me").await.unwrap();
        assert_eq!(me.status, 200, "{:?}", me.body);
        Self {
            email: email.to_owned(),
            password: password.to_owned(),
            id: me.text("id"),
            access_token: login.text("access_token"),
            refresh_token: login.text("refresh_token"),
        }
    }
}

/// The first administrator, made with the printed link.
pub(crate) async fn administrator(house: &House) -> Person {
    administrator_at(house.public, &house.setup_link.clone().expect("a set-up link")).await
}

/// The same where clients don't go to the process itself.
pub(crate) async fn administrator_at(address: SocketAddr, link: &str) -> Person {
    let token = link.split_once("token=").unwrap().1;
    let email = "root@example.org";
    let body = json!({ "token": token, "email": email, "password": PASSWORD });
    let made = Api::new(address, None).post("/api/v1/setup", &body).await.unwrap();
    assert_eq!(made.status, 201, "{:?}", made.body);
    Person::log_in(address, email, PASSWORD).await
}

/// So many people, registered and verified. The mailbox shows 200 messages, so they come in groups.
pub(crate) async fn people(address: SocketAddr, name: &str, count: usize) -> Vec<Person> {
    let mut people = Vec::new();
    let all: Vec<String> = (0..count).map(|number| format!("{name}{number}@example.org")).collect();
    for group in all.chunks(48) {
        people.extend(group_of(address, group).await);
    }
    people
}

async fn group_of(address: SocketAddr, emails: &[String]) -> Vec<Person> {
    let mut tasks = JoinSet::new();
    for email in emails {
        let email = email.clone();
        tasks.spawn(async move {
            let body = json!({ "email": email, "password": PASSWORD });
            let answer = Api::new(address, None).post("/api/v1/auth/registrations", &body).await.unwrap();
            assert_eq!(answer.status, 202, "{:?}", answer.body);
        });
    }
    tasks.join_all().await;
    let tokens = tokens(address, emails).await;
    let mut tasks = JoinSet::new();
    for (email, token) in tokens {
        tasks.spawn(async move {
            let body = json!({ "token": token });
            let answer = Api::new(address, None).post("/api/v1/auth/verifications", &body).await.unwrap();
            assert_eq!(answer.status, 204, "{:?}", answer.body);
            Person::log_in(address, &email, PASSWORD).await
        });
    }
    tasks.join_all().await
}

/// The secret in the message to each address, once it is there.
async fn tokens(address: SocketAddr, emails: &[String]) -> BTreeMap<String, String> {
    let end = Instant::now() + Duration::from_secs(60);
    let mut api = Api::new(address, None);
    let mut tokens = BTreeMap::new();
    while tokens.len() < emails.len() {
        assert!(Instant::now() < end, "the messages never came: {} of {}", tokens.len(), emails.len());
        let mailbox = api.get("/dev/mailbox.json").await.unwrap();
        for item in mailbox.body["items"].as_array().unwrap() {
            let to = item["to"].as_str().unwrap();
            let link = item["links"][0].as_str().and_then(|link| link.split_once("token="));
            if let (true, Some((_, token))) = (emails.iter().any(|email| email == to), link) {
                tokens.entry(to.to_owned()).or_insert_with(|| token.to_owned());
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokens
}
