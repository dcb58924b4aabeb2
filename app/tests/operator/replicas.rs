//! Several processes on one PostgreSQL and one Redis: what one of them changed counts at the others with the very next
//! request, whatever becomes of Redis meanwhile, and nothing fails because of it.

use std::time::{Duration, Instant};

use platform::settings::MasterKey;
use reqwest::Method;
use serde_json::json;
use testkit::redis::RedisServer;

use crate::client::{Ask, Client, Person};
use crate::house::{House, Shape, eventually};

/// The same person, at another process.
fn at(house: &House, client: &Client) -> Client {
    let mut other = house.client();
    other.access_token.clone_from(&client.access_token);
    other
}

async fn alive(client: &Client) -> bool {
    let answer = client.get("/api/v1/users/me").await;
    assert!([200, 401].contains(&answer.status), "{answer:?}");
    answer.status == 200
}

async fn number(house: &House, name: &str) -> f64 {
    let text = reqwest::get(format!("{}/metrics", house.management)).await.unwrap().text().await.unwrap();
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn in_use(house: &House) {
    let both = async || {
        let used = number(house, "doorward_cache_in_use").await > 0.0;
        (used && number(house, "doorward_redis_connected").await > 0.0).then_some(())
    };
    eventually("it uses Redis", both).await;
}

/// Logs somebody in at one process, warms both, ends the session at the other one, and looks at once at both.
async fn a_session_ends_everywhere(one: &House, other: &House, email: &str, password: &str) {
    let body = json!({ "email": email, "password": password });
    let answer = one.client().post("/api/v1/auth/logins", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut here = one.client();
    here.access_token = answer.body["access_token"].as_str().map(str::to_owned);
    let there = at(other, &here);
    for _ in 0..3 {
        assert!(alive(&here).await && alive(&there).await);
    }
    let name = json!({ "display_name": format!("Mia {:?}", Instant::now()) });
    let patch = Ask::new(Method::PATCH, "/api/v1/users/me").body(&name);
    let patched = here.send(&patch).await;
    assert_eq!(patched.status, 200, "{patched:?}");
    assert_eq!(there.get("/api/v1/users/me").await.body["display_name"], name["display_name"]);
    let session = answer.body["session_id"].as_str().unwrap();
    let end = Ask::new(Method::DELETE, &format!("/api/v1/auth/sessions/{session}"));
    let ended = there.send(&end).await;
    assert_eq!(ended.status, 204, "{ended:?}");
    assert!(!alive(&here).await && !alive(&there).await, "an ended session that lives on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_changed_counts_at_the_others_at_once_whatever_becomes_of_redis() {
    let Some(mut redis) = RedisServer::start() else { return };
    let (url, master_key) = (redis.url(), MasterKey::generate().unwrap().to_base64());
    let settings =
        [("DOORWARD__SECRETS__MASTER_KEY", master_key.as_str()), ("DOORWARD__REDIS__URL", url.as_str())];
    let Some(mut one) = House::open(Shape::Postgres, &settings).await else { return };
    let mut mia = one.person("mia").await;
    let (email, password) = ("mia@example.org", "a long sentence for mia");
    let mut other = one.beside();
    for house in [&one, &other] {
        in_use(house).await;
    }
    for _ in 0..5 {
        a_session_ends_everywhere(&one, &other, email, password).await;
        a_session_ends_everywhere(&other, &one, email, password).await;
    }
    assert!(number(&one, "doorward_cache_hits_total").await > 0.0);
    assert!(number(&other, "doorward_cache_changes_heard_total").await > 0.0);

    redis.kill();
    for _ in 0..3 {
        a_session_ends_everywhere(&one, &other, email, password).await;
    }
    let ready = reqwest::get(format!("{}/readyz", one.management)).await.unwrap();
    assert_eq!(ready.status(), 200, "Redis is nothing that readiness waits for");
    redis.start_again();
    for house in [&one, &other] {
        in_use(house).await;
    }
    redis.pause();
    for _ in 0..2 {
        a_session_ends_everywhere(&other, &one, email, password).await;
    }
    redis.resume();
    for house in [&one, &other] {
        in_use(house).await;
    }

    other.kill();
    let began = Instant::now();
    mia = Person::log_in(&one.public, &mia.email, password).await;
    assert!(alive(&mia.client).await);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    other.start();
    a_session_ends_everywhere(&one, &other, email, password).await;
    assert!(other.stop().success());
    one.close();
}
