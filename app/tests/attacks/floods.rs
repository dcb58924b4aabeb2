//! Floods: who sends too much is turned away, is told when to come back, and takes nothing from others.

use reqwest::Method;
use serde_json::json;

use crate::client::{Ask, Client};
use crate::house::{House, Shape, in_every_shape};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_logins_is_turned_away_before_any_password_is_hashed() {
    let settings = [
        ("DOORWARD__LIMITS__LOGINS__PER_ADDRESS", "5"),
        ("DOORWARD__LIMITS__LOGINS__WINDOW_SECONDS", "3600"),
        ("DOORWARD__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let house = House::open(Shape::Embedded, &settings).await.unwrap();
    let try_it = async |number: usize, from: &str| {
        let body = json!({ "email": format!("nobody{number}@example.org"), "password": "not the password" });
        let ask = Ask::new(Method::POST, "/api/v1/auth/logins").body(&body).header("x-forwarded-for", from);
        house.client().send(&ask).await
    };
    let mut refused = Vec::new();
    for number in 0..60 {
        let answer = try_it(number, &format!("2001:db8::{number:x}")).await;
        assert_ne!(answer.header("ratelimit-policy"), "", "{:?}", answer.headers);
        if answer.status == 429 {
            refused.push(answer);
        } else {
            assert_eq!(answer.header("ratelimit-policy"), "\"logins.address\";q=5;w=3600");
            assert!(
                answer.header("ratelimit").starts_with(&format!("\"logins.address\";r={};t=", 4 - number))
            );
        }
    }
    assert_eq!(refused.len(), 55);
    for answer in &refused {
        assert_eq!(answer.code(), "platform.too_many_requests");
        let wait: u32 = answer.header("retry-after").parse().unwrap();
        assert!((1..=720).contains(&wait), "{wait}");
        assert_eq!(answer.header("ratelimit"), format!("\"logins.address\";r=0;t={wait}"));
    }
    assert_eq!(try_it(99, "2001:db8:0:1::1").await.status, 401, "the neighbour gets in");
    let metrics = Client::new(&house.management).get("/metrics").await.body.as_str().unwrap().to_owned();
    let count = |start: &str| {
        let line = metrics
            .lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("{start}\n{metrics}"));
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(count("doorward_requests_limited_total{class=\"logins\",by=\"address\"}"), 55);
    assert!(count("doorward_hash_seconds_count") <= 6, "a refused login costs no hash");
}

in_every_shape! {
    async fn a_flood_by_one_account_is_turned_away_from_every_address_and_others_go_on(shape) {
        let settings = [
            ("DOORWARD__LIMITS__CHANGES__PER_ACCOUNT", "4"),
            ("DOORWARD__LIMITS__CHANGES__WINDOW_SECONDS", "3600"),
            ("DOORWARD__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
        ];
        let Some(mut house) = House::open(shape, &settings).await else { return };
        let (mia, tom) = (house.person("mia").await, house.person("tom").await);
        let change = |number: usize| {
            Ask::new(Method::PUT, "/api/v1/users/me/preferences/ui")
                .body(&json!({ "number": number }))
                .header("x-forwarded-for", &format!("203.0.113.{number}"))
        };
        for number in 0..8 {
            let answer = mia.client.send(&change(number)).await;
            assert_eq!(answer.status == 429, number >= 4, "{number}: {answer:?}");
        }
        assert!(tom.client.send(&change(9)).await.status < 300);
        let read = mia.client.get("/api/v1/users/me/preferences/ui").await;
        assert_eq!((read.status, read.header("ratelimit")), (200, ""));
        assert_eq!(read.body["number"], 3, "what was refused changed nothing");
        house.close();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_service_behind_one_address_meets_no_limit() {
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let mia = house.person("mia").await;
    let may = json!({ "subject": { "type": "user", "id": mia.id }, "action": { "name": "read" }, "resource": { "type": "documents", "id": "1" } });
    for number in 0..300 {
        let change =
            Ask::new(Method::PUT, "/api/v1/users/me/preferences/ui").body(&json!({ "number": number }));
        assert!(mia.client.send(&change).await.status < 300);
        assert_eq!(mia.client.get("/api/v1/users/me").await.status, 200);
        let answer = mia.client.post("/access/v1/evaluation", &may).await;
        assert_eq!((answer.status, answer.header("ratelimit")), (200, ""));
    }
    house.close();
}
