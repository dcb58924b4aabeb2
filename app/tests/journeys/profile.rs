//! One's own profile and preferences: read, change, and never lose somebody else's change.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Ask;
use crate::journey;

const ME: &str = "/api/v1/users/me";

fn patch(body: &Value) -> Ask {
    Ask::new(Method::PATCH, ME).body(body)
}

journey! {
    async fn a_profile_is_read_and_changed(house) {
        let mia = house.person("mia").await;
        let me = mia.client.tell(&mut house.transcript, &Ask::new(Method::GET, ME)).await;
        assert_eq!(me.status, 200);
        let etag = me.header("etag").to_owned();
        let change = json!({ "given_name": "Mia", "family_name": "Müller", "locale": "de-AT", "time_zone": "Europe/Vienna",
            "phone": "+4366012345678", "attributes": { "team": "blue" } });
        let changed = mia.client.tell(&mut house.transcript, &patch(&change).header("if-match", &etag)).await;
        assert_eq!((changed.status, &changed.body["family_name"]), (200, &json!("Müller")));
        assert_ne!(changed.header("etag"), etag);

        house.transcript.say("A second change against the first state would lose the one in between");
        let lost = patch(&json!({ "given_name": "Maria" })).header("if-match", &etag);
        assert_eq!(mia.client.tell(&mut house.transcript, &lost).await.status, 412);

        house.transcript.say("Null clears, what isn't named stays");
        let cleared = mia.client.tell(&mut house.transcript, &patch(&json!({ "family_name": null }))).await;
        assert_eq!((&cleared.body["family_name"], &cleared.body["given_name"]), (&Value::Null, &json!("Mia")));

        house.transcript.say("What is not one's own to change, and what is no value, is refused by name");
        for body in [
            json!({ "email": "root@example.org", "email_verified": true }),
            json!({ "state": "active", "id": mia.id }),
            json!({ "locale": "not a language", "time_zone": "Mars/Olympus", "phone": "0660" }),
            json!({ "display_name": "x".repeat(300), "avatar_url": "javascript:alert(1)" }),
            json!({ "display_name": 7 }),
            json!([]),
        ] {
            let answer = mia.client.tell(&mut house.transcript, &patch(&body)).await;
            assert!((400..=422).contains(&answer.status), "{body} was answered with {}", answer.status);
        }
        assert_eq!(mia.client.get(ME).await.body["email"], json!(mia.email));
    }
}

journey! {
    async fn preferences_are_kept_by_namespace(house) {
        let mia = house.person("mia").await;
        let path = "/api/v1/users/me/preferences/editor";
        let ask = |method: Method| Ask::new(method, path);
        assert_eq!(mia.client.tell(&mut house.transcript, &ask(Method::GET)).await.status, 404);
        let put = ask(Method::PUT).body(&json!({ "theme": "dark", "font": { "size": 14 } }));
        let put = mia.client.tell(&mut house.transcript, &put).await;
        assert!((200..=201).contains(&put.status));
        let merge = ask(Method::PATCH).body(&json!({ "font": { "size": 16, "family": "serif" }, "theme": null }));
        let merged = mia.client.tell(&mut house.transcript, &merge).await;
        assert_eq!(merged.status, 200);
        let all = Ask::new(Method::GET, "/api/v1/users/me/preferences");
        assert_eq!(mia.client.tell(&mut house.transcript, &all).await.status, 200);

        house.transcript.say("Too large, not an object, not a name");
        let large = json!({ "text": "x".repeat(17 * 1024) });
        assert_eq!(mia.client.send(&ask(Method::PUT).body(&large)).await.status, 413);
        assert_eq!(mia.client.tell(&mut house.transcript, &ask(Method::PUT).body(&json!([1]))).await.status, 422);
        let odd = Ask::new(Method::PUT, "/api/v1/users/me/preferences/..%2Fetc").body(&json!({}));
        assert!((400..=422).contains(&mia.client.tell(&mut house.transcript, &odd).await.status));

        assert_eq!(mia.client.tell(&mut house.transcript, &ask(Method::DELETE)).await.status, 204);
        assert_eq!(mia.client.tell(&mut house.transcript, &ask(Method::DELETE)).await.status, 404);

        house.transcript.say("Nobody else sees them");
        let tom = house.person("tom").await;
        assert_eq!(tom.client.get(path).await.status, 404);
    }
}

journey! {
    async fn nobody_reads_a_profile_without_a_token(house) {
        let client = house.client();
        for path in [ME, "/api/v1/users/me/preferences", "/api/v1/auth/sessions"] {
            let answer = client.tell(&mut house.transcript, &Ask::new(Method::GET, path)).await;
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer realm=\"doorward\""));
        }
        house.transcript.say("Saying who one is is not proving it");
        let mia = house.person("mia").await;
        let claim = Ask::new(Method::GET, &format!("{ME}?user_id={}", mia.id)).header("x-user-id", &mia.id);
        assert_eq!(client.send(&claim).await.status, 401);
    }
}
