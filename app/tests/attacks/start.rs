//! What Doorward tells when it can't start or its database is away: sentences for the operator, and nothing for others.

use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::house::{House, Shape, eventually};

/// Tries to start with nothing but these settings.
fn start(settings: &[(&str, &str)]) -> (bool, String) {
    let folder = TempDir::new().unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .env_clear()
        .env("DOORWARD__DATA_DIR", folder.path())
        .env("DOORWARD__SERVER__PUBLIC__ADDRESS", "127.0.0.1:0")
        .env("DOORWARD__SERVER__MANAGEMENT__ADDRESS", "127.0.0.1:0")
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
}

#[test]
fn no_secret_is_made_up_outside_of_development() {
    let complete = |key: &'static str| {
        [
            ("DOORWARD_PROFILE", "production"),
            ("DOORWARD__PUBLIC_URL", "https://id.example.org"),
            ("DOORWARD__SECRETS__MASTER_KEY", key),
            ("DOORWARD__DATABASE__URL", "sqlite:doorward.db"),
            ("DOORWARD__SMTP__URL", "smtp://127.0.0.1:1"),
            ("DOORWARD__SMTP__FROM", "mail@example.org"),
        ]
    };
    for key in [
        "",
        "secret",
        "changeme",
        "doorward",
        "c2VjcmV0",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "AAECAwQFBgcICQoLDA0ODw==",
        "Y2hhbmdlbWVjaGFuZ2VtZWNoYW5nZW1lY2hhbmdlbWU=",
    ] {
        let (started, told) = start(&complete(key));
        assert!(!started && told.contains("secrets.master_key"), "{key:?}: {told}");
        assert!(key.len() < 9 || !told.contains(key), "the key is repeated: {told}");
    }
}

#[test]
fn outside_of_development_nobody_starts_on_a_database_that_was_not_named() {
    let key = platform::settings::MasterKey::generate().unwrap().to_base64();
    let (started, told) = start(&[
        ("DOORWARD_PROFILE", "production"),
        ("DOORWARD__PUBLIC_URL", "https://id.example.org"),
        ("DOORWARD__SECRETS__MASTER_KEY", key.as_str()),
        ("DOORWARD__SMTP__URL", "smtp://127.0.0.1:1"),
        ("DOORWARD__SMTP__FROM", "mail@example.org"),
    ]);
    assert!(!started && told.contains("database.url is not set"), "{told}");
    assert!(!told.contains("Set-up"), "{told}");
}

#[test]
fn a_bad_setting_is_told_and_its_value_is_not() {
    for (name, value, hint) in [
        ("DOORWARD__DATABASE__URL", "postgres://dbuser:hunter2@127.0.0.1:1/private", "database"),
        ("DOORWARD__DATABASE__URL", "mysql://dbuser:hunter2@db.internal/private", "sqlite:PATH"),
        ("DOORWARD__SMTP__URL", "telnet://dbuser:hunter2@mail.internal", "smtp.url"),
        ("DOORWARD__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,everybody", "server.trusted_proxies"),
        ("DOORWARD__SERVER__TRUSTED_PROXIES", "0.0.0.0/0", "server.trusted_proxies"),
        ("DOORWARD__LIMITS__LOGINS__WINDOW_SECONDS", "0", "limits.logins.window_seconds"),
        ("DOORWARD__SERVER__BODY_TIMEOUT_MS", "1", "server.body_timeout_ms"),
        ("DOORWARD__BUS__MAX_ATTEMPTS", "0", "bus.max_attempts"),
        ("DOORWARD__LOG__FILTER", "hunter2=loud", "log.filter"),
    ] {
        let (started, told) = start(&[(name, value), ("DOORWARD__DATABASE__CONNECT_TIMEOUT_MS", "300")]);
        assert!(!started && told.contains(hint), "{name}: {told}");
        for secret in ["hunter2", "dbuser"] {
            assert!(!told.contains(secret), "{name}: {told}");
        }
    }
}

/// Carries bytes to a server until it is told to stop, as a network that can be cut.
async fn wire(listener: TcpListener, to: String, cut: watch::Receiver<bool>) {
    let to = Arc::new(to);
    while let Ok((mut near, _)) = listener.accept().await {
        let (to, mut cut) = (Arc::clone(&to), cut.clone());
        tokio::spawn(async move {
            if *cut.borrow() {
                return;
            }
            let Ok(mut far) = TcpStream::connect(to.as_str()).await else { return };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                _ = cut.wait_for(|cut| *cut) => {}
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_nobody_learns_where_it_is() {
    let Some(mut house) =
        House::open(Shape::Postgres, &[("DOORWARD__DATABASE__CONNECT_TIMEOUT_MS", "5000")]).await
    else {
        return;
    };
    let mia = house.person("mia").await;
    let url = house.database().url().to_owned();
    let (before, rest) = url.split_once('@').unwrap();
    let (server, name) = rest.split_once('/').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = listener.local_addr().unwrap().to_string();
    let (cut, is_cut) = watch::channel(false);
    tokio::spawn(wire(listener, server.to_owned(), is_cut));
    assert!(house.stop().success());
    house.set("DOORWARD__DATABASE__URL", &format!("{before}@{near}/{name}"));
    house.start();
    let mut client = house.client();
    client.access_token = mia.client.access_token.clone();
    assert_eq!(client.get("/api/v1/users/me").await.status, 200);

    cut.send(true).unwrap();
    eventually("readiness to be taken back", async || {
        (client.get("/readyz").await.status == 503).then_some(())
    })
    .await;
    let login = serde_json::json!({ "email": mia.email, "password": mia.password });
    for number in 0..12 {
        let answer = match number % 4 {
            0 => client.get("/api/v1/users/me").await,
            1 => client.post("/api/v1/auth/logins", &login).await,
            2 => client.get("/api/v1/audit-events").await,
            _ => client.get("/readyz").await,
        };
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (503, "application/problem+json"),
            "{answer:?}"
        );
        assert_ne!(answer.header("retry-after"), "");
        let text = format!("{} {:?}", answer.body, answer.headers).to_lowercase();
        for word in [
            &near,
            server,
            name,
            "postgres",
            "sql",
            "127.0.0.1",
            "doorward:",
            "connection refused",
            "os error",
        ] {
            assert!(!text.contains(word), "{word} in {text}");
        }
        assert_eq!(client.get("/livez").await.status, 200);
    }
    cut.send(false).unwrap();
    eventually("the database to be back", async || {
        (client.get("/api/v1/users/me").await.status == 200).then_some(())
    })
    .await;
    let log = house.log();
    let password = before.rsplit(':').next().unwrap();
    assert!(!log.contains(password), "the database's password stands in the log");
}
