//! What an operator's tools see of a process that takes its time: while it starts, while every connection is in use, and
//! when the master key is another one.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Client;
use crate::house::{House, Shape, eventually};

/// The lock that one process has while it changes tables.
const MIGRATING: &str = "SELECT pg_advisory_lock(7237125663627506276)";

/// Waits until the process listens for SIGTERM, and sends it.
async fn ask_to_stop(process: &Child) {
    let pid = process.id();
    eventually("it to listen for signals", async || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught & (1 << 14) != 0).then_some(())
    })
    .await;
    assert!(Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap().success());
}

/// How it ended, and what it said.
async fn ended(mut process: Child) -> (Option<i32>, String) {
    let begun = Instant::now();
    while process.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(15), "it does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let done = process.wait_with_output().unwrap();
    (done.status.code(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
}

async fn slow_start(shape: Shape, lock: &str, unlock: &str) {
    let Some(mut house) = House::open(shape, &[]).await else { return };
    assert!(house.stop().success());
    let address = format!("127.0.0.1:{}", testkit::ports::free(1));
    house.set("DOORWARD__SERVER__MANAGEMENT__ADDRESS", &address);
    let db = house.database().database();
    let mut other = db.write().await.unwrap();
    other.batch(lock).await.unwrap();
    let begin = |arguments: &[&str]| {
        let mut command = house.binary();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };

    let process = begin(&[]);
    let ask = async |path: &str| reqwest::get(format!("http://{address}{path}")).await.ok();
    eventually("liveness", async || {
        ask("/livez").await.is_some_and(|answer| answer.status() == 200).then_some(())
    })
    .await;
    for path in ["/readyz", "/metrics", "/internal/auth/check-session"] {
        let answer = ask(path).await.unwrap();
        assert_eq!(answer.status(), 503, "{path}");
        assert!(answer.text().await.unwrap().contains("platform.starting"), "{path}");
    }
    let (done, told) = house.finish(&["health"]);
    assert!(!done && told.contains("503"), "{told}");
    ask_to_stop(&process).await;
    let (code, told) = ended(process).await;
    assert_eq!(code, Some(0), "a stop that was asked for is a success: {told}");

    let process = begin(&["migrate"]);
    ask_to_stop(&process).await;
    let (code, told) = ended(process).await;
    assert!(code == Some(1) && told.contains("asked to stop before its end"), "{code:?}: {told}");

    other.batch(unlock).await.unwrap();
    drop(other);
    house.start();
    assert_eq!(Client::new(&house.management).get("/readyz").await.status, 200);
    house.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_starts_it_lives_and_hears_a_stop_embedded() {
    slow_start(Shape::Embedded, "BEGIN IMMEDIATE", "ROLLBACK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_starts_it_lives_and_hears_a_stop_postgres() {
    slow_start(Shape::Postgres, MIGRATING, "SELECT pg_advisory_unlock_all()").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moment_in_which_every_connection_is_in_use_takes_nobody_out() {
    let settings = [("DOORWARD__DATABASE__MAX_CONNECTIONS", "2")];
    let Some(house) = House::open(Shape::Postgres, &settings).await else { return };
    let db = house.database().database();
    let mut other = db.write().await.unwrap();
    other.batch("BEGIN; LOCK TABLE auth_accounts IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut logins = tokio::task::JoinSet::new();
    for number in 0..8 {
        let client = house.client();
        let login =
            json!({ "email": format!("mia{number}@example.org"), "password": "zwei Katzen auf dem Dach" });
        logins.spawn(async move { client.post("/api/v1/auth/logins", &login).await.status });
    }
    let management = Client::new(&house.management);
    let metrics = async || management.get("/metrics").await.body.as_str().unwrap().to_owned();
    eventually("every connection to be in use, and somebody to wait for one", async || {
        let text = metrics().await;
        let mut waiting =
            text.lines().filter(|line| line.starts_with("doorward_database_waiting{pool=\"all\"}"));
        let in_use = "doorward_database_connections{pool=\"all\",state=\"in_use\"} 2";
        (waiting.any(|line| !line.ends_with(" 0")) && text.contains(in_use)).then_some(())
    })
    .await;
    for _ in 0..4 {
        let begun = Instant::now();
        assert_eq!(management.get("/readyz").await.status, 200);
        assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    other.batch("ROLLBACK").await.unwrap();
    drop(other);
    logins.join_all().await;
    house.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_master_key_is_told_and_signing_keys_that_are_lost_can_be_left_behind() {
    let key = || platform::settings::MasterKey::generate().unwrap().to_base64();
    let mut house = House::open(Shape::Embedded, &[("DOORWARD__SECRETS__MASTER_KEY", &key())]).await.unwrap();
    let mia = house.person("mia").await;
    assert!(house.stop().success());
    house.set("DOORWARD__SECRETS__MASTER_KEY", &key());
    for arguments in [&["serve"][..], &["keys", "rotate"]] {
        let (done, told) = house.finish(arguments);
        assert!(!done && told.contains("secrets.master_key"), "{arguments:?}: {told}");
        assert!(!told.contains("went wrong on our side"), "{told}");
    }

    // As docs/operations.md tells.
    let algorithm = "DOORWARD__AUTH__TOKENS__ALGORITHM";
    house.set(algorithm, "ES256");
    let (done, told) = house.finish(&["keys", "rotate", "--compromised"]);
    assert!(done, "{told}");
    house.unset(algorithm);
    house.start();
    let mut client = house.client();
    client.access_token.clone_from(&mia.client.access_token);
    assert_eq!(client.get("/api/v1/users/me").await.status, 401, "a token of a lost key");
    let refreshed = client.post("/api/v1/auth/tokens", &json!({ "refresh_token": mia.refresh_token })).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    client.access_token = refreshed.body["access_token"].as_str().map(ToOwned::to_owned);
    assert_eq!(client.get("/api/v1/users/me").await.status, 200);
    house.close();
}
