//! Staying logged in, and ending it: refresh tokens, their families, and sessions that end at once.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Ask, Client, Person};
use crate::journey;

fn refresh(token: &str) -> Ask {
    Ask::new(Method::POST, "/api/v1/auth/tokens").body(&json!({ "refresh_token": token }))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn alive(client: &Client) -> bool {
    client.get("/api/v1/users/me").await.status == 200
}

journey! {
    async fn a_refresh_token_is_used_once_and_its_successor_goes_on(house) {
        let mia = house.person("mia").await;
        let client = house.client();
        let first = client.tell(&mut house.transcript, &refresh(&mia.refresh_token)).await;
        assert_eq!((first.status, &first.body["session_id"]), (200, &json!(mia.session)));
        let second = client.tell(&mut house.transcript, &refresh(&text(&first.body["refresh_token"]))).await;
        assert_eq!(second.status, 200);
        let mut later = house.client();
        later.access_token = Some(text(&second.body["access_token"]));
        assert!(alive(&later).await);

        house.transcript.say("Changed, cut and made-up tokens");
        let token = text(&second.body["refresh_token"]);
        for wrong in [&token[..token.len() - 1], &format!("{token}A"), &token.to_uppercase(), "dwr_", ""] {
            let answer = client.tell(&mut house.transcript, &refresh(wrong)).await;
            assert_eq!((answer.status, answer.code()), (401, "auth.invalid_refresh_token"), "{wrong}");
        }
        assert_eq!(client.send(&refresh(&token)).await.status, 200, "the good one was not harmed");
    }
}

journey! {
    async fn fifty_refreshes_at_once_lead_to_one_successor(house) {
        let mia = house.person("mia").await;
        let client = house.client();
        let ask = refresh(&mia.refresh_token);
        let answers = join_all((0..50).map(|_| client.send(&ask))).await;
        let mut successors: Vec<String> =
            answers.iter().filter(|answer| answer.status == 200).map(|answer| text(&answer.body["refresh_token"])).collect();
        assert_eq!(successors.len(), 50, "nobody is logged out by asking twice at once");
        successors.sort();
        successors.dedup();
        assert_eq!(successors.len(), 1, "the family does not fork");
        assert!(alive(&mia.client).await);
        assert_eq!(client.send(&refresh(&successors[0])).await.status, 200);
    }
}

journey! {
    async fn sessions_are_listed_and_ended_on_the_very_next_request(house) {
        let phone = house.person("mia").await;
        let laptop = Person::log_in(&house.public, &phone.email, &phone.password).await;
        let tablet = Person::log_in(&house.public, &phone.email, &phone.password).await;
        let list = laptop.client.tell(&mut house.transcript, &Ask::new(Method::GET, "/api/v1/auth/sessions")).await;
        let items = list.body["items"].as_array().unwrap();
        assert_eq!(items.len(), 3);
        let current: Vec<_> = items.iter().filter(|item| item["current"] == json!(true)).collect();
        assert_eq!((current.len(), &current[0]["id"]), (1, &json!(laptop.session)));

        house.transcript.say("One by one, warm or not");
        assert!(alive(&phone.client).await && alive(&phone.client).await);
        let end = Ask::new(Method::DELETE, &format!("/api/v1/auth/sessions/{}", phone.session));
        assert_eq!(laptop.client.tell(&mut house.transcript, &end).await.status, 204);
        assert!(!alive(&phone.client).await, "an ended session acted once more");
        assert_eq!(house.client().send(&refresh(&phone.refresh_token)).await.status, 401);
        assert_eq!(laptop.client.tell(&mut house.transcript, &end).await.status, 404);

        house.transcript.say("Somebody else's session is no session");
        let tom = house.person("tom").await;
        let foreign = Ask::new(Method::DELETE, &format!("/api/v1/auth/sessions/{}", laptop.session));
        assert_eq!(tom.client.tell(&mut house.transcript, &foreign).await.status, 404);
        assert!(alive(&laptop.client).await);

        house.transcript.say("All the others, then this one");
        let others = Ask::new(Method::DELETE, "/api/v1/auth/sessions");
        assert_eq!(laptop.client.tell(&mut house.transcript, &others).await.status, 204);
        assert!(!alive(&tablet.client).await && alive(&laptop.client).await);
        let this = Ask::new(Method::DELETE, "/api/v1/auth/sessions/current");
        assert_eq!(laptop.client.tell(&mut house.transcript, &this).await.status, 204);
        assert!(!alive(&laptop.client).await);
    }
}

journey! {
    async fn sessions_and_tokens_outlive_a_restart(house) {
        let mia = house.person("mia").await;
        let tom = house.person("tom").await;
        let end = Ask::new(Method::DELETE, "/api/v1/auth/sessions/current");
        assert_eq!(tom.client.send(&end).await.status, 204);
        assert!(house.stop().success());
        house.start();
        let mut client = house.client();
        client.access_token = mia.client.access_token.clone();
        assert!(alive(&client).await);
        client.access_token = tom.client.access_token.clone();
        assert!(!alive(&client).await, "an ended session came back with the restart");
        assert_eq!(house.client().send(&refresh(&mia.refresh_token)).await.status, 200);
    }
}

journey! {
    async fn a_token_is_taken_only_as_it_was_given(house) {
        let mia = house.person("mia").await;
        let token = mia.client.access_token.clone().unwrap();
        let keys = house.client().tell(&mut house.transcript, &Ask::new(Method::GET, "/.well-known/jwks.json")).await;
        assert_eq!(keys.status, 200);
        let parts: Vec<&str> = token.split('.').collect();
        let none = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJub25lIn0";
        let wrong = [
            token[..token.len() - 1].to_owned(),
            format!("{token}A"),
            format!("{token}="),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            mia.refresh_token.clone(),
            String::new(),
            "x".repeat(9000),
        ];
        for token in wrong {
            let mut client = house.client();
            client.access_token = Some(token.clone());
            let answer = client.get("/api/v1/users/me").await;
            assert!([400, 401, 431].contains(&answer.status), "{token} was answered with {}", answer.status);
        }
        assert!(alive(&mia.client).await);
    }
}
