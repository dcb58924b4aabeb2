//! What waits to be sent: what is urgent goes first and finds a place, and nothing that can't be read holds up the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use async_trait::async_trait;
use contracts::auth::PasswordResetRequested;
use notifications::{Channel, Failure, Letter, Outlets};
use platform::db::{Database, Db};
use serde_json::json;
use testkit::both_engines;
use tokio::sync::Semaphore;

use crate::store;
use crate::world::{Hand, World, announce, deliver_all, while_working};

/// Writes what no version of ours writes now.
async fn write(db: &Database, sql: &str) {
    db.write().await.unwrap().batch(sql).await.unwrap();
}

/// Writes a word that only a newer version knows, whose tables allow it.
async fn write_newer(db: &Database, table: &str, column: &str, change: &str) {
    let (before, after) = match db.dialect() {
        Db::Postgres => (format!("ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_check;"), ""),
        Db::Sqlite => {
            ("PRAGMA ignore_check_constraints = 1;".to_owned(), "PRAGMA ignore_check_constraints = 0;")
        }
    };
    write(db, &format!("{before} UPDATE {table} SET {column} = {change}; {after}")).await;
}

async fn count(db: &Database, rows: &str) -> i64 {
    store::count(&mut db.read().await.unwrap(), rows).await
}

/// Lets nothing but password resets through; it tells how many others came.
struct Stubborn {
    resets: Hand,
    others: Arc<AtomicUsize>,
    open: Semaphore,
}

#[async_trait]
impl Channel for Stubborn {
    async fn send(&self, letter: &Letter) -> Result<Option<String>, Failure> {
        if letter.subject.contains("password") {
            return self.resets.send(letter).await;
        }
        self.others.fetch_add(1, Ordering::SeqCst);
        self.open.acquire().await.unwrap().forget();
        Ok(None)
    }
}

both_engines! {
    async fn a_message_whose_address_can_not_be_read_any_more_is_given_up_alone(db: Database) {
        let world = World::new(db.clone());
        let hand = Hand::new(|_| Ok(()));
        let service = world.service_with(hand.clone());
        let bad = announce(&service, "bad@example.org", "News").await.to_string();
        write(&db, "UPDATE notifications_messages SET to_address = 'no address' WHERE to_address = 'bad@example.org'").await;
        for number in 0..10 {
            announce(&service, &format!("p{number}@example.org"), "News").await;
        }
        deliver_all(&service).await;
        assert_eq!(hand.taken().len(), 10);
        let delivery = world.delivery(&service, &bad).await;
        assert_eq!((&delivery["state"], &delivery["reason"]), (&json!("parked"), &json!("unrenderable")));
        assert_eq!(delivery["last_error"], "The address that is kept for it can't be read any more.");
        let listed = world.ask(&service, Method::GET, "/api/v1/notifications?state=failed", None).await;
        assert_eq!((listed.status, &listed.body["items"][0]["to"]), (StatusCode::OK, &json!({})), "{}", listed.text);
    }

    async fn words_that_only_a_newer_version_knows_hold_up_nothing(db: Database) {
        let world = World::new(db.clone());
        let hand = Hand::new(|_| Ok(()));
        let service = world.service_with(hand.clone());
        let id = announce(&service, "mia@example.org", "News").await;
        write_newer(&db, "notifications_messages", "state", "'hovering'").await;
        write(&db, "UPDATE notifications_deliveries SET reason = 'full_moon'").await;
        deliver_all(&service).await;
        assert_eq!((world.tries(&service, id).await.0.as_str(), hand.taken().len()), ("sent", 1));
    }

    async fn what_only_a_newer_version_can_send_is_left_to_it(db: Database) {
        let world = World::new(db.clone());
        let hand = Hand::new(|_| Ok(()));
        let service = world.service_with(hand.clone());
        let mut both = String::new();
        for number in 0..10 {
            let user = world.auth.add_account(&format!("u{number}@example.org")).id;
            both = world.send(&service, &json!({ "to": { "user_id": user } })).await;
        }
        write_newer(&db, "notifications_deliveries", "channel", "'pigeon' WHERE channel = 'inbox'").await;
        for number in 0..10 {
            announce(&service, &format!("p{number}@example.org"), "News").await;
        }
        deliver_all(&service).await;
        assert_eq!(hand.taken().len(), 20, "also the mails of the same messages");
        assert_eq!(count(&db, "notifications_deliveries WHERE channel = 'pigeon' AND state = 'queued' AND attempts = 0").await, 10);
        let shown = world.ask(&service, Method::GET, &format!("/api/v1/notifications/{both}"), None).await;
        assert_eq!((shown.status, &shown.body["state"]), (StatusCode::OK, &json!("queued")), "{}", shown.text);
    }

    async fn a_link_goes_before_a_campaign(db: Database) {
        let mut world = World::new(db);
        world.settings.concurrency = 4;
        let hand = Hand::new(|_| Ok(()));
        let service = world.service_with(hand.clone());
        for number in 0..30 {
            announce(&service, &format!("p{number}@example.org"), "News").await;
        }
        let user = world.auth.add_account("mia@example.org").id;
        let secure = json!({ "to": { "email": "eve@example.org" }, "category": "security" });
        let announced = world.send(&service, &secure).await;
        world.hear(&service, &PasswordResetRequested { user, request: world.auth.open_request() }).await;
        assert_eq!(service.deliver_due().await.unwrap(), 4);
        let subjects: Vec<_> = hand.taken().into_iter().map(|letter| letter.subject).collect();
        assert!(subjects.iter().any(|subject| subject.contains("password")), "{subjects:?}");
        assert_eq!(world.fate(&service, &announced).await.0, "queued", "what others call security is not urgent");
    }

    async fn a_campaign_that_hangs_leaves_a_place_for_links(db: Database) {
        let mut world = World::new(db.clone());
        world.settings.concurrency = 8;
        world.settings.provider_timeout_ms = 60_000;
        let (resets, others) = (Hand::new(|_| Ok(())), Arc::new(AtomicUsize::new(0)));
        let stubborn = Arc::new(Stubborn { resets: resets.clone(), others: Arc::clone(&others), open: Semaphore::new(0) });
        let service = world.service_over(Outlets { email: vec![stubborn.clone()], sms: Vec::new() });
        for number in 0..20 {
            announce(&service, &format!("p{number}@example.org"), "News").await;
        }
        let user = world.auth.add_account("mia@example.org").id;
        while_working(&[Arc::clone(&service)], async {
            while others.load(Ordering::SeqCst) < 6 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            for sent in 1..=3 {
                world.hear(&service, &PasswordResetRequested { user, request: world.auth.open_request() }).await;
                while resets.taken().len() < sent {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            assert_eq!(others.load(Ordering::SeqCst), 6, "a quarter is kept");
            stubborn.open.add_permits(20);
            while count(&db, "notifications_messages WHERE state = 'sent'").await < 23 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}
