//! Administrators look after people, move many of them in and out, and everybody takes a copy of what is his.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Ask, Person};
use crate::house::eventually;
use crate::journey;

fn ask(method: Method, path: &str) -> Ask {
    Ask::new(method, path)
}

journey! {
    async fn an_administrator_makes_finds_changes_deletes_and_restores_somebody(house) {
        let root = house.administrator().await;
        let base = house.client();
        let notes = &mut house.transcript;
        let password = "a long sentence for tom";
        let body = json!({ "email": "tom@example.org", "display_name": "Tom Berg", "password": password });
        let new = ask(Method::POST, "/api/v1/users").body(&body).header("idempotency-key", "tom");
        let made = root.client.tell(notes, &new).await;
        assert_eq!(made.status, 201);
        notes.say("The same key again is the same person; without one the address is taken");
        let again = root.client.tell(notes, &new).await;
        assert_eq!((again.status, &again.body), (201, &made.body));
        assert_eq!(root.client.tell(notes, &ask(Method::POST, "/api/v1/users").body(&body)).await.status, 409);

        notes.say("He is found at once, and can log in");
        let found = root.client.tell(notes, &ask(Method::GET, "/api/v1/users?q=berg%20tom&state=active&sort=email")).await;
        assert_eq!(found.body["items"], json!([made.body]));
        let login = json!({ "email": "tom@example.org", "password": password });
        let logged_in = base.post("/api/v1/auth/logins", &login).await;
        assert_eq!(logged_in.status, 200, "{:?}", logged_in.body);
        let mut tom = base.clone();
        tom.access_token = Some(logged_in.body["access_token"].as_str().unwrap().to_owned());

        notes.say("A change for the state that was read, and not for an older one");
        let path = format!("/api/v1/users/{}", made.body["id"].as_str().unwrap());
        let read = root.client.tell(notes, &ask(Method::GET, &path)).await;
        let etag = read.header("etag").to_owned();
        let patch = ask(Method::PATCH, &path).header("if-match", &etag).body(&json!({ "family_name": "Tal" }));
        assert_eq!(root.client.tell(notes, &patch).await.status, 200);
        assert_eq!(root.client.tell(notes, &patch).await.status, 412);
        assert_eq!(tom.tell(notes, &ask(Method::GET, "/api/v1/users/me")).await.body["family_name"], "Tal");

        notes.say("Deleted, he is out at once; restored, he can log in again");
        assert_eq!(root.client.tell(notes, &ask(Method::DELETE, &path)).await.status, 204);
        assert_eq!(tom.tell(notes, &ask(Method::GET, "/api/v1/users/me")).await.status, 401);
        assert_eq!(base.post("/api/v1/auth/logins", &login).await.status, 401);
        let gone = root.client.tell(notes, &ask(Method::GET, "/api/v1/users?state=deleted")).await;
        assert_eq!(gone.body["items"][0]["id"], made.body["id"]);
        let restored = root.client.tell(notes, &ask(Method::POST, &format!("{path}/restore"))).await;
        assert_eq!((restored.status, &restored.body["state"]), (200, &json!("active")));
        assert_eq!(base.post("/api/v1/auth/logins", &login).await.status, 200);

        notes.say("Nobody deletes himself here");
        let own = format!("/api/v1/users/{}", root.id);
        assert_eq!(root.client.tell(notes, &ask(Method::DELETE, &own)).await.status, 409);
    }
}

journey! {
    async fn who_registers_is_in_the_list_and_follows_the_account(house) {
        let root = house.administrator().await;
        let mia = house.person("mia").await;
        let notes = &mut house.transcript;
        eventually("mia to be listed as active", async || {
            let list = root.client.get("/api/v1/users?q=mia&state=active").await;
            (list.body["items"].as_array()?.len() == 1).then_some(())
        })
        .await;
        let list = root.client.tell(notes, &ask(Method::GET, "/api/v1/users?q=mia&limit=1")).await;
        assert_eq!(list.body["items"][0]["id"], mia.id.as_str());
        assert_eq!(mia.client.tell(notes, &ask(Method::GET, "/api/v1/users")).await.status, 403);
        let page = root.client.get("/api/v1/users?limit=1").await;
        assert_eq!(page.body["items"][0]["id"], mia.id.as_str(), "the last one comes first");
        let cursor = page.body["next_cursor"].as_str().unwrap();
        let next = root.client.get(&format!("/api/v1/users?limit=1&cursor={cursor}")).await;
        assert_eq!(next.body["items"][0]["id"], root.id.as_str());
        let foreign = ask(Method::GET, &format!("/api/v1/users?limit=1&sort=email&cursor={cursor}"));
        assert_eq!(root.client.tell(notes, &foreign).await.status, 400);
    }
}

journey! {
    async fn many_move_in_with_what_is_wrong_told_and_out_again(house) {
        let root = house.administrator().await;
        let base = house.client();
        let notes = &mut house.transcript;
        let rows = "email,display_name,password,email_verified\r\n\
            ann@example.org,Ann,a long sentence for ann,true\r\n\
            nobody,\"=1+1\",,\r\n\
            ben@example.org,'=Ben,,false\r\n";
        let import = |query: &str| ask(Method::POST, &format!("/api/v1/users/imports{query}")).text("text/csv", rows);
        let dry = root.client.tell(notes, &import("?dry_run=true")).await;
        assert_eq!((dry.status, &dry.body["created"], &dry.body["refused"]), (200, &json!(2), &json!(1)));
        let real = root.client.tell(notes, &import("")).await;
        assert_eq!((real.status, &real.body["created"], &real.body["refused"]), (200, &json!(2), &json!(1)));
        notes.say("The same report again; going on with it takes nothing twice");
        let path = format!("/api/v1/users/imports/{}", real.body["id"].as_str().unwrap());
        assert_eq!(root.client.tell(notes, &ask(Method::GET, &path)).await.body, real.body);
        let resume = format!("?resume={}", real.body["id"].as_str().unwrap());
        assert_eq!(root.client.send(&import(&resume)).await.body, real.body);

        notes.say("Who was imported logs in with the password of before, once his address is proven");
        let login = json!({ "email": "ann@example.org", "password": "a long sentence for ann" });
        assert_eq!(base.post("/api/v1/auth/logins", &login).await.status, 200);

        // Not noted: the order is that of ids, and those of one batch are in none.
        let text = eventually("everybody in the export, once users has heard of them", async || {
            let export = root.client.send(&ask(Method::GET, "/api/v1/users/exports?format=csv")).await;
            assert_eq!(export.status, 200);
            let Value::String(text) = export.body else { panic!("text: {:?}", export.body) };
            (text.trim_end().lines().count() == 4).then_some(text)
        })
        .await;
        assert!(text.contains("ann@example.org") && text.contains("'=Ben"), "{text}");
        let back = root.client.send(&ask(Method::POST, "/api/v1/users/imports").text("text/csv", &text)).await;
        assert_eq!((back.status, &back.body["present"]), (200, &json!(3)), "{:?}", back.body);
    }
}

journey! {
    async fn everybody_takes_a_copy_of_what_is_known_about_him(house) {
        let root = house.administrator().await;
        let mia = house.person("mia").await;
        let (other, _): (Person, _) = (house.person("tom").await, ());
        mia.client.send(&ask(Method::PUT, "/api/v1/users/me/preferences/editor").body(&json!({ "theme": "dark" }))).await;
        let path = format!("/api/v1/users/{}", mia.id);
        root.client.send(&ask(Method::PATCH, &path).body(&json!({ "given_name": "Mia" }))).await;
        let copy = mia.client.get("/api/v1/users/me/export").await;
        assert_eq!(copy.status, 200, "{:?}", copy.body);
        assert!(copy.header("content-disposition").starts_with("attachment"));
        let sections = copy.body["sections"].as_object().unwrap();
        for section in ["account", "sessions", "profile", "preferences", "role_assignments", "notifications", "audit_events"] {
            assert!(sections.contains_key(section), "{section} is missing: {:?}", sections.keys());
        }
        assert_eq!(sections["preferences"]["editor"]["theme"], "dark");
        let text = copy.body.to_string();
        for foreign in [root.id.as_str(), other.id.as_str(), other.email.as_str(), root.email.as_str()] {
            assert!(!text.contains(foreign), "the copy tells of somebody else");
        }
        for secret in ["$argon2", "dwr_", &mia.password, &mia.refresh_token] {
            assert!(!text.contains(secret), "the copy holds a secret: {secret}");
        }
        for _ in 0..4 {
            assert_eq!(mia.client.get("/api/v1/users/me/export").await.status, 200);
        }
        let enough = mia.client.get("/api/v1/users/me/export").await;
        assert_eq!((enough.status, enough.code()), (429, "users.export_limited"));
        assert!(!enough.header("retry-after").is_empty());
        assert_eq!(other.client.get("/api/v1/users/me/export").await.status, 200, "others are not limited by it");
    }
}
