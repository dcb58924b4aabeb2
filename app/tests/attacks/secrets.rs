//! Every secret that Doorward gives out, at every place that takes one: only its own place opens.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Ask, Client, Person};
use crate::house::{House, eventually, in_every_shape, token_in};

const PASSWORD: &str = "drei Hunde im Garten";

/// The places, by the kind of secret they take.
const PLACES: [&str; 9] =
    ["verification", "set-up", "refresh", "reset", "report", "invitation", "access", "unsubscribe", "cursor"];

/// Brings a secret to a place. Mia is who asks for the page behind a cursor.
async fn bring(house: &House, mia: &Person, place: &str, secret: &str) -> Answer {
    let client = house.client();
    let post = async |path: &str, body: Value| client.post(path, &body).await;
    match place {
        "verification" => post("/api/v1/auth/verifications", json!({ "token": secret })).await,
        "set-up" => {
            let body = json!({ "token": secret, "email": "evil@example.org", "password": PASSWORD });
            post("/api/v1/setup", body).await
        }
        "refresh" => post("/api/v1/auth/tokens", json!({ "refresh_token": secret })).await,
        "reset" => {
            let body = json!({ "token": secret, "new_password": PASSWORD });
            post("/api/v1/auth/password-resets/confirm", body).await
        }
        "report" => post("/api/v1/auth/session-reports", json!({ "token": secret })).await,
        "invitation" => {
            post("/api/v1/auth/invitations/accept", json!({ "token": secret, "password": PASSWORD })).await
        }
        "access" => {
            let mut client = Client::new(&house.public);
            client.access_token = Some(secret.to_owned());
            client.get("/api/v1/users/me").await
        }
        "unsubscribe" => {
            let path = format!("/api/v1/notifications/unsubscribe?token={secret}");
            let click = "List-Unsubscribe=One-Click";
            client.send(&Ask::new(Method::POST, &path).text("application/x-www-form-urlencoded", click)).await
        }
        "cursor" => mia.client.get(&format!("/api/v1/inbox?limit=1&cursor={secret}")).await,
        other => panic!("{other} is no place"),
    }
}

/// The secret behind a link's path in the newest message to an address that has such a link.
pub async fn linked(house: &House, address: &str, path: &str) -> String {
    eventually(&format!("a link to {path}"), async || {
        let messages = house.mailbox(address).await;
        let words = messages.iter().filter_map(|message| message["text"].as_str());
        let mut words = words.flat_map(str::split_whitespace);
        words.find(|word| word.contains(path) && word.contains("token=")).map(token_in)
    })
    .await
}

/// Two messages in somebody's inbox, and the cursor between them.
async fn cursor(root: &Person, mia: &Person) -> String {
    for subject in ["One", "Two"] {
        let data = json!({ "subject": subject, "text": "Come and see." });
        let to = json!({ "user_id": mia.id });
        let body = json!({ "to": to, "template": "announcement", "data": data, "channels": ["inbox"], "category": "general" });
        let sent = root.client.post("/api/v1/notifications", &body).await;
        assert_eq!(sent.status, 202, "{sent:?}");
    }
    eventually("a second page", async || {
        let page = mia.client.get("/api/v1/inbox?limit=1").await;
        page.body["next_cursor"].as_str().map(ToOwned::to_owned)
    })
    .await
}

/// Brings each secret to all places but its own.
async fn cross(house: &House, mia: &Person, secrets: &[(&str, String)]) {
    for (kind, secret) in secrets {
        for place in PLACES.into_iter().filter(|place| place != kind) {
            let answer = bring(house, mia, place, secret).await;
            assert!((400..=422).contains(&answer.status), "the {kind} secret at {place}: {answer:?}");
            assert_eq!(answer.header("content-type"), "application/problem+json", "{kind} at {place}");
        }
    }
}

in_every_shape! {
    async fn a_secret_opens_its_own_door_and_no_other(shape) {
        let Some(mut house) = House::open(shape, &[]).await else { return };
        let (mia, ida, ben) =
            (house.person("mia").await, house.person("ida").await, house.person("ben").await);
        let client = house.client();
        let new = json!({ "email": "new@example.org", "password": PASSWORD });
        assert_eq!(client.post("/api/v1/auth/registrations", &new).await.status, 202);
        let reset = client.post("/api/v1/auth/password-resets", &json!({ "email": ida.email })).await;
        assert_eq!(reset.status, 202);
        let strange = Ask::new(Method::POST, "/api/v1/auth/logins")
            .body(&json!({ "email": ben.email, "password": ben.password }))
            .header("user-agent", "Evil/1.0");
        assert_eq!(client.send(&strange).await.status, 200);
        let mut secrets = vec![
            ("set-up", token_in(&house.setup_link.clone().unwrap())),
            ("verification", linked(&house, "new@example.org", "/verify").await),
            ("reset", linked(&house, &ida.email, "/password-reset").await),
            ("report", linked(&house, &ben.email, "/session-report").await),
            ("refresh", mia.refresh_token.clone()),
            ("access", mia.client.access_token.clone().unwrap()),
        ];
        cross(&house, &mia, &secrets).await;

        let root = house.administrator().await;
        let eva = json!({ "email": "eva@example.org", "send_invitation": true });
        assert_eq!(root.client.post("/api/v1/users", &eva).await.status, 201);
        let news = json!({ "subject": "News", "text": "Come and see." });
        let news = json!({ "to": { "email": "tom@example.org" }, "template": "announcement", "data": news, "channels": ["email"], "category": "marketing" });
        assert_eq!(root.client.post("/api/v1/notifications", &news).await.status, 202);
        secrets.remove(0);
        secrets.extend([
            ("invitation", linked(&house, "eva@example.org", "/invitation").await),
            ("unsubscribe", linked(&house, "tom@example.org", "/unsubscribe").await),
            ("cursor", cursor(&root, &mia).await),
        ]);
        cross(&house, &mia, &secrets).await;
        for (kind, secret) in &secrets {
            let answer = bring(&house, &mia, kind, secret).await;
            assert!((200..300).contains(&answer.status), "{kind} at its own place: {answer:?}");
        }
        house.close();
    }
}
