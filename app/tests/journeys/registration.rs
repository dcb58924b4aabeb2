//! From a stranger to somebody who is logged in, and everything that must not tell strangers anything.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Ask;
use crate::journey;

fn register(email: &str, password: &str) -> Ask {
    let body = json!({ "email": email, "password": password, "display_name": "Mia", "locale": "de" });
    Ask::new(Method::POST, "/api/v1/auth/registrations").body(&body)
}

fn log_in(email: &str, password: &str) -> Ask {
    Ask::new(Method::POST, "/api/v1/auth/logins").body(&json!({ "email": email, "password": password }))
}

fn verify(token: &str) -> Ask {
    Ask::new(Method::POST, "/api/v1/auth/verifications").body(&json!({ "token": token }))
}

journey! {
    async fn a_stranger_registers_verifies_and_logs_in(house) {
        let client = house.client();
        let (email, password) = ("mia@example.org", "zwei Katzen auf dem Dach");
        assert_eq!(client.tell(&mut house.transcript, &register(email, password)).await.status, 202);

        house.transcript.say("Before the address is proven, the right password looks like a wrong one");
        let early = client.tell(&mut house.transcript, &log_in(email, password)).await;
        assert_eq!((early.status, early.code()), (401, "auth.invalid_credentials"));

        house.transcript.say("The message is in the mailbox, in the language of the registration");
        let message = house.messages(email, 1).await.remove(0);
        assert!(message["text"].as_str().unwrap().contains("Bestätige") || message["subject"].as_str().unwrap().contains("estätig"), "{message}");
        assert!(message["links"][0].as_str().unwrap().starts_with("http://doorward.test/verify#token="), "{message}");
        let token = house.mailed_token(email, 1).await;

        house.transcript.say("Opening the page of the link changes nothing; sending the token does, once");
        assert_eq!(client.get("/verify").await.status, 200);
        assert_eq!(client.tell(&mut house.transcript, &verify(&token)).await.status, 204);
        assert_eq!(client.tell(&mut house.transcript, &verify(&token)).await.status, 410);

        let answer = client.tell(&mut house.transcript, &log_in("MIA@Example.org", password)).await;
        assert_eq!(answer.status, 200);
        let mut mia = house.client();
        mia.access_token = answer.body["access_token"].as_str().map(ToOwned::to_owned);
        let me = mia.tell(&mut house.transcript, &Ask::new(Method::GET, "/api/v1/users/me")).await;
        assert_eq!((me.status, &me.body["display_name"]), (200, &json!("Mia")));
    }
}

journey! {
    async fn an_address_that_has_an_owner_gets_the_same_answer(house) {
        let mia = house.person("mia").await;
        let client = house.client();
        let fresh = client.tell(&mut house.transcript, &register("new@example.org", "eleven blue bicycles")).await;
        let taken = client.tell(&mut house.transcript, &register("Mia@EXAMPLE.org", "eleven blue bicycles")).await;
        assert_eq!((fresh.status, &fresh.body), (taken.status, &taken.body));

        house.transcript.say("The owner gets a notice without a secret, and keeps the password");
        let notice = house.messages(&mia.email, 2).await.remove(0);
        assert!(!notice["text"].as_str().unwrap().contains("token="), "{notice}");
        let other = client.tell(&mut house.transcript, &log_in(&mia.email, "eleven blue bicycles")).await;
        assert_eq!(other.status, 401);
        assert_eq!(client.tell(&mut house.transcript, &log_in(&mia.email, &mia.password)).await.status, 200);
    }
}

journey! {
    async fn whoever_registers_an_address_first_does_not_own_it(house) {
        let client = house.client();
        let email = "victim@example.org";
        let (theirs, own) = ("the attacker knows this one", "only the victim knows this");
        client.tell(&mut house.transcript, &register(email, theirs)).await;
        house.messages(email, 1).await;
        client.tell(&mut house.transcript, &register(email, own)).await;
        let token = house.mailed_token(email, 2).await;
        assert_eq!(client.tell(&mut house.transcript, &verify(&token)).await.status, 204);
        assert_eq!(client.tell(&mut house.transcript, &log_in(email, theirs)).await.status, 401);
        assert_eq!(client.tell(&mut house.transcript, &log_in(email, own)).await.status, 200);
    }
}

journey! {
    async fn a_lost_message_is_sent_again(house) {
        let client = house.client();
        let resend = |email: &str| {
            Ask::new(Method::POST, "/api/v1/auth/verifications/resend").body(&json!({ "email": email }))
        };
        client.tell(&mut house.transcript, &register("mia@example.org", "zwei Katzen auf dem Dach")).await;
        house.messages("mia@example.org", 1).await;
        let known = client.tell(&mut house.transcript, &resend("mia@example.org")).await;
        let unknown = client.tell(&mut house.transcript, &resend("nobody@example.org")).await;
        assert_eq!((known.status, &known.body), (unknown.status, &unknown.body));
        let token = house.mailed_token("mia@example.org", 2).await;
        assert_eq!(client.tell(&mut house.transcript, &verify(&token)).await.status, 204);
        assert_eq!(house.mailbox("nobody@example.org").await, Vec::<Value>::new());
    }
}

journey! {
    async fn rubbish_is_refused_with_the_name_of_the_field(house) {
        let client = house.client();
        let path = "/api/v1/auth/registrations";
        let bodies = [
            json!({ "email": ["victim@example.org", "evil@example.org"], "password": "long enough for all" }),
            json!({ "email": "\"e@evil.test\"@example.org", "password": "long enough for all" }),
            json!({ "email": "victim@corp.test\u{ff20}evil.test", "password": "long enough for all" }),
            json!({ "email": "mia@example.org\r\nBcc: x@example.org", "password": "long enough for all" }),
            json!({ "email": "not an address", "password": "short" }),
            json!({ "email": "mia@example.org" }),
            json!({ "email": "mia@example.org", "password": "long enough for all", "is_admin": true }),
            json!({ "email": "mia@example.org", "password": 12_345_678 }),
            json!({ "email": "mia@example.org", "password": "password123" }),
            json!({ "email": "mia@example.org", "password": "x".repeat(1025) }),
            json!({ "email": "mia@example.org", "password": "long enough for all", "display_name": "a\u{0}b" }),
            json!({ "email": "mia@example.org", "password": "long enough for all", "locale": "../../etc" }),
            json!([]),
            json!("text"),
            json!(null),
        ];
        for body in bodies {
            let answer = client.tell(&mut house.transcript, &Ask::new(Method::POST, path).body(&body)).await;
            assert!((400..=422).contains(&answer.status), "{body} was answered with {}", answer.status);
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        for address in ["victim@example.org", "mia@example.org"] {
            assert_eq!(house.mailbox(address).await, Vec::<Value>::new());
        }
    }
}
