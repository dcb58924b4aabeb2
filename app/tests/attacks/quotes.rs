//! Odd words wherever the interface takes one: they are refused or found to be nothing, and never a mistake of ours.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Ask, Person};
use crate::house::{House, Shape, in_every_shape};

/// Ways out of a statement, a template, a path and a number, as they stand in an address.
const QUOTES: [&str; 14] = [
    "%27",
    "%27%27%20OR%20%271%27=%271",
    "1;%20DROP%20TABLE%20auth_accounts--",
    "%27)%20UNION%20SELECT%20NULL--",
    "%22",
    "%5C",
    "/*",
    "%25%5F",
    "(SELECT%20pg_sleep(9))",
    "$%7Bjndi:ldap://x%7D",
    "%7B%7B7*7%7D%7D",
    "%E2%80%AE%EF%BC%87",
    "%00",
    "%FF%FE",
];

/// Numbers of rows that nobody may have.
const LIMITS: [&str; 8] = ["1000000000", "-1", "0", "1e9", "99999999999999999999", "1.5", "", "NaN"];

/// Answers that are refusals or finds, and no mistake.
async fn is_sound(root: &Person, ask: &Ask) -> u16 {
    let answer = root.client.send(ask).await;
    assert!(answer.status < 500, "{} {}: {answer:?}", ask.method, ask.path);
    // The path that was asked for is repeated as it was.
    let told = format!("{} {}", answer.body["detail"], answer.body["errors"]);
    for word in ["syntax", "sqlite", "postgres", "SELECT", "diesel", "utf-8 sequence"] {
        assert!(!told.contains(word), "{word} is told at {}: {answer:?}", ask.path);
    }
    answer.status
}

/// Each parameter of each operation, as method, path and name.
fn parameters(document: &Value, place: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let all = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
            for one in all.iter().filter(|one| one["in"] == place) {
                found.push((method.to_uppercase(), path.clone(), one["name"].as_str().unwrap().to_owned()));
            }
        }
    }
    found
}

in_every_shape! {
    async fn no_quote_gets_out_of_any_parameter_and_no_number_is_too_large(shape) {
        let Some(mut house) = House::open(shape, &[]).await else { return };
        let root = house.administrator().await;
        let document = house.client().get("/openapi.json").await.body;
        let queries = parameters(&document, "query");
        assert!(queries.len() > 30, "the document names no parameters");
        for (method, path, name) in queries.iter().filter(|(_, path, _)| !path.ends_with("/stream")) {
            let path = path.replace("{id}", &root.id).replace("{provider}", "primary");
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let ask = |value: &str| {
                let ask = Ask::new(method.clone(), &format!("{path}?{name}={value}"));
                if method == Method::GET { ask } else { ask.body(&json!({})) }
            };
            for quote in QUOTES {
                let status = is_sound(&root, &ask(quote)).await;
                let chosen = ["limit", "cursor", "sort", "state", "from", "to", "unread", "explain"];
                assert!(status >= 400 || !chosen.contains(&name.as_str()), "{path}?{name}={quote}: {status}");
            }
            for limit in LIMITS.iter().filter(|_| name == "limit") {
                assert_eq!(is_sound(&root, &ask(limit)).await, 400, "{path}?limit={limit}");
            }
        }
        for (method, path, name) in parameters(&document, "path") {
            for quote in QUOTES {
                let mut path = path.replace(&format!("{{{name}}}"), quote);
                while let Some((before, rest)) = path.split_once('{') {
                    path = format!("{before}{}{}", root.id, rest.split_once('}').unwrap().1);
                }
                let ask = Ask::new(Method::from_bytes(method.as_bytes()).unwrap(), &path);
                let ask = if method == "GET" { ask } else { ask.body(&json!({})) };
                let status = is_sound(&root, &ask).await;
                let own_words = path.contains("/preferences/") || path.contains("/receipts/");
                assert!(status >= 400 || own_words, "{method} {path}: {status}");
            }
        }
        assert_eq!(root.client.get("/api/v1/users").await.body["items"].as_array().unwrap().len(), 1);
        house.close();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_fields_are_names_and_nothing_else() {
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let root = house.administrator().await;
    let document = house.client().get("/openapi.json").await.body;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in
            methods.as_object().unwrap().keys().filter(|method| !["get", "delete"].contains(&method.as_str()))
        {
            let path = path.replace("{id}", &root.id).replace(['{', '}'], "");
            for name in ["'", "email'--", "$where", "__proto__", "constructor", "a.b", "\u{202e}", ""] {
                let ask = Ask::new(Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), &path);
                let status = is_sound(&root, &ask.body(&json!({ name: { "$ne": null } }))).await;
                let own_words = path.contains("/preferences/") || path == "/api/v1/inbox/read";
                assert!(status >= 400 || own_words, "{method} {path} with {name:?}: {status}");
            }
        }
    }
    house.close();
}
