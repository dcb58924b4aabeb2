//! Power cuts: the process is killed in the middle of its work and started again on what is left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::json;

use crate::client::{Ask, Client, Person};
use crate::house::{House, eventually, in_every_shape, token_in};

/// Everything that was acknowledged, kept outside of Doorward.
#[derive(Default)]
struct Ledger {
    registered: Mutex<Vec<String>>,
    preferences: Mutex<Vec<(String, usize)>>,
    stop: AtomicBool,
}

async fn register_without_end(client: Client, ledger: Arc<Ledger>, round: usize) {
    for number in 0.. {
        if ledger.stop.load(Ordering::Relaxed) {
            return;
        }
        let email = format!("round{round}-{number}@example.org");
        let body = json!({ "email": email, "password": "the same for every one of them" });
        let ask = Ask::new(Method::POST, "/api/v1/auth/registrations").body(&body);
        match client.try_send(&ask).await {
            Ok(answer) if answer.status == 202 => ledger.registered.lock().unwrap().push(email),
            Ok(answer) => assert_eq!(answer.status, 503, "{:?}", answer.body),
            Err(_) => return,
        }
    }
}

async fn prefer_without_end(client: Client, ledger: Arc<Ledger>, namespace: String) {
    for number in 0.. {
        if ledger.stop.load(Ordering::Relaxed) {
            return;
        }
        let path = format!("/api/v1/users/me/preferences/{namespace}");
        let ask = Ask::new(Method::PUT, &path).body(&json!({ "number": number }));
        match client.try_send(&ask).await {
            Ok(answer) if answer.status < 300 => {
                ledger.preferences.lock().unwrap().push((namespace.clone(), number));
            }
            Ok(answer) => assert_eq!(answer.status, 503, "{:?}", answer.body),
            Err(_) => return,
        }
    }
}

/// What was claimed by a process that is gone is claimed again after its lease: here after seconds, not a minute. What needs
/// another service while that is away is tried again as soon.
const IMPATIENT: [(&str, &str); 9] = [
    ("DOORWARD__BUS__BACKOFF_MAX_MS", "1000"),
    ("DOORWARD__NOTIFICATIONS__RETRY_BASE_MS", "200"),
    ("DOORWARD__NOTIFICATIONS__RETRY_MAX_MS", "1000"),
    ("DOORWARD__OUTBOX__DEADLINE_MS", "500"),
    ("DOORWARD__OUTBOX__LEASE_MS", "1500"),
    ("DOORWARD__RABBITMQ__CONFIRM_TIMEOUT_MS", "400"),
    ("DOORWARD__BUS__DEADLINE_MS", "1000"),
    ("DOORWARD__BUS__LEASE_MS", "1500"),
    ("DOORWARD__NOTIFICATIONS__SEND_TIMEOUT_MS", "1000"),
];

in_every_shape! {
    async fn nothing_acknowledged_is_missing_after_kills(shape) {
        let Some(mut house) = House::open(shape, &IMPATIENT).await else { return };
        let mia = house.person("mia").await;
        let ledger = Arc::new(Ledger::default());
        for round in 0..3 {
            let mut mias = house.client();
            mias.access_token = mia.client.access_token.clone();
            let namespace = format!("round{round}");
            let work = [
                tokio::spawn(register_without_end(house.client(), ledger.clone(), round)),
                tokio::spawn(prefer_without_end(mias, ledger.clone(), namespace)),
            ];
            let before = ledger.registered.lock().unwrap().len();
            eventually("some registrations", async || {
                (ledger.registered.lock().unwrap().len() >= before + 5).then_some(())
            })
            .await;
            house.kill();
            for task in work {
                task.await.unwrap();
            }
            house.start();
        }

        let mut mias = house.client();
        mias.access_token = mia.client.access_token.clone();
        let kept = mias.get("/api/v1/users/me/preferences").await;
        assert_eq!(kept.status, 200, "the session outlived the kills: {:?}", kept.body);
        let acknowledged = ledger.preferences.lock().unwrap().clone();
        for (namespace, number) in &acknowledged {
            let found = mias.get(&format!("/api/v1/users/me/preferences/{namespace}")).await;
            assert!(found.body["number"].as_u64().unwrap() >= *number as u64, "{namespace} lost {number}");
        }
        let registered = ledger.registered.lock().unwrap().clone();
        assert!(registered.len() >= 15 && !acknowledged.is_empty());
        for email in &registered {
            let messages = house.messages(email, 1).await;
            assert_eq!(messages.len(), 1, "{email} was written to twice");
        }
        for email in registered.iter().step_by(7) {
            let link = house.messages(email, 1).await[0]["links"][0].as_str().unwrap().to_owned();
            let body = json!({ "token": token_in(&link) });
            assert_eq!(house.client().post("/api/v1/auth/verifications", &body).await.status, 204);
            Person::log_in(&house.public, email, "the same for every one of them").await;
        }
        house.close();
    }
}
