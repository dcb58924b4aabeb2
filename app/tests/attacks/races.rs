//! Many at once with the same secret, at every process that takes it: one of them gets in, and one only.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::client::{Answer, Ask, Client, Person};
use crate::house::{House, in_every_shape, token_in};
use crate::secrets::linked;

const PASSWORD: &str = "drei Hunde im Garten";
/// How many ask at the same moment.
const CROWD: usize = 16;

/// The same request from everybody at once, over connections that are open already.
async fn at_once(doors: &[String], who: &Client, ask: impl Fn(usize) -> Ask) -> Vec<Answer> {
    let start = Arc::new(Barrier::new(CROWD));
    let tasks: Vec<_> = (0..CROWD)
        .map(|number| {
            let mut client = Client::new(&doors[number % doors.len()]);
            client.access_token.clone_from(&who.access_token);
            let (ask, start) = (ask(number), Arc::clone(&start));
            tokio::spawn(async move {
                client.get("/livez").await;
                start.wait().await;
                client.send(&ask).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        let answer = task.await.unwrap();
        assert!(answer.status < 500, "{answer:?}");
        answers.push(answer);
    }
    answers
}

fn succeeded(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.status < 300).count()
}

fn post(path: &str, body: &Value) -> impl Fn(usize) -> Ask + use<> {
    let ask = Ask::new(Method::POST, path).body(body);
    move |_| ask.clone()
}

in_every_shape! {
    async fn a_secret_that_many_bring_at_once_opens_once(shape) {
        // Everybody who registers gets a message, and the one address more of them than usual.
        let settings = [("DOORWARD__AUTH__LIMITS__MESSAGES_PER_ADDRESS", "100")];
        let Some(house) = House::open(shape, &settings).await else { return };
        let doors = house.doors();
        let nobody = house.client();

        let setup = token_in(&house.setup_link.clone().unwrap());
        let first = |number: usize| {
            let email = format!("root{number}@example.org");
            Ask::new(Method::POST, "/api/v1/setup").body(&json!({ "token": setup, "email": email, "password": PASSWORD }))
        };
        let made = at_once(&doors, &nobody, first).await;
        assert_eq!(succeeded(&made), 1, "one first administrator: {made:?}");
        let number = made.iter().position(|answer| answer.status < 300).unwrap();
        let root = Person::log_in(&house.public, &format!("root{number}@example.org"), PASSWORD).await;

        let body = json!({ "email": "mia@example.org", "password": PASSWORD });
        let registered = at_once(&doors, &nobody, post("/api/v1/auth/registrations", &body)).await;
        assert_eq!(succeeded(&registered), CROWD, "everybody is told the same: {registered:?}");
        let token = linked(&house, "mia@example.org", "/verify").await;
        let verified =
            at_once(&doors, &nobody, post("/api/v1/auth/verifications", &json!({ "token": token }))).await;
        assert_eq!(succeeded(&verified), 1, "{verified:?}");
        let found = root.client.get("/api/v1/users?q=mia@example.org").await;
        assert_eq!(found.body["items"].as_array().unwrap().len(), 1, "one account: {found:?}");

        let mia = Person::log_in(&house.public, "mia@example.org", PASSWORD).await;
        let body = json!({ "refresh_token": mia.refresh_token });
        let refreshed = at_once(&doors, &nobody, post("/api/v1/auth/tokens", &body)).await;
        let mut successors: Vec<&str> =
            refreshed.iter().filter_map(|answer| answer.body["refresh_token"].as_str()).collect();
        assert!(!successors.is_empty(), "{refreshed:?}");
        successors.sort_unstable();
        successors.dedup();
        assert_eq!(successors.len(), 1, "one successor: {refreshed:?}");

        let body = json!({ "email": "mia@example.org" });
        assert_eq!(nobody.post("/api/v1/auth/password-resets", &body).await.status, 202);
        let token = linked(&house, "mia@example.org", "/password-reset").await;
        let reset = |number: usize| {
            let body = json!({ "token": token, "new_password": format!("{PASSWORD} {number}") });
            Ask::new(Method::POST, "/api/v1/auth/password-resets/confirm").body(&body)
        };
        let reset = at_once(&doors, &nobody, reset).await;
        assert_eq!(succeeded(&reset), 1, "{reset:?}");
        let number = reset.iter().position(|answer| answer.status < 300).unwrap();
        Person::log_in(&house.public, "mia@example.org", &format!("{PASSWORD} {number}")).await;

        let body = json!({ "email": "eva@example.org", "send_invitation": true });
        assert_eq!(root.client.post("/api/v1/users", &body).await.status, 201);
        let token = linked(&house, "eva@example.org", "/invitation").await;
        let body = json!({ "token": token, "password": PASSWORD });
        let accepted = at_once(&doors, &nobody, post("/api/v1/auth/invitations/accept", &body)).await;
        assert_eq!(succeeded(&accepted), 1, "{accepted:?}");
        house.close();
    }
}

in_every_shape! {
    async fn what_many_make_at_once_is_there_once_and_somebody_still_administers(shape) {
        let Some(mut house) = House::open(shape, &[]).await else { return };
        let doors = house.doors();
        let root = house.administrator().await;
        let role = post("/api/v1/roles", &json!({ "name": "reader", "permissions": ["documents:read"] }));
        let made = at_once(&doors, &root.client, role).await;
        assert_eq!(succeeded(&made), 1, "{made:?}");
        let person = |_: usize| {
            let body = json!({ "email": "tom@example.org", "display_name": "Tom" });
            Ask::new(Method::POST, "/api/v1/users").body(&body)
        };
        let made = at_once(&doors, &root.client, person).await;
        assert_eq!(succeeded(&made), 1, "{made:?}");
        let keyed = |_: usize| {
            let body = json!({ "email": "ida@example.org", "display_name": "Ida" });
            Ask::new(Method::POST, "/api/v1/users").body(&body).header("idempotency-key", "ida")
        };
        let made = at_once(&doors, &root.client, keyed).await;
        let mut ids: Vec<&str> = made.iter().filter_map(|answer| answer.body["id"].as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1, "one person for one key: {made:?}");

        // Each takes the rights of the other one: one of them keeps what he has.
        let mia = house.person("mia").await;
        let body = json!({ "subject": { "type": "user", "id": mia.id }, "role": "admin" });
        let assigned = root.client.post("/api/v1/role-assignments", &body).await;
        assert_eq!(assigned.status, 201, "{assigned:?}");
        let all = root.client.get("/api/v1/role-assignments?role=admin").await;
        let ids: Vec<String> =
            all.body["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 2, "{all:?}");
        let take = |number: usize| {
            Ask::new(Method::DELETE, &format!("/api/v1/role-assignments/{}", ids[number % 2]))
        };
        let taken = at_once(&doors, &root.client, take).await;
        assert!(succeeded(&taken) >= 1, "{taken:?}");
        let mut left = 0;
        for person in [&root, &mia] {
            left += usize::from(person.client.get("/api/v1/roles").await.status == 200);
        }
        assert_eq!(left, 1, "somebody still administers: {taken:?}");
        house.close();
    }
}
