//! `doorward storage copy`: people notice nothing of it, and nothing that was known is forgotten.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::databases::{Engine, TestDatabase};

use crate::client::{Ask, Person};
use crate::house::{House, Shape};

/// Moves everything to another database and starts on it.
async fn move_to(house: &mut House, target: &TestDatabase, from: &str) {
    assert!(house.stop().success());
    let file = house.data().join("url");
    std::fs::write(&file, target.url()).unwrap();
    let to = format!("@{}", file.display());
    let (done, told) = house.finish(&["storage", "copy", "--from", from, "--to", &to]);
    assert!(done && told.contains("Everything has arrived"), "{told}");
    house.set("DOORWARD__DATABASE__URL", target.url());
    house.start();
}

async fn refresh(house: &House, token: &Value) -> (u16, Value) {
    let answer = house.client().post("/api/v1/auth/tokens", &json!({ "refresh_token": token })).await;
    (answer.status, answer.body["refresh_token"].clone())
}

async fn seen_by(house: &House, person: &Person, path: &str) -> Value {
    let mut client = house.client();
    client.access_token = person.client.access_token.clone();
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
    answer.body
}

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_queues_and_the_trail_survive_a_move_to_postgres_and_back() {
    let Some(postgres) = TestDatabase::create(Engine::Postgres, &[]).await else { return };
    // Whatever comes back is a replay: within the grace window it would only be a client that asks twice.
    let settings = [("DOORWARD__AUTH__TOKENS__GRACE_SECONDS", "0")];
    let mut house = House::open(Shape::Embedded, &settings).await.unwrap();
    let (root, mia, tom) =
        (house.administrator().await, house.person("mia").await, house.person("tom").await);
    for (path, body) in [
        ("/api/v1/groups", json!({ "name": "painters" })),
        ("/api/v1/roles", json!({ "name": "curator", "permissions": ["paintings:hang"] })),
    ] {
        assert_eq!(root.client.send(&Ask::new(Method::POST, path).body(&body)).await.status, 201, "{path}");
    }
    let shape = json!({ "frame": "gold", "sizes": [1, 2.5, "groß 🖼"] });
    let preference = Ask::new(Method::PUT, "/api/v1/users/me/preferences/gallery").body(&shape);
    assert!(mia.client.send(&preference).await.status < 300);
    let used = json!(mia.refresh_token);
    let (status, mut current) = refresh(&house, &used).await;
    assert_eq!(status, 200);
    // On their way when it stops: the mail to somebody who registers.
    let body = json!({ "email": "late@example.org", "password": "a long sentence for late" });
    assert_eq!(house.client().post("/api/v1/auth/registrations", &body).await.status, 202);

    let paths = ["/api/v1/audit-events?limit=200", "/api/v1/groups", "/api/v1/roles", "/api/v1/users"];
    let sqlite = house.database().url().to_owned();
    let back = TestDatabase::create(Engine::Sqlite, &[]).await.unwrap();
    for (target, from) in [(&postgres, sqlite.as_str()), (&back, postgres.url())] {
        let mut before = Vec::new();
        for path in paths {
            before.push(seen_by(&house, &root, path).await);
        }
        move_to(&mut house, target, from).await;
        for (path, before) in paths.iter().zip(before) {
            // More may be there: what was on its way has arrived.
            let after = seen_by(&house, &root, path).await;
            let after = items(&after);
            let lost: Vec<_> = items(&before).iter().filter(|item| !after.contains(item)).collect();
            assert!(lost.is_empty() && !after.is_empty(), "{path}: {lost:?}");
        }
        assert_eq!(seen_by(&house, &mia, "/api/v1/users/me/preferences/gallery").await, shape);
        let (status, next) = refresh(&house, &current).await;
        assert_eq!(status, 200, "a refresh token taken before works after");
        current = next;
    }
    house.messages("late@example.org", 1).await;

    assert_eq!(refresh(&house, &used).await.0, 401, "used before both moves");
    assert_eq!(refresh(&house, &current).await.0, 401, "its replay ends the family");
    Person::log_in(&house.public, &tom.email, &tom.password).await;
    postgres.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_moved_from_under_a_running_server() {
    let Some(postgres) = TestDatabase::create(Engine::Postgres, &[]).await else { return };
    let house = House::open(Shape::Embedded, &[]).await.unwrap();
    let from = house.database().url().to_owned();
    let (done, told) = house.finish(&["storage", "copy", "--from", &from, "--to", postgres.url()]);
    assert!(!done && told.contains("Another Doorward runs"), "{told}");
    let (done, told) = house.finish(&["storage", "copy", "--to", "@/nowhere"]);
    assert!(!done && told.contains("/nowhere can't be read"), "{told}");
    postgres.remove().await;
    house.close();
}
