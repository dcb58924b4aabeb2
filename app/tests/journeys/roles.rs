//! Roles, who has them, and whether an action is allowed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Ask;
use crate::journey;

fn may(user: &str, action: &str, resource_type: &str, id: &str) -> Ask {
    Ask::new(Method::POST, "/access/v1/evaluation").body(&json!({
        "subject": { "type": "user", "id": user },
        "action": { "name": action },
        "resource": { "type": resource_type, "id": id },
    }))
}

fn role(name: &str, permissions: &Value, inherits: &Value) -> Ask {
    let body = json!({ "name": name, "description": "A test role", "permissions": permissions, "inherits": inherits });
    Ask::new(Method::POST, "/api/v1/roles").body(&body)
}

fn assign(user: &str, role: &str) -> Ask {
    let body = json!({ "subject": { "type": "user", "id": user }, "role": role });
    Ask::new(Method::POST, "/api/v1/role-assignments").body(&body)
}

journey! {
    async fn a_person_gets_a_role_and_may_do_what_it_says(house) {
        let root = house.administrator().await;
        let mia = house.person("mia").await;
        let notes = &mut house.transcript;
        assert_eq!(root.client.tell(notes, &role("reader", &json!(["documents:read"]), &json!([]))).await.status, 201);
        assert_eq!(root.client.tell(notes, &role("editor", &json!(["documents:write"]), &json!(["reader"]))).await.status, 201);

        let before = mia.client.tell(notes, &may(&mia.id, "read", "documents", "1")).await;
        assert_eq!((before.status, &before.body["decision"]), (200, &json!(false)));
        let given = root.client.tell(notes, &assign(&mia.id, "editor").header("idempotency-key", "first")).await;
        assert_eq!(given.status, 201);
        notes.say("The same key again is the same assignment; without a key it is there already");
        let again = root.client.tell(notes, &assign(&mia.id, "editor").header("idempotency-key", "first")).await;
        assert_eq!((again.status, &again.body["id"]), (201, &given.body["id"]));
        assert_eq!(root.client.tell(notes, &assign(&mia.id, "editor")).await.status, 409);

        notes.say("Both what the role says and what it inherits, and nothing that merely looks alike");
        for (action, resource_type, expected) in
            [("read", "documents", true), ("write", "documents", true), ("delete", "documents", false), ("read", "documents-archive", false)]
        {
            let answer = mia.client.tell(notes, &may(&mia.id, action, resource_type, "1")).await;
            assert_eq!(answer.body["decision"], json!(expected), "{action} {resource_type}");
        }
        let roles = root.client.tell(notes, &Ask::new(Method::GET, &format!("/api/v1/users/{}/roles", mia.id))).await;
        assert_eq!(roles.status, 200);
        let mine = mia.client.tell(notes, &Ask::new(Method::GET, "/api/v1/users/me/permissions")).await;
        assert_eq!(mine.status, 200);

        notes.say("Taken away, it is refused on the very next request");
        let path = format!("/api/v1/role-assignments/{}", given.body["id"].as_str().unwrap());
        assert_eq!(root.client.tell(notes, &Ask::new(Method::DELETE, &path)).await.status, 204);
        let after = mia.client.tell(notes, &may(&mia.id, "read", "documents", "1")).await;
        assert_eq!(after.body["decision"], json!(false));
    }
}

journey! {
    async fn a_role_can_be_given_on_one_thing_and_for_a_while(house) {
        let root = house.administrator().await;
        let mia = house.person("mia").await;
        let notes = &mut house.transcript;
        root.client.tell(notes, &role("reader", &json!(["documents:read"]), &json!([]))).await;
        let one = json!({ "subject": { "type": "user", "id": mia.id }, "role": "reader",
            "resource": { "type": "documents", "id": "a:b" }, "expires_at": "2999-01-01T00:00:00Z" });
        let path = "/api/v1/role-assignments";
        assert_eq!(root.client.tell(notes, &Ask::new(Method::POST, path).body(&one)).await.status, 201);
        for (id, expected) in [("a:b", true), ("a", false), ("b", false), ("A:B", false), ("a:b:c", false)] {
            let answer = mia.client.tell(notes, &may(&mia.id, "read", "documents", id)).await;
            assert_eq!(answer.body["decision"], json!(expected), "{id}");
        }
        notes.say("An end in the past is no assignment");
        let past = json!({ "subject": { "type": "user", "id": mia.id }, "role": "reader", "expires_at": "2020-01-01T00:00:00Z" });
        assert_eq!(root.client.tell(notes, &Ask::new(Method::POST, path).body(&past)).await.status, 422);
    }
}

journey! {
    async fn nobody_gives_what_he_does_not_hold(house) {
        let root = house.administrator().await;
        let mia = house.person("mia").await;
        let notes = &mut house.transcript;
        notes.say("A person without roles changes nothing");
        assert_eq!(mia.client.tell(notes, &role("mine", &json!(["*:*"]), &json!([]))).await.status, 403);
        assert_eq!(mia.client.tell(notes, &assign(&mia.id, "admin")).await.status, 403);
        assert_eq!(mia.client.tell(notes, &may(&root.id, "read", "documents", "1")).await.status, 403);

        notes.say("Somebody who may give roles gives no more than he holds");
        let clerk = json!(["roles:read", "roles:write", "role-assignments:write"]);
        assert_eq!(root.client.tell(notes, &role("clerk", &clerk, &json!([]))).await.status, 201);
        assert_eq!(root.client.tell(notes, &assign(&mia.id, "clerk")).await.status, 201);
        assert_eq!(mia.client.tell(notes, &assign(&mia.id, "admin")).await.status, 403);
        assert_eq!(mia.client.tell(notes, &role("more", &json!(["users:delete"]), &json!([]))).await.status, 403);
        assert_eq!(mia.client.tell(notes, &role("less", &json!(["roles:read"]), &json!([]))).await.status, 201);
    }
}

journey! {
    async fn the_last_administrator_stays(house) {
        let root = house.administrator().await;
        let notes = &mut house.transcript;
        let list = root.client.tell(notes, &Ask::new(Method::GET, "/api/v1/role-assignments?role=admin")).await;
        let path = format!("/api/v1/role-assignments/{}", list.body["items"][0]["id"].as_str().unwrap());
        let answer = root.client.tell(notes, &Ask::new(Method::DELETE, &path)).await;
        assert_eq!((answer.status, answer.code()), (409, "permissions.last_administrator"));
    }
}

journey! {
    async fn rubbish_about_roles_is_refused_by_name(house) {
        let root = house.administrator().await;
        let notes = &mut house.transcript;
        for ask in [
            role("Bad Name", &json!(["documents:read"]), &json!([])),
            role("good", &json!(["documents"]), &json!([])),
            role("good", &json!(["documents:read", 7]), &json!([])),
            role("good", &json!([]), &json!(["nobody"])),
            role("good", &json!([]), &json!(["good"])),
            role("admin", &json!([]), &json!([])),
            assign("not an id", "admin"),
            assign("01900000-0000-7000-8000-000000000000", "nobody"),
            Ask::new(Method::POST, "/access/v1/evaluation").body(&json!({ "subject": "mia" })),
            Ask::new(Method::GET, "/api/v1/roles?limit=-1"),
            Ask::new(Method::GET, "/api/v1/roles?colour=blue"),
            Ask::new(Method::GET, "/api/v1/role-assignments?cursor=AAAA"),
            Ask::new(Method::DELETE, "/api/v1/roles/admin"),
        ] {
            let answer = root.client.tell(notes, &ask).await;
            assert!((400..=422).contains(&answer.status), "{ask:?} was answered with {}", answer.status);
        }
    }
}

journey! {
    async fn what_administrators_do_is_written_down(house) {
        let root = house.administrator().await;
        let mia = house.person("mia").await;
        let notes = &mut house.transcript;
        assert_eq!(root.client.tell(notes, &assign(&mia.id, "admin")).await.status, 201);
        let path = "/api/v1/audit-events?limit=1";
        assert_eq!(mia.client.get(path).await.status, 200, "now an administrator too");
        let page = root.client.tell(notes, &Ask::new(Method::GET, path)).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.body["items"][0]["actor"]["id"], json!(root.id));
        let tom = house.person("tom").await;
        assert_eq!(tom.client.get(path).await.status, 403);
    }
}
