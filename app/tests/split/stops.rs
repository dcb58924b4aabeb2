//! A service that is asked to stop ends what other services have asked it first.

use std::process::Command;
use std::time::Duration;

use contracts::Module;
use serde_json::json;

use crate::fleet::Fleet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_service_has_asked_is_answered_before_a_stop() {
    let patience = || {
        [
            "DOORWARD__PEERS__DEADLINE_MS",
            "DOORWARD__DATABASE__LOCK_TIMEOUT_MS",
            "DOORWARD__DATABASE__ACQUIRE_TIMEOUT_MS",
        ]
        .map(|name| (name.to_owned(), "15000".to_owned()))
        .into()
    };
    let Some(fleet) = Fleet::open_with("http", |_| patience()).await else { return };
    let root = fleet.administrator().await;
    let auth = &fleet.services[&Module::Auth];
    let db = auth.database().database();
    let mut writer = db.write().await.unwrap();
    writer.batch("BEGIN IMMEDIATE").await.unwrap();
    let client = fleet.client(Module::Users, Some(&root));
    let made = tokio::spawn(async move {
        client.post("/api/v1/users", &json!({ "email": "mia@example.org", "display_name": "Mia" })).await
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(Command::new("kill").args(["-TERM", &auth.pid().to_string()]).status().unwrap().success());
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!made.is_finished(), "it was given up: {:?}", made.await.unwrap());
    writer.batch("ROLLBACK").await.unwrap();
    drop(writer);
    let made = made.await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    fleet.close().await;
}
