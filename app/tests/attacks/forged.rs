//! Forged headers: where a request comes from, who sent it, and where its links lead.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Ask, Client};
use crate::house::{House, Shape, in_every_shape};

fn login(email: &str, password: &str) -> Ask {
    Ask::new(Method::POST, "/api/v1/auth/logins").body(&json!({ "email": email, "password": password }))
}

/// An answer without what differs from one to the next.
fn shape_of(answer: &Answer) -> (u16, Value, Vec<String>) {
    let mut body = answer.body.clone();
    if let Some(fields) = body.as_object_mut() {
        for name in ["request_id", "access_token", "refresh_token", "session_id"] {
            fields.remove(name);
        }
    }
    let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
    names.sort();
    (answer.status, body, names)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_forwarded_header_changes_nothing_about_a_login() {
    let long = "1.2.3.4, ".repeat(1_200);
    let hops = vec!["127.0.0.1"; 100].join(", ");
    let headers = [
        ("x-forwarded-for", ""),
        ("x-forwarded-for", "garbage"),
        ("x-forwarded-for", "1.2.3.4, x"),
        ("x-forwarded-for", ", , ,"),
        ("x-forwarded-for", "::ffff:999.1.1.1"),
        ("x-forwarded-for", &long),
        ("x-forwarded-for", &hops),
        ("forwarded", "for=\"unclosed"),
        ("forwarded", "for=_hidden;for=1.2.3.4"),
        ("forwarded", "garbage;;;=,,\"\""),
        ("x-real-ip", "1.2.3.4"),
        ("true-client-ip", "1.2.3.4"),
    ];
    for proxies in ["", "127.0.0.0/8"] {
        let settings = [("DOORWARD__SERVER__TRUSTED_PROXIES", proxies)];
        let mut house = House::open(Shape::Embedded, &settings).await.unwrap();
        let mia = house.person("mia").await;
        let client = house.client();
        let good = shape_of(&client.send(&login(&mia.email, &mia.password)).await);
        let bad = shape_of(&client.send(&login("nobody@example.org", "not the password")).await);
        assert_eq!((good.0, bad.0), (200, 401));
        for (name, value) in headers {
            let answer = client.send(&login(&mia.email, &mia.password).header(name, value)).await;
            assert_eq!(shape_of(&answer), good, "{proxies:?} {name}: {value:.40}");
            let stranger = format!("nobody{}@example.org", value.len());
            let answer = client.send(&login(&stranger, "not the password").header(name, value)).await;
            assert_eq!(shape_of(&answer), bad, "{proxies:?} {name}: {value:.40}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_addresses_from_one_line_is_one_attacker() {
    let settings = [("DOORWARD__SERVER__TRUSTED_PROXIES", "127.0.0.0/8")];
    let mut house = House::open(Shape::Embedded, &settings).await.unwrap();
    let mia = house.person("mia").await;
    let miss = async |from: &str| {
        house.client().send(&login(&mia.email, "not the password").header("x-forwarded-for", from)).await
    };
    let mut refused = 0;
    for host in 0..40 {
        let from = match host % 3 {
            0 => format!("2001:db8:1:2::{host:x}"),
            1 => format!("2001:0DB8:0001:0002:0:{host:x}:0:1"),
            _ => format!("6.6.6.6, 2001:db8:1:2:{host:x}::"),
        };
        let answer = miss(&from).await;
        assert!([401, 429].contains(&answer.status), "{answer:?}");
        if answer.status == 429 {
            assert_ne!(answer.header("retry-after"), "");
            assert!(answer.header("ratelimit").contains(";r=0;t="), "{:?}", answer.headers);
            refused += 1;
        }
    }
    assert_eq!(refused, 30, "ten misses from one network, and not one more");
    assert_eq!(miss("2001:db8:9:9::1").await.status, 401, "another line is not locked");
    for spelling in
        ["203.0.113.5", "::ffff:203.0.113.5", "::FFFF:CB00:7105", "[::ffff:203.0.113.5]:80", "203.0.113.5:99"]
    {
        for _ in 0..2 {
            assert_eq!(miss(spelling).await.status, 401, "{spelling}");
        }
    }
    assert_eq!(miss("203.0.113.5").await.status, 429, "ten misses in five spellings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_listed_proxy_only_speaks_for_himself() {
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let mia = house.person("mia").await;
    let mut answers = Vec::new();
    for number in 0..15 {
        let from = format!("203.0.113.{number}");
        let ask = login(&mia.email, "not the password");
        let ask = ask.header("x-forwarded-for", &from).header("forwarded", &format!("for={from}"));
        answers.push(house.client().send(&ask).await.status);
    }
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 10, "{answers:?}");
    let sessions = mia.client.get("/api/v1/auth/sessions").await.body;
    assert_eq!(sessions["items"][0]["ip"], "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxys_word_reaches_the_session_list_and_no_link() {
    let settings = [("DOORWARD__SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let mut house = House::open(Shape::Embedded, &settings).await.unwrap();
    let mia = house.person("mia").await;
    let from = login(&mia.email, &mia.password).header("x-forwarded-for", "6.6.6.6, 203.0.113.77");
    assert_eq!(house.client().send(&from).await.status, 200);
    let sessions = mia.client.get("/api/v1/auth/sessions").await.body;
    let addresses: Vec<_> = sessions["items"].as_array().unwrap().iter().map(|it| it["ip"].clone()).collect();
    assert!(
        addresses.contains(&json!("203.0.113.77")) && !addresses.contains(&json!("6.6.6.6")),
        "{addresses:?}"
    );

    let forged = Ask::new(Method::POST, "/api/v1/auth/registrations")
        .body(&json!({ "email": "tom@example.org", "password": "zwei Katzen auf dem Dach" }))
        .header("x-forwarded-host", "evil.test")
        .header("x-forwarded-proto", "javascript")
        .header("x-original-host", "evil.test")
        .header("x-forwarded-prefix", "//evil.test")
        .header("forwarded", "for=203.0.113.9;host=evil.test;proto=http")
        .header("host", "evil.test");
    assert_eq!(house.client().send(&forged).await.status, 202);
    let message = house.messages("tom@example.org", 1).await.remove(0);
    assert!(!message.to_string().contains("evil.test"), "{message}");
    for link in message["links"].as_array().unwrap() {
        assert!(link.as_str().unwrap().starts_with("http://doorward.test/"), "{link}");
    }
}

in_every_shape! {
    async fn names_in_headers_make_nobody_somebody_anywhere(shape) {
        let settings = [("DOORWARD__SERVER__TRUSTED_PROXIES", "127.0.0.1")];
        let Some(mut house) = House::open(shape, &settings).await else { return };
        let root = house.administrator().await;
        let document = house.client().get("/openapi.json").await.body;
        let guarded = document["paths"].as_object().unwrap().iter().filter(|(_, methods)| {
            methods.get("get").is_some_and(|get| !get["security"].as_array().is_some_and(Vec::is_empty))
        });
        let forged: [(&'static str, &str); 8] = [
            ("x-user-id", &root.id),
            ("x_user_id", &root.id),
            ("x-forwarded-user", &root.email),
            ("connection", "x-user-id"),
            ("x-forwarded-uri", "/livez"),
            ("x-original-url", "/livez"),
            ("user-agent", "GoogleHC/1.0"),
            ("doorward-caller", "{\"actor\":{\"type\":\"module\",\"name\":\"auth\"},\"request_id\":\"x\"}"),
        ];
        for (path, _) in guarded {
            let path = path.replace("{id}", &root.id).replace(['{', '}'], "");
            for (name, value) in forged {
                let ask = Ask::new(Method::GET, &path).header(name, value).header("x-forwarded-for", "127.0.0.1");
                let answer = Client::new(&house.public).send(&ask).await;
                assert_eq!(answer.status, 401, "{path} with {name}: {value}");
            }
        }
        house.close();
    }
}
