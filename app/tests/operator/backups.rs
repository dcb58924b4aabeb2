//! Backups: made while people write, put back elsewhere, and refused when they are not whole.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use platform::db::{Database, DatabaseUrl, Settings};
use reqwest::Method;
use serde_json::json;

use crate::TABLES;
use crate::client::{Ask, Client, Person};
use crate::house::{House, Shape};

async fn write_without_end(client: Client, acknowledged: Arc<AtomicUsize>, stop: Arc<AtomicBool>) {
    for number in 1.. {
        let ask =
            Ask::new(Method::PUT, "/api/v1/users/me/preferences/counter").body(&json!({ "number": number }));
        assert!(client.send(&ask).await.status < 300, "the writer is not disturbed");
        acknowledged.store(number, Ordering::SeqCst);
        if stop.load(Ordering::SeqCst) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_is_whole_and_works_elsewhere() {
    let key = platform::settings::MasterKey::generate().unwrap().to_base64();
    let settings = [("DOORWARD__SECRETS__MASTER_KEY", key.as_str())];
    let mut house = House::open(Shape::Embedded, &settings).await.unwrap();
    let mia = house.person("mia").await;
    let (acknowledged, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = tokio::spawn(write_without_end(mia.client.clone(), acknowledged.clone(), stop.clone()));
    crate::house::eventually("some writes", async || {
        (acknowledged.load(Ordering::SeqCst) > 20).then_some(())
    })
    .await;

    let file = house.data().join("a backup.db");
    let path = file.to_str().unwrap().to_owned();
    let before = acknowledged.load(Ordering::SeqCst);
    let (done, told) = house.finish(&["backup", &path]);
    assert!(done && told.contains("The master key is not in it"), "{told}");
    let after = acknowledged.load(Ordering::SeqCst) + 1;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (done, told) = house.finish(&["backup", &path]);
    assert!(!done && told.contains("is not overwritten"), "{told}");
    let (done, told) = house.finish(&["restore", &path]);
    assert!(!done && told.contains("Another Doorward runs"), "{told}");
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains(key.as_str()));
    let drafts =
        std::fs::read_dir(house.data()).unwrap().filter_map(|it| it.unwrap().file_name().into_string().ok());
    assert_eq!(drafts.filter(|name| name.contains("draft")).count(), 0);

    let mut elsewhere = House::open(Shape::Embedded, &settings).await.unwrap();
    let root = elsewhere.administrator().await;
    assert!(elsewhere.stop().success());
    let (done, told) = elsewhere.finish(&["restore", &path]);
    assert!(done && told.contains("is kept in"), "{told}");
    elsewhere.start();
    assert_eq!(
        Client::new(&elsewhere.public)
            .post("/api/v1/auth/logins", &json!({ "email": root.email, "password": root.password }))
            .await
            .status,
        401
    );
    let mia = Person::log_in(&elsewhere.public, &mia.email, &mia.password).await;
    let kept = mia.client.get("/api/v1/users/me/preferences/counter").await.body["number"].as_u64().unwrap();
    assert!((before as u64..=after as u64).contains(&kept), "{kept} is not from {before} to {after}");
    assert!(elsewhere.stop().success());

    let database = elsewhere.database();
    Database::inspect(database.settings(), &TABLES).await.unwrap();
    let folder = std::path::Path::new(database.url().trim_start_matches("sqlite:")).parent().unwrap();
    let replaced = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut replaced = replaced.filter(|path| path.to_str().unwrap().contains(".replaced-"));
    let url = DatabaseUrl::from(format!("sqlite:{}", replaced.next().unwrap().display()));
    assert!(replaced.next().is_none());
    Database::inspect(&Settings { url, ..database.settings().clone() }, &TABLES).await.unwrap();
}

/// A house with a backup, made while a session lived, a refresh token was good and a link was on its way; all three were
/// used up or ended after it.
struct Ended {
    house: House,
    backup: String,
    mia: Person,
    refresh: String,
    link: String,
}

async fn ended_after_a_backup() -> Ended {
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let mia = house.person("mia").await;
    let login = json!({ "email": mia.email, "password": mia.password });
    let stolen = house.client().post("/api/v1/auth/logins", &login).await;
    let refresh = stolen.body["refresh_token"].as_str().unwrap().to_owned();
    let before = house.mailbox(&mia.email).await.len();
    let asked = house.client().post("/api/v1/auth/password-resets", &json!({ "email": mia.email })).await;
    assert_eq!(asked.status, 202);
    let link = house.mailed_token(&mia.email, before + 1).await;
    let backup = house.data().join("a backup.db").to_str().unwrap().to_owned();
    let (done, told) = house.finish(&["backup", &backup]);
    assert!(done, "{told}");
    let exchanged = house.client().post("/api/v1/auth/tokens", &json!({ "refresh_token": refresh })).await;
    assert_eq!(exchanged.status, 200);
    let ended = mia.client.send(&Ask::new(Method::DELETE, "/api/v1/auth/sessions/current")).await;
    assert!(ended.status < 300, "{ended:?}");
    assert!(house.stop().success());
    Ended { house, backup, mia, refresh, link }
}

impl Ended {
    /// Restores and starts; whether session, refresh token and link are good again.
    async fn restore(&mut self, arguments: &[&str]) -> (String, [u16; 3]) {
        let (done, told) = self.house.finish(&[&["restore", self.backup.as_str()], arguments].concat());
        assert!(done, "{told}");
        self.house.start();
        let mut client = self.house.client();
        client.access_token = self.mia.client.access_token.clone();
        let session = client.get("/api/v1/users/me").await.status;
        let refreshed = json!({ "refresh_token": self.refresh });
        let refreshed = client.post("/api/v1/auth/tokens", &refreshed).await.status;
        let reset = json!({ "token": self.link, "new_password": "drei Hunde im Garten 84" });
        let reset = client.post("/api/v1/auth/password-resets/confirm", &reset).await.status;
        (told, [session, refreshed, reset])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_after_a_backup_does_not_come_back_with_it() {
    let mut ended = ended_after_a_backup().await;
    let (told, alive) = ended.restore(&[]).await;
    assert!(told.contains("Everybody has to log in again"), "{told}");
    assert_eq!(alive, [401, 401, 410]);
    let mia = Person::log_in(&ended.house.public, &ended.mia.email, &ended.mia.password).await;
    assert_eq!(mia.client.get("/api/v1/users/me").await.status, 200);
    assert!(ended.house.stop().success());
    Database::inspect(ended.house.database().settings(), &TABLES).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_move_keeps_sessions() {
    let mut ended = ended_after_a_backup().await;
    let (told, alive) = ended.restore(&["--keep-sessions"]).await;
    assert!(told.contains("are alive again"), "{told}");
    assert_eq!(alive, [200, 200, 204]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_a_whole_backup_replaces_nothing() {
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let mia = house.person("mia").await;
    assert!(house.stop().success());
    let file = house.data().join("backup");
    let (done, told) = house.finish(&["backup", file.to_str().unwrap()]);
    assert!(done, "{told}");
    let good = std::fs::read(&file).unwrap();
    let flipped = {
        let mut bytes = good.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let mark = good.windows(16).rposition(|window| window == b"\ndoorward-backup").unwrap();
    let foreign = {
        let text = String::from_utf8_lossy(&good[mark..]).into_owned();
        [&good[..mark], text.replace("\"format\":1", "\"format\":2").as_bytes()].concat()
    };
    let wrong = house.data().join("wrong");
    for (what, bytes) in [
        ("empty", &b""[..]),
        ("text", b"this is no backup"),
        ("one bit", &flipped),
        ("cut", &good[..good.len() / 2]),
        ("without its end", &good[..mark]),
        ("longer", &[&good[..], b"x"].concat()),
        ("shifted", &good[1..]),
        ("of another kind", &foreign),
    ] {
        std::fs::write(&wrong, bytes).unwrap();
        let (done, told) = house.finish(&["restore", wrong.to_str().unwrap()]);
        assert!(!done && (told.contains("not a backup") || told.contains("damaged")), "{what}: {told}");
    }
    assert!(!house.finish(&["restore", "nowhere"]).0);
    house.start();
    Person::log_in(&house.public, &mia.email, &mia.password).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_is_left_to_its_own_tools() {
    let Some(house) = House::open(Shape::Postgres, &[]).await else { return };
    let file = house.data().join("backup");
    for command in ["backup", "restore"] {
        let (done, told) = house.finish(&[command, file.to_str().unwrap()]);
        assert!(!done && told.contains("pg_"), "{told}");
    }
    assert!(!file.exists());
}
