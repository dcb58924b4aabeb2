//! The answer to a COMMIT that never arrives: nobody on this side knows whether it happened. A client that sends its
//! request again with the same `Idempotency-Key` gets one effect, however often that is.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use testkit::postgres_front::PostgresFront;

use crate::client::{Ask, Client, Person};
use crate::house::{House, Shape};

const TIMES: usize = 1_000;

/// Sends all of them while every commit's answer is lost, and again when answers arrive.
async fn lose_and_repeat(front: &PostgresFront, client: &Client, asks: &[(Ask, u16)]) {
    front.cut_commits(true);
    let lost = join_all(asks.iter().map(|(ask, _)| client.send(ask))).await;
    front.cut_commits(false);
    for lost in lost {
        assert_eq!((lost.status, lost.code()), (503, "platform.database_unavailable"), "{lost:?}");
        assert!(!lost.header("retry-after").is_empty(), "it says when to come back");
    }
    let again = join_all(asks.iter().map(|(ask, _)| client.send(ask))).await;
    for (again, (_, status)) in again.iter().zip(asks) {
        assert_eq!(again.status, *status, "{again:?}");
    }
}

/// A message and a group; only the key keeps the message, sent again, from being another one.
fn effects(number: usize, mia: &Person) -> [(Ask, u16); 2] {
    let key = format!("number-{number}");
    let data = json!({ "subject": "Hello", "text": format!("Number {number}.") });
    let message = json!({ "to": { "user_id": mia.id }, "template": "announcement", "channels": ["inbox"], "data": data });
    let group = json!({ "name": format!("group-{number}") });
    let post = |path: &str, body| Ask::new(Method::POST, path).body(body).header("idempotency-key", &key);
    [(post("/api/v1/notifications", &message), 202), (post("/api/v1/groups", &group), 201)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_and_a_retry_have_one_effect_a_thousand_times() {
    let Some(mut house) = House::open(Shape::Postgres, &[]).await else { return };
    let (root, mia) = (house.administrator().await, house.person("mia").await);
    assert!(house.stop().success());
    let url = house.database().url().to_owned();
    let front = PostgresFront::start(&url).await;
    house.set("DOORWARD__DATABASE__URL", &front.url(&url, "127.0.0.1", "sslmode=disable"));
    for class in ["ADMINISTRATION", "NOTIFICATIONS", "CHANGES"] {
        house.set(&format!("DOORWARD__LIMITS__{class}__PER_ACCOUNT"), "0");
        house.set(&format!("DOORWARD__LIMITS__{class}__PER_ADDRESS"), "0");
    }
    house.start();
    let mut client = house.client();
    client.access_token = root.client.access_token.clone();

    let numbers: Vec<usize> = (0..TIMES / 2).collect();
    for some in numbers.chunks(10) {
        let asks: Vec<_> = some.iter().flat_map(|number| effects(*number, &mia)).collect();
        lose_and_repeat(&front, &client, &asks).await;
    }
    assert!(front.cut() >= TIMES, "only {} answers were lost", front.cut());

    let messages = format!("/api/v1/notifications?template=announcement&user_id={}", mia.id);
    assert_eq!(count(&client, &messages).await, TIMES / 2);
    assert_eq!(count(&client, "/api/v1/groups?").await, TIMES / 2);
    house.close();
}

/// How many there are on all pages.
async fn count(client: &Client, path: &str) -> usize {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let page = client.get(&format!("{path}&limit=200{cursor}")).await;
        count += page.body["items"].as_array().unwrap().len();
        let Some(next) = page.body["next_cursor"].as_str() else { return count };
        cursor = format!("&cursor={next}");
    }
}
