//! Commands beside a running server.

use contracts::{Caller, EventId, Fact};
use platform::clock::Clock;
use platform::outbox;
use serde::{Deserialize, Serialize};

use crate::house::{House, Shape, eventually};

/// An event that nobody who hears it can read.
#[derive(Serialize, Deserialize)]
struct Unreadable {
    nonsense: bool,
}

impl Fact for Unreadable {
    const TYPE: &'static str = contracts::auth::AccountRegistered::TYPE;

    fn subject(&self) -> String {
        "nobody".to_owned()
    }
}

async fn tell(house: &House) -> EventId {
    let (db, now, caller) = (house.database().database(), Clock::system().now(), Caller::module("test"));
    let told = async |tx: &mut platform::db::DbConn| {
        outbox::publish(tx, now, &caller, &Unreadable { nonsense: true }).await
    };
    db.transaction(told).await.unwrap()
}

/// The lines of `events list` about an event.
fn lines(house: &House, event: EventId, arguments: &[&str]) -> Vec<Vec<String>> {
    let (done, text) = house.finish(&[&["events", "list"], arguments].concat());
    assert!(done, "{text}");
    let about = text.lines().filter(|line| line.starts_with(&event.to_string()));
    about.map(|line| line.split('\t').map(ToOwned::to_owned).collect()).collect()
}

async fn given_up_and_tried_again(shape: Shape) {
    let settings = [("DOORWARD__BUS__MAX_ATTEMPTS", "1"), ("DOORWARD__OUTBOX__POLL_INTERVAL_MS", "50")];
    let Some(mut house) = House::open(shape, &settings).await else { return };
    let event = tell(&house).await;
    let parked = eventually("the event to be given up", async || {
        let lines = lines(&house, event, &["--parked"]);
        (!lines.is_empty()).then_some(lines)
    })
    .await;
    assert_eq!(
        (parked[0].len(), parked[0][3].as_str(), parked[0][4].as_str()),
        (8, "parked", "1"),
        "{parked:?}"
    );
    assert!(parked.iter().any(|line| line[2].starts_with("users.")), "{parked:?}");

    assert!(house.stop().success());
    let (done, told) = house.finish(&["events", "retry", &event.to_string()]);
    assert!(done && told.contains(&format!("again: {}", parked.len())), "{told}");
    assert!(lines(&house, event, &["--parked"]).is_empty());
    let waiting = lines(&house, event, &["--pending"]);
    assert_eq!(
        (waiting.len(), waiting[0][3].as_str(), waiting[0][4].as_str()),
        (parked.len(), "pending", "0")
    );
    assert_eq!(lines(&house, event, &["--pending", "--limit", "1"]).len(), 1);
    let next = tell(&house).await;
    assert_eq!(lines(&house, next, &[])[0][2], "-", "no bus has it while nothing runs");

    house.start();
    for event in [event, next] {
        eventually("both to be given up again", async || {
            (lines(&house, event, &["--parked"]).len() == parked.len()).then_some(())
        })
        .await;
    }
    let (done, told) = house.finish(&["events", "retry", "--all"]);
    assert!(done && told.contains(&format!("again: {}", 2 * parked.len())), "{told}");
    for wrong in [
        &["events", "retry", "01900000-0000-7000-8000-000000000000"][..],
        &["events", "retry"],
        &["events", "retry", "x"],
    ] {
        assert!(!house.finish(wrong).0, "{wrong:?}");
    }
    assert_eq!(house.client().get("/readyz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_were_given_up_are_listed_and_tried_again_embedded() {
    given_up_and_tried_again(Shape::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_were_given_up_are_listed_and_tried_again_postgres() {
    given_up_and_tried_again(Shape::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_were_given_up_are_listed_and_tried_again_replicas() {
    given_up_and_tried_again(Shape::Replicas).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_processs_events_are_worked_on_at_the_next_start() {
    // The leases are as by default: longer than this test waits.
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    house.kill();
    let (event, db) = (tell(&house).await, house.database().database());
    let claim =
        "UPDATE platform_outbox SET attempts = 1, lease_until = 9999999999999999 WHERE status = 'pending'";
    db.write().await.unwrap().batch(claim).await.unwrap();
    house.start();
    eventually("the event to reach its subscribers", async || {
        lines(&house, event, &["--pending"]).iter().any(|line| line[2] != "-").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_can_be_looked_at_while_it_runs() {
    let key = platform::settings::MasterKey::generate().unwrap().to_base64();
    let settings =
        [("DOORWARD__SECRETS__MASTER_KEY", key.as_str()), ("DOORWARD__AUTH__LINKS__SETUP_HOURS", "3")];
    for shape in [Shape::Embedded, Shape::Postgres] {
        let Some(house) = House::open(shape, &settings).await else { continue };
        let (done, text) = house.finish(&["config", "show"]);
        assert!(done, "{text}");
        assert!(
            text.contains("setup_hours = 3 # environment variable DOORWARD__AUTH__LINKS__SETUP_HOURS"),
            "{text}"
        );
        assert!(!text.contains(key.as_str()), "{text}");
        let password = house.database().url().split(['@', ':']).nth(2).unwrap_or("///").to_owned();
        assert!(shape == Shape::Embedded || !text.contains(&password), "the database's password is shown");
        let file = house.data().join("shown.toml");
        std::fs::write(&file, &text).unwrap();
        let (done, again) = house.finish(&["--config", file.to_str().unwrap(), "config", "show"]);
        assert!(done && again.contains("setup_hours = 3"), "{again}");
        assert!(house.finish(&["--config", file.to_str().unwrap(), "config", "check"]).0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_tells_whether_the_process_takes_requests() {
    // The stop lasts long enough to be seen.
    let mut house = House::open(Shape::Embedded, &[("DOORWARD__SERVER__DRAIN_SECONDS", "60")]).await.unwrap();
    let (done, told) = house.finish(&["health"]);
    assert!(!done && told.contains("server.management.address"), "nobody knows port 0: {told}");

    let management = house.management.trim_start_matches("http://").to_owned();
    house.set("DOORWARD__SERVER__MANAGEMENT__ADDRESS", &management);
    assert_eq!(house.finish(&["health"]), (true, "It takes requests.\n".to_owned()));
    let asked_to_stop = std::process::Command::new("kill").args(["-TERM", &house.pid().to_string()]).status();
    assert!(asked_to_stop.unwrap().success());
    let told = eventually("readiness to be taken back", async || {
        let (done, told) = house.finish(&["health"]);
        (!done).then_some(told)
    })
    .await;
    assert!(told.contains("503"), "{told}");
    house.kill();
    let (done, told) = house.finish(&["health"]);
    assert!(!done && told.contains(&format!("Nobody answers on {management}")), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_reads_the_files_that_settings_name_and_asks_nobody() {
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let (good, told) = house.finish(&["config", "check"]);
    assert!(good && told.contains("is seen at the start"), "{told}");
    let text = house.data().join("no.pem");
    std::fs::write(&text, "no certificate").unwrap();
    let text = text.to_str().unwrap().to_owned();
    let postgres = format!("postgres://u:p@db.internal/d?sslmode=verify-full&sslrootcert={text}");
    for (settings, hint) in [
        (
            vec![
                ("SERVER__MANAGEMENT__TLS__CERTIFICATE_FILE", "/no.pem"),
                ("SERVER__MANAGEMENT__TLS__KEY_FILE", "/no.pem"),
            ],
            "server.management.tls.certificate_file",
        ),
        (vec![("REDIS__URL", "rediss://cache.internal"), ("REDIS__CA_FILE", &text)], "redis.ca_file"),
        (
            vec![("RABBITMQ__URL", "amqps://u:p@broker.internal"), ("RABBITMQ__CA_FILE", &text)],
            "rabbitmq.ca_file",
        ),
        (vec![("SMTP__URL", "smtps://mail.internal"), ("SMTP__CA_FILE", &text)], "smtp.ca_file"),
        (vec![("DATABASE__URL", &postgres)], "sslrootcert"),
        (vec![("LOG__FILTER", "info,platform=loud")], "log.filter"),
    ] {
        for (name, value) in &settings {
            house.set(&format!("DOORWARD__{name}"), value);
        }
        let (good, told) = house.finish(&["config", "check"]);
        assert!(!good && told.contains(hint), "{hint}: {told}");
        for (name, _) in &settings {
            house.unset(&format!("DOORWARD__{name}"));
        }
    }
    house.close();
}
