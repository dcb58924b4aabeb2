//! "On the very next request, everywhere": what one process changed counts at every other one as soon as whoever changed
//! it has his answer. Each fact is read at the other process before, so that it remembers the former one.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Ask, Client, Person};
use crate::house::{House, eventually, in_every_shape};

/// Somebody, at one process and at another one; the same where there is one address.
struct Somebody {
    here: Client,
    there: Client,
    id: String,
}

impl Somebody {
    fn new(doors: (&str, &str), person: &Person) -> Self {
        let at = |door: &str| {
            let mut client = Client::new(door);
            client.access_token.clone_from(&person.client.access_token);
            client
        };
        Self { here: at(doors.0), there: at(doors.1), id: person.id.clone() }
    }

    async fn change(&self, method: Method, path: &str, body: &Value) -> Value {
        let ask = Ask::new(method, path);
        let answer = self.here.send(&if body.is_null() { ask } else { ask.body(body) }).await;
        assert!(answer.status < 300, "{path}: {answer:?}");
        answer.body
    }

    /// What the other process says: whether he is let in.
    async fn is_in(&self) -> bool {
        let answer = self.there.get("/api/v1/users/me").await;
        assert!([200, 401].contains(&answer.status), "{answer:?}");
        answer.status == 200
    }

    /// What the other process says: whether he may read documents.
    async fn may_read(&self) -> bool {
        let body = json!({
            "subject": { "type": "user", "id": self.id }, "action": { "name": "read" },
            "resource": { "type": "documents", "id": "1" },
        });
        let answer = self.there.post("/access/v1/evaluation", &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["decision"].as_bool().unwrap()
    }
}

/// Rights that come and go: by an assignment, by what a role says, by a group.
async fn rights(root: &Somebody, mia: &Somebody, name: &str) {
    let (reader, member) = (format!("{name}-reader"), format!("{name}-member"));
    for role in [&reader, &member] {
        let body = json!({ "name": role, "permissions": ["documents:read"] });
        root.change(Method::POST, "/api/v1/roles", &body).await;
    }
    assert!(!mia.may_read().await);
    let body = json!({ "subject": { "type": "user", "id": mia.id }, "role": reader });
    let given = root.change(Method::POST, "/api/v1/role-assignments", &body).await;
    assert!(mia.may_read().await, "a role that was given");

    let role = format!("/api/v1/roles/{reader}");
    let tag = root.here.get(&role).await.header("etag").to_owned();
    let less = json!({ "description": "Less", "permissions": ["documents:list"], "inherits": [] });
    let put = root.here.send(&Ask::new(Method::PUT, &role).header("if-match", &tag).body(&less)).await;
    assert!(put.status < 300, "{put:?}");
    assert!(!mia.may_read().await, "a role that says less");
    let tag = put.header("etag").to_owned();
    let more = json!({ "description": "More", "permissions": ["documents:read"], "inherits": [] });
    let put = root.here.send(&Ask::new(Method::PUT, &role).header("if-match", &tag).body(&more)).await;
    assert!(put.status < 300, "{put:?}");
    assert!(mia.may_read().await, "a role that says more");
    let path = format!("/api/v1/role-assignments/{}", given["id"].as_str().unwrap());
    root.change(Method::DELETE, &path, &Value::Null).await;
    assert!(!mia.may_read().await, "a role that was taken away");

    let group = root.change(Method::POST, "/api/v1/groups", &json!({ "name": name })).await;
    let group = group["id"].as_str().unwrap();
    let body = json!({ "subject": { "type": "group", "id": group }, "role": member });
    root.change(Method::POST, "/api/v1/role-assignments", &body).await;
    assert!(!mia.may_read().await);
    let joined = format!("/api/v1/groups/{group}/members/user/{}", mia.id);
    root.change(Method::PUT, &joined, &Value::Null).await;
    assert!(mia.may_read().await, "a group that was joined");
    root.change(Method::DELETE, &joined, &Value::Null).await;
    assert!(!mia.may_read().await, "a group that was left");
    root.change(Method::PUT, &joined, &Value::Null).await;
    assert!(mia.may_read().await);
    root.change(Method::DELETE, &format!("/api/v1/groups/{group}"), &Value::Null).await;
    assert!(!mia.may_read().await, "a group that is gone");
}

/// What somebody says of himself.
async fn own_things(root: &Somebody, mia: &Somebody, name: &str) {
    let read = async |path: &str| mia.there.get(path).await.body;
    read("/api/v1/users/me").await;
    mia.change(Method::PATCH, "/api/v1/users/me", &json!({ "display_name": name })).await;
    assert_eq!(read("/api/v1/users/me").await["display_name"], name);

    read("/api/v1/users/me/preferences").await;
    mia.change(Method::PUT, "/api/v1/users/me/preferences/ui", &json!({ "theme": name })).await;
    assert_eq!(read("/api/v1/users/me/preferences/ui").await["theme"], name);

    let wanted = "/api/v1/notification-preferences";
    let tag = mia.there.get(wanted).await.header("etag").to_owned();
    let ask = Ask::new(Method::PUT, wanted).header("if-match", &tag);
    let put = mia.here.send(&ask.body(&json!({ "marketing": { "email": false } }))).await;
    assert!(put.status < 300, "{put:?}");
    assert!(read(wanted).await.to_string().contains("false"), "{put:?}");

    let data = json!({ "subject": name, "text": "Come and see." });
    let to = json!({ "user_id": mia.id });
    let message = json!({ "to": to, "template": "announcement", "data": data, "channels": ["inbox"], "category": "general" });
    root.change(Method::POST, "/api/v1/notifications", &message).await;
    let item = eventually("the message in the inbox", async || {
        let inbox = read("/api/v1/inbox?limit=10").await;
        let newest = &inbox["items"][0];
        newest.to_string().contains(name).then(|| newest["id"].as_str().unwrap().to_owned())
    })
    .await;
    let before = read("/api/v1/inbox").await["unread_count"].as_i64().unwrap();
    mia.change(Method::POST, &format!("/api/v1/inbox/{item}/read"), &Value::Null).await;
    assert_eq!(read("/api/v1/inbox").await["unread_count"], before - 1);
}

/// Sessions and accounts that end and begin.
async fn standing(doors: (&str, &str), root: &Somebody, person: &Person) {
    let email = person.email.clone();
    let log_in = async |password: &str| Person::log_in(doors.0, &email, password).await;
    let login = async |door: &str, email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        Client::new(door).post("/api/v1/auth/logins", &body).await.status
    };

    let first = log_in(&person.password).await;
    let mia = Somebody::new(doors, &first);
    assert!(mia.is_in().await);
    mia.change(Method::DELETE, "/api/v1/auth/sessions/current", &Value::Null).await;
    assert!(!mia.is_in().await, "logged out");
    let refreshed = Client::new(doors.1);
    let body = json!({ "refresh_token": first.refresh_token });
    assert_eq!(refreshed.post("/api/v1/auth/tokens", &body).await.status, 401, "logged out");

    let (one, two) = (log_in(&person.password).await, log_in(&person.password).await);
    let (one, two) = (Somebody::new(doors, &one), Somebody::new(doors, &two));
    assert!(one.is_in().await && two.is_in().await);
    let sessions = one.there.get("/api/v1/auth/sessions").await.body["items"].as_array().unwrap().len();
    let third = log_in(&person.password).await;
    let listed = one.there.get("/api/v1/auth/sessions").await.body["items"].as_array().unwrap().len();
    assert_eq!(listed, sessions + 1, "a session that began");
    one.change(Method::DELETE, &format!("/api/v1/auth/sessions/{}", third.session), &Value::Null).await;
    assert!(!Somebody::new(doors, &third).is_in().await, "a session that was ended");

    let changed =
        json!({ "current_password": person.password, "new_password": "sieben Katzen auf dem Dach" });
    one.change(Method::PUT, "/api/v1/auth/password", &changed).await;
    assert!(one.is_in().await && !two.is_in().await, "another password ends the other sessions");
    assert_eq!(login(doors.1, &email, &person.password).await, 401, "the former password");
    assert_eq!(login(doors.1, &email, "sieben Katzen auf dem Dach").await, 200);

    let path = format!("/api/v1/users/{}", one.id);
    let patch = async |body: Value| {
        let tag = root.here.get(&path).await.header("etag").to_owned();
        let answer =
            root.here.send(&Ask::new(Method::PATCH, &path).header("if-match", &tag).body(&body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    patch(json!({ "state": "disabled" })).await;
    assert!(!one.is_in().await, "a disabled account");
    assert_eq!(login(doors.1, &email, "sieben Katzen auf dem Dach").await, 401, "a disabled account");
    patch(json!({ "state": "active" })).await;
    let back = log_in("sieben Katzen auf dem Dach").await;
    assert!(Somebody::new(doors, &back).is_in().await);

    let moved = format!("moved.{email}");
    patch(json!({ "email": moved })).await;
    assert_eq!(login(doors.1, &email, "sieben Katzen auf dem Dach").await, 401, "the former address");
    let found = root.there.get(&format!("/api/v1/users?q={moved}")).await;
    assert_eq!(found.body["items"][0]["email"], json!(moved), "{found:?}");

    root.change(Method::DELETE, &path, &Value::Null).await;
    assert!(!Somebody::new(doors, &back).is_in().await, "a deleted account");
    let gone = root.there.get("/api/v1/users?state=deleted").await.body.to_string();
    assert!(gone.contains(&one.id), "{gone}");
}

in_every_shape! {
    async fn what_changed_counts_everywhere_with_the_next_request(shape) {
        let Some(mut house) = House::open(shape, &[]).await else { return };
        let root = house.administrator().await;
        let doors = house.doors();
        let (one, other) = (doors[0].as_str(), doors[doors.len() - 1].as_str());
        for (number, doors) in [(one, other), (other, one)].into_iter().enumerate() {
            let person = house.person(&format!("mia{number}")).await;
            let (root, mia) = (Somebody::new(doors, &root), Somebody::new(doors, &person));
            rights(&root, &mia, &format!("readers{number}")).await;
            own_things(&root, &mia, &format!("Mia of the {number} floor")).await;
            standing(doors, &root, &person).await;
        }
        house.close();
    }
}
