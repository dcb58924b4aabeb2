//! Nothing is left of somebody who was purged: not in a table, not in the bytes of a file, not in Redis, not in the
//! mailbox of development, not in a log. The audit trail still says what was done, about an id that says nothing.
//!
//! Every word that somebody can leave begins with the same one, so it is enough to look for that; numbers are looked for
//! as they are.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Ask, Client, Person};
use crate::house::{House, eventually, in_every_shape};
use crate::kept::{kept, shared};

/// In everything that a person says, and in nothing else.
const CANARY: &str = "canary";
const ADDRESS: &str = "canaryone@canarydomain.example";
const NEXT_ADDRESS: &str = "canarytwo@canarydomain.example";
const PHONE: &str = "+436609988776";
const CLIENT: &str = "203.0.113.77";
const PASSWORD: &str = "sieben Katzen auf dem Dach 19";

/// What must be there before, so that looking for it means something.
const LEFT: [&str; 19] = [
    "canaryone",
    "canarytwo",
    "canaryname",
    "canarygiven",
    "canaryfamily",
    "canaryavatar",
    "canaryattribute",
    "canarypreference",
    "canaryspace",
    "canaryagent",
    "canarysubject",
    "canarytext",
    "canarylink",
    "canarymade",
    "canaryimported",
    "canarymail",
    "canarydomain",
    "436609988776",
    CLIENT,
];

fn settings() -> [(&'static str, &'static str); 5] {
    [
        // So long may Redis keep what nobody can read any more, because it is of a former epoch.
        ("DOORWARD__CACHE__TTL_SECONDS", "5"),
        ("DOORWARD__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
        ("DOORWARD__LOG__FILTER", "debug"),
        ("DOORWARD__OUTBOX__POLL_INTERVAL_MS", "100"),
        ("DOORWARD__AUTH__LIMITS__MESSAGES_PER_ADDRESS", "50"),
    ]
}

/// As the person's own device asks.
fn ask(method: Method, path: &str, body: &Value) -> Ask {
    Ask::new(method, path).body(body).header("user-agent", "canaryagent/1").header("x-forwarded-for", CLIENT)
}

async fn send(client: &Client, method: Method, path: &str, body: &Value) -> Value {
    let answer = client.send(&ask(method, path, body)).await;
    assert!(answer.status < 300, "{path}: {answer:?}");
    answer.body
}

/// What an administrator asks comes from elsewhere: where he was is his, and stays.
async fn order(root: &Person, method: Method, path: &str, body: &Value) -> Value {
    let answer = root.client.send(&Ask::new(method, path).body(body)).await;
    assert!(answer.status < 300, "{path}: {answer:?}");
    answer.body
}

async fn post(client: &Client, path: &str, body: &Value) -> Value {
    send(client, Method::POST, path, body).await
}

/// Where a word stands, with what is around it.
fn found(files: &[(String, Vec<u8>)], word: &str) -> Vec<String> {
    let mut places = Vec::new();
    for (file, bytes) in files {
        let bytes = bytes.to_ascii_lowercase();
        let at = bytes.windows(word.len()).position(|window| window == word.as_bytes());
        places.extend(at.map(|at| {
            let around = &bytes[at.saturating_sub(300)..(at + 100).min(bytes.len())];
            format!("{word} in {file}: …{}…", String::from_utf8_lossy(around))
        }));
    }
    places
}

/// Registers, and leaves a word wherever one can be left.
async fn live_a_life(house: &mut House, root: &Person) -> Vec<String> {
    let base = house.client();
    let registration = json!({ "email": ADDRESS, "password": PASSWORD, "display_name": "Canaryname" });
    post(&base, "/api/v1/auth/registrations", &registration).await;
    let token = house.mailed_token(ADDRESS, 1).await;
    post(&base, "/api/v1/auth/verifications", &json!({ "token": token })).await;
    let again = json!({ "email": ADDRESS, "password": PASSWORD, "display_name": "Canaryagain" });
    post(&base, "/api/v1/auth/registrations", &again).await;
    let login = json!({ "email": ADDRESS, "password": PASSWORD });
    let logged_in = post(&base, "/api/v1/auth/logins", &login).await;
    let mut mia = base.clone();
    mia.access_token = Some(logged_in["access_token"].as_str().unwrap().to_owned());
    let other_device = ask(Method::POST, "/api/v1/auth/logins", &login).header("user-agent", "canaryagent/2");
    assert_eq!(base.send(&other_device).await.status, 200);
    let wrong = json!({ "email": ADDRESS, "password": "canarywrong in the password" });
    assert_eq!(base.send(&ask(Method::POST, "/api/v1/auth/logins", &wrong)).await.status, 401);

    let me = mia.get("/api/v1/users/me").await;
    let id = me.body["id"].as_str().unwrap().to_owned();
    let profile = json!({
        "display_name": "Canaryname", "given_name": "Canarygiven", "family_name": "Canaryfamily", "phone": PHONE,
        "avatar_url": "https://canaryavatar.example/a.png", "locale": "de", "time_zone": "Europe/Vienna",
        "attributes": { "canarykey": "canaryattribute" },
    });
    send(&mia, Method::PATCH, "/api/v1/users/me", &profile).await;
    let preference = json!({ "editor": "canarypreference" });
    send(&mia, Method::PUT, "/api/v1/users/me/preferences/canaryspace", &preference).await;
    send(&mia, Method::PUT, "/api/v1/users/me/preferences/canarygone", &preference).await;
    send(&mia, Method::DELETE, "/api/v1/users/me/preferences/canarygone", &json!({})).await;
    let wanted = mia.get("/api/v1/notification-preferences").await;
    let unwanted =
        ask(Method::PUT, "/api/v1/notification-preferences", &json!({ "marketing": { "sms": false } }))
            .header("if-match", wanted.header("etag"));
    assert_eq!(mia.send(&unwanted).await.status, 200);

    let group = order(root, Method::POST, "/api/v1/groups", &json!({ "name": "sales" })).await;
    let member = format!("/api/v1/groups/{}/members/user/{id}", group["id"].as_str().unwrap());
    order(root, Method::PUT, &member, &json!({})).await;
    order(
        root,
        Method::POST,
        "/api/v1/roles",
        &json!({ "name": "reader", "permissions": ["documents:read"] }),
    )
    .await;
    let assignment = json!({ "subject": { "type": "user", "id": id }, "role": "reader" });
    order(root, Method::POST, "/api/v1/role-assignments", &assignment).await;
    let message = |to: Value, word: &str, channels: Value| {
        let data = json!({
            "subject": format!("Canarysubject {word}"), "text": format!("Canarytext {word}"),
            "link": "https://example.org/canarylink",
        });
        json!({ "to": to, "template": "announcement", "data": data, "channels": channels, "category": "general" })
    };
    let to_user = message(json!({ "user_id": id }), "canaryuser", json!(["inbox", "email", "sms"]));
    order(root, Method::POST, "/api/v1/notifications", &to_user).await;
    post(&base, "/api/v1/auth/password-resets", &json!({ "email": ADDRESS })).await;
    eventually("the messages to be in the mailbox", async || {
        let all = house.client().get("/dev/mailbox.json").await.body.to_string();
        ["canaryuser", "password-reset"].iter().all(|word| all.contains(word)).then_some(())
    })
    .await;
    assert_eq!(mia.get("/api/v1/users/me/export").await.status, 200);
    let changed = json!({ "email": NEXT_ADDRESS });
    order(root, Method::PATCH, &format!("/api/v1/users/{id}"), &changed).await;
    let to_address = message(json!({ "email": NEXT_ADDRESS }), "canarymail", json!(["email"]));
    let to_address = Ask::new(Method::POST, "/api/v1/notifications").body(&to_address);
    assert_eq!(root.client.send(&to_address.header("idempotency-key", "mail")).await.status, 202);
    house.messages(NEXT_ADDRESS, 1).await;
    assert_eq!(root.client.get("/api/v1/users?q=canaryfamily").await.body["items"][0]["id"], id.as_str());

    let made = json!({ "email": "canarymade@canarydomain.example", "password": PASSWORD, "display_name": "Canarymade" });
    let made = Ask::new(Method::POST, "/api/v1/users").body(&made).header("idempotency-key", "made");
    let made = root.client.send(&made).await.body["id"].as_str().unwrap().to_owned();
    let rows = "email,display_name,phone,email_verified\r\n\
        canaryimported@canarydomain.example,Canaryimported,+436609988776,true\r\n\
        canarytwo@canarydomain.example,Canaryname,,true\r\n\
        canarybroken,Canaryname,,\r\n";
    let import = Ask::new(Method::POST, "/api/v1/users/imports").text("text/csv", rows);
    let report = root.client.send(&import).await;
    assert_eq!((report.status, &report.body["created"]), (200, &json!(1)), "{report:?}");
    let imported = root.client.get("/api/v1/users?q=canaryimported").await;
    let imported = imported.body["items"][0]["id"].as_str().unwrap().to_owned();
    vec![id, made, imported]
}

in_every_shape! {
    async fn nothing_is_left_of_somebody_who_was_purged(shape) {
        let Some(mut house) = House::open(shape, &settings()).await else { return };
        let root = house.administrator().await;
        let people = live_a_life(&mut house, &root).await;
        let before = kept(&house).await;
        // A proxy takes away what clients say about where they are.
        let behind_a_proxy = house.has_neighbours();
        for word in LEFT.into_iter().filter(|word| *word != CLIENT || !behind_a_proxy) {
            assert!(
                !found(&before, word).is_empty(),
                "{shape:?}: {word} was never written, so its absence says nothing"
            );
        }
        for id in &people {
            order(&root, Method::DELETE, &format!("/api/v1/users/{id}"), &json!({})).await;
        }
        let first_log = house.log();
        assert!(house.stop().success());
        house.set("DOORWARD__AUTH__DELETION__WINDOW_DAYS", "0");
        house.start();
        let mut client = house.client();
        client.access_token = root.client.access_token.clone();
        let root = client;
        eventually("everybody to be purged", async || {
            for id in &people {
                if root.get(&format!("/api/v1/users/{id}")).await.status != 404 {
                    return None;
                }
            }
            Some(())
        })
        .await;
        eventually("every module to have heard of it", async || {
            for process in house.processes() {
                let (done, told) = process.finish(&["events", "list"]);
                assert!(done, "{told}");
                if told.contains("auth.account.purged") {
                    return None;
                }
            }
            let trail = root.get("/api/v1/audit-events?limit=200&action=users.user.purged").await;
            (trail.body["items"].as_array().unwrap().len() >= people.len()).then_some(())
        })
        .await;
        eventually("Redis to forget what it kept for a former epoch", async || {
            found(&shared(&house).await, CANARY).is_empty().then_some(())
        })
        .await;
        eventually("copies to be forgotten", async || {
            let kept = kept(&house).await;
            let mut words = [CANARY, "436609988776", CLIENT].iter();
            words.all(|word| found(&kept, word).is_empty()).then_some(())
        })
        .await;
        let mailbox = house.client().get("/dev/mailbox.json").await.body.to_string();
        let trail = root.get("/api/v1/audit-events?limit=200").await.body.to_string();
        let log = format!("{first_log}\n{}", house.log());
        assert!(house.stop().success());
        let mut after = kept(&house).await;
        after.push(("the log".to_owned(), log.into_bytes()));
        after.push(("the mailbox".to_owned(), mailbox.into_bytes()));
        let left: Vec<String> =
            [CANARY, "436609988776", CLIENT].iter().flat_map(|word| found(&after, word)).collect();
        assert!(left.is_empty(), "{shape:?}: {} places\n{}", left.len(), left.join("\n\n"));
        for id in &people {
            assert!(trail.contains(id.as_str()), "the trail still says what was done to {id}");
        }
    }
}
