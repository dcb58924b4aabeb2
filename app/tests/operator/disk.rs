//! A disk that is full, and one that can't be written: on a file system of its own, where root may make one.

use std::path::{Path, PathBuf};
use std::process::Command;

use platform::db::Database;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::databases::Engine;

use crate::TABLES;
use crate::client::{Answer, Ask, Person};
use crate::house::{House, Shape, eventually};

/// A small file system, gone when it is dropped.
struct Disk(TempDir);

impl Disk {
    fn mount(size: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let options = format!("size={size}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).output();
        let mounted = mounted.is_ok_and(|done| done.status.success());
        if !mounted {
            eprintln!("skipped: no file system can be mounted here");
        }
        mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all that is left.
    fn fill(&self) -> PathBuf {
        let file = self.path().join("filler");
        let filled = Command::new("dd")
            .args(["if=/dev/zero", "bs=4096"])
            .arg(format!("of={}", file.display()))
            .output();
        assert!(!filled.unwrap().status.success(), "the disk is larger than thought");
        file
    }

    fn make_read_only(&self) {
        let done = Command::new("mount").args(["-o", "remount,ro"]).arg(self.path()).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

pub(crate) async fn write(mia: &Person, number: usize) -> Answer {
    let body = json!({ "number": number, "text": "x".repeat(12_000) });
    let path = format!("/api/v1/users/me/preferences/space{}", number % 90);
    mia.client.send(&Ask::new(Method::PUT, &path).body(&body)).await
}

/// A refusal that says when to come back, and nothing of what is behind it.
pub(crate) fn is_clean(answer: &Answer) {
    assert_eq!((answer.status, answer.code()), (503, "platform.database_unavailable"), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_ne!(answer.header("retry-after"), "");
    let text = answer.body.to_string().to_lowercase();
    for word in ["sqlite", "disk", "full", "tmp", ".db", "sql", "read-only", "i/o"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

pub(crate) async fn readable(house: &House, mia: &Person) {
    for path in ["/api/v1/users/me", "/api/v1/users/me/preferences", "/api/v1/auth/sessions"] {
        assert_eq!(mia.client.get(path).await.status, 200, "{path}");
    }
    assert_eq!(house.client().get("/readyz").await.status, 200);
    assert_eq!(house.client().get("/.well-known/jwks.json").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_writes_are_refused_and_reads_go_on_until_there_is_room() {
    let Some(disk) = Disk::mount("24m") else { return };
    let url = format!("sqlite:{}", disk.path().join("doorward.db").display());
    let mut house = House::open(Shape::Embedded, &[("DOORWARD__DATABASE__URL", url.as_str())]).await.unwrap();
    let mia = house.person("mia").await;
    let filler = disk.fill();
    let mut taken = Vec::new();
    let refused = loop {
        let number = taken.len();
        let answer = write(&mia, number).await;
        if answer.status >= 300 {
            break answer;
        }
        taken.push(number);
        assert!(taken.len() < 5_000, "the disk never fills");
    };
    is_clean(&refused);
    readable(&house, &mia).await;
    // A login writes a session: it can't succeed without one.
    let login = json!({ "email": mia.email, "password": mia.password });
    let mut logins = Vec::new();
    while logins.len() < 500 {
        logins.push(house.client().post("/api/v1/auth/logins", &login).await);
        if logins.last().unwrap().status != 200 {
            break;
        }
    }
    is_clean(logins.last().unwrap());
    let gone = json!({ "email": mia.email, "password": "not the password" });
    assert!([401, 503].contains(&house.client().post("/api/v1/auth/logins", &gone).await.status));

    std::fs::remove_file(filler).unwrap();
    eventually("writes to be taken again", async || {
        (write(&mia, taken.len()).await.status < 300).then_some(())
    })
    .await;
    assert_eq!(house.client().post("/api/v1/auth/logins", &login).await.status, 200);
    for number in taken.iter().rev().take(80) {
        let path = format!("/api/v1/users/me/preferences/space{}", number % 90);
        let kept = mia.client.get(&path).await;
        assert!(
            kept.body["number"].as_u64() >= Some(*number as u64),
            "{number} was acknowledged and is gone"
        );
    }
    assert!(house.stop().success());
    let settings = platform::db::Settings { url: url.as_str().into(), ..platform::db::Settings::default() };
    Database::inspect(&settings, &TABLES).await.unwrap();
    house.start();
    assert_eq!(mia_again(&house, &mia).await.status, 200);
    house.kill();
}

async fn mia_again(house: &House, mia: &Person) -> Answer {
    let mut client = house.client();
    client.access_token = mia.client.access_token.clone();
    client.get("/api/v1/users/me").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_disk_that_cannot_be_written_it_does_not_start_and_says_why() {
    let Some(disk) = Disk::mount("24m") else { return };
    let url = format!("sqlite:{}", disk.path().join("doorward.db").display());
    let mut house = House::open(Shape::Embedded, &[("DOORWARD__DATABASE__URL", url.as_str())]).await.unwrap();
    assert!(house.stop().success());
    disk.make_read_only();
    let (done, told) = house.finish(&["serve"]);
    assert!(!done && told.starts_with("Doorward did not start."), "{told}");
    assert!(told.contains("can't be"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_no_writes_answers_503_and_goes_on_when_it_does() {
    for shape in [Shape::Embedded, Shape::Postgres] {
        let Some(mut house) = House::open(shape, &[]).await else { continue };
        let mia = house.person("mia").await;
        let db = house.database().database();
        // What refuses is not the disk here, so that it works everywhere: a trigger in its words.
        let (refuse, allow) = match house.database().engine() {
            Engine::Sqlite => (
                "CREATE TRIGGER users_full BEFORE UPDATE ON users_profiles BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
                "DROP TRIGGER users_full",
            ),
            Engine::Postgres => (
                "CREATE FUNCTION users_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'could not extend file \"base/1\": No space left on device' USING ERRCODE = 'disk_full'; END $$; \
                 CREATE TRIGGER users_full BEFORE UPDATE ON users_profiles EXECUTE FUNCTION users_full()",
                "DROP TRIGGER users_full ON users_profiles",
            ),
        };
        let tag = mia.client.get("/api/v1/users/me").await.header("etag").to_owned();
        let rename = Ask::new(Method::PATCH, "/api/v1/users/me")
            .body(&json!({ "display_name": "Mia M." }))
            .header("if-match", &tag);
        db.write().await.unwrap().batch(refuse).await.unwrap();
        let answer = mia.client.send(&rename).await;
        assert_eq!(
            (answer.status, answer.code()),
            (503, "platform.database_unavailable"),
            "{shape:?}: {answer:?}"
        );
        assert_eq!(mia.client.get("/api/v1/users/me").await.body["display_name"], Value::from("mia"));
        db.write().await.unwrap().batch(allow).await.unwrap();
        assert_eq!(mia.client.send(&rename).await.status, 200);
        house.close();
    }
}
