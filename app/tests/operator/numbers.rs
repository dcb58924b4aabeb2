//! What an operator reads at `/metrics` after traffic.

use reqwest::Method;
use serde_json::json;

use crate::client::{Ask, Client};
use crate::house::{House, Shape};

/// The sum of a metric's lines that hold all of these words.
fn number(text: &str, metric: &str, words: &[&str]) -> f64 {
    let lines = text
        .lines()
        .filter(|line| line.starts_with(&format!("{metric}{{")) || line.starts_with(&format!("{metric} ")));
    let lines = lines.filter(|line| words.iter().all(|word| line.contains(word)));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cache_tells_its_hits_misses_admissions_and_invalidations() {
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let root = house.administrator().await;
    let mia = house.person("mia").await;
    let may = json!({ "subject": { "type": "user", "id": mia.id }, "action": { "name": "read" }, "resource": { "type": "documents", "id": "1" } });
    for _ in 0..6 {
        assert_eq!(mia.client.get("/api/v1/users/me").await.status, 200);
        assert_eq!(mia.client.post("/access/v1/evaluation", &may).await.status, 200);
        assert_eq!(root.client.get("/api/v1/roles").await.status, 200);
    }
    let role = json!({ "name": "reader", "description": "Reads", "permissions": ["documents:read"], "inherits": [] });
    assert_eq!(root.client.post("/api/v1/roles", &role).await.status, 201);
    let given = json!({ "subject": { "type": "user", "id": mia.id }, "role": "reader" });
    assert_eq!(root.client.post("/api/v1/role-assignments", &given).await.status, 201);
    assert_eq!(mia.client.post("/access/v1/evaluation", &may).await.body["decision"], json!(true));
    assert_eq!(mia.client.send(&Ask::new(Method::DELETE, "/api/v1/auth/sessions/current")).await.status, 204);

    let text = Client::new(&house.management).get("/metrics").await.body.as_str().unwrap().to_owned();
    for cache in ["auth.sessions", "permissions_roles", "permissions_holders", "verified_tokens"] {
        let label = format!("cache=\"{cache}\"");
        for event in ["hits", "misses", "admissions", "rejections", "invalidations", "stale_loads_dropped"] {
            let metric = format!("doorward_cache_{event}_total");
            assert!(
                text.lines().any(|line| line.starts_with(&metric) && line.contains(&label)),
                "{metric} {label}\n{text}"
            );
        }
        // What a hot user may do is at hand above these two, so that they are asked only when that is made anew.
        let asked: &[&str] =
            if cache.starts_with("permissions") { &["misses"] } else { &["hits", "misses", "admissions"] };
        for event in asked {
            let count = number(&text, &format!("doorward_cache_{event}_total"), &[&label]);
            assert!(count >= 1.0, "{event} of {cache}: {count}");
        }
    }
    for cache in ["auth.sessions", "permissions_holders"] {
        let count = number(&text, "doorward_cache_invalidations_total", &[&format!("cache=\"{cache}\"")]);
        assert!(count >= 1.0, "invalidations of {cache}: {count}");
    }
    assert!(number(&text, "doorward_cache_hits_total", &["auth.sessions"]) >= 8.0, "{text}");
    assert!(
        text.contains(&format!("doorward_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))),
        "{text}"
    );
    assert_eq!(number(&text, "doorward_database_connected", &[]), 1.0);
    for pool in ["read", "write"] {
        assert!(text.contains(&format!("doorward_database_waiting{{pool=\"{pool}\"}}")), "{text}");
    }
    assert!(text.contains("doorward_deliveries_pending{subscriber=\"users.profiles\"}"), "{text}");
    house.close();
}
