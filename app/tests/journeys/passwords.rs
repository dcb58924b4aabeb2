//! Forgetting a password and changing it: who gets in afterwards, and who does not.

use reqwest::Method;
use serde_json::json;

use crate::client::{Ask, Client, Person};
use crate::journey;

const NEW: &str = "seven lazy otters at noon";

fn log_in(email: &str, password: &str) -> Ask {
    Ask::new(Method::POST, "/api/v1/auth/logins").body(&json!({ "email": email, "password": password }))
}

fn change(current: &str, new: &str) -> Ask {
    let body = json!({ "current_password": current, "new_password": new });
    Ask::new(Method::PUT, "/api/v1/auth/password").body(&body)
}

fn forgot(email: &str) -> Ask {
    Ask::new(Method::POST, "/api/v1/auth/password-resets").body(&json!({ "email": email }))
}

fn confirm(token: &str, password: &str) -> Ask {
    let body = json!({ "token": token, "new_password": password });
    Ask::new(Method::POST, "/api/v1/auth/password-resets/confirm").body(&body)
}

async fn alive(client: &Client) -> bool {
    client.get("/api/v1/users/me").await.status == 200
}

journey! {
    async fn a_changed_password_leaves_only_the_session_that_changed_it(house) {
        let phone = house.person("mia").await;
        let laptop = Person::log_in(&house.public, &phone.email, &phone.password).await;
        assert!(alive(&phone.client).await && alive(&laptop.client).await);
        house.transcript.hide(NEW);

        house.transcript.say("Whoever only holds the session does not get further");
        let wrong = laptop.client.tell(&mut house.transcript, &change("not the password", NEW)).await;
        assert_eq!((wrong.status, wrong.code()), (401, "auth.invalid_credentials"));
        let weak = laptop.client.tell(&mut house.transcript, &change(&phone.password, "1234567")).await;
        assert_eq!(weak.status, 422);
        assert_eq!(weak.body["errors"].as_array().unwrap().len(), 2, "all broken rules at once");

        house.transcript.say("The owner does, and the other devices are out at once");
        assert_eq!(laptop.client.tell(&mut house.transcript, &change(&phone.password, NEW)).await.status, 204);
        assert!(alive(&laptop.client).await && !alive(&phone.client).await);
        let client = house.client();
        assert_eq!(client.tell(&mut house.transcript, &log_in(&phone.email, &phone.password)).await.status, 401);
        assert_eq!(client.send(&log_in(&phone.email, NEW)).await.status, 200);
    }
}

journey! {
    async fn asking_for_a_reset_tells_nobody_anything(house) {
        let mia = house.person("mia").await;
        let client = house.client();
        let known = client.tell(&mut house.transcript, &forgot(&mia.email)).await;
        let unknown = client.tell(&mut house.transcript, &forgot("nobody@example.org")).await;
        assert_eq!((known.status, &known.body), (unknown.status, &unknown.body));
        assert_eq!(known.body, json!({ "status": "reset_sent" }));
        let list = json!({ "email": [mia.email, "evil@example.org"] });
        let ask = Ask::new(Method::POST, "/api/v1/auth/password-resets").body(&list);
        assert_eq!(client.tell(&mut house.transcript, &ask).await.status, 422);

        house.transcript.say("Made-up links open nothing");
        for token in ["", "true", "dwp_", &format!("dwp_{}", "A".repeat(43)), &mia.refresh_token] {
            let answer = client.send(&confirm(token, NEW)).await;
            assert_eq!((answer.status, answer.code()), (422, "auth.unknown_token"), "{token}");
        }
        assert!(alive(&mia.client).await);
        let page = client.get("/password-reset").await;
        assert_eq!((page.status, page.header("referrer-policy"), page.header("cache-control")), (200, "no-referrer", "no-store"));
    }
}
