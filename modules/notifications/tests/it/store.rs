//! What must hold in the database: message, event and audit entry commit together, and nothing secret is kept.

use actix_web::http::{Method, StatusCode};
use contracts::auth::VerificationRequested;
use contracts::notifications::{MessageFailed, MessageQueued, MessageSent};
use contracts::{Caller, Event, Fact, Time};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use notifications::{Failure, Reason, subscribers};
use platform::audit;
use platform::db::{Database, DbConn};
use serde_json::json;
use testkit::both_engines;

use crate::world::{Hand, World, announce, deliver_all};

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct Kept {
    #[diesel(sql_type = Text)]
    row: String,
}

/// How many rows a table has, or so many of them as a condition after its name says.
pub(crate) async fn count(c: &mut DbConn, table: &str) -> i64 {
    let found: Counted =
        diesel::sql_query(format!("SELECT count(*) AS count FROM {table}")).get_result(c).await.unwrap();
    found.count
}

/// How often a fact was told.
pub(crate) async fn told(c: &mut DbConn, fact: &str) -> i64 {
    count(c, &format!("platform_outbox WHERE event_type = '{fact}'")).await
}

both_engines! {
    async fn each_change_of_a_message_is_told_once(db: Database) {
        let world = World::new(db.clone());
        let service = world.service_with(Hand::new(|letter| match letter.subject.as_str() {
            "bad" => Err(Failure::permanent(Reason::ProviderRefused, "refused")),
            _ => Ok(()),
        }));
        announce(&service, "a@example.org", "good").await;
        announce(&service, "b@example.org", "bad").await;
        deliver_all(&service).await;
        let c = &mut *db.read().await.unwrap();
        assert_eq!(told(c, MessageQueued::TYPE).await, 2);
        assert_eq!(told(c, MessageSent::TYPE).await, 1);
        assert_eq!(told(c, MessageFailed::TYPE).await, 1);
    }

    async fn sending_and_trying_again_by_a_person_are_audited_without_the_address(db: Database) {
        let world = World::new(db.clone());
        let service = world.service_with(Hand::new(|_| Err(Failure::permanent(Reason::ProviderRefused, "refused"))));
        let body = json!({
            "to": { "email": "hidden@example.org" }, "template": "announcement",
            "data": { "subject": "s", "text": "t" },
        });
        let answer = world.ask(&service, Method::POST, "/api/v1/notifications", Some(body)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        deliver_all(&service).await;
        let retry = format!("/api/v1/notifications/{}/retry", answer.body["id"].as_str().unwrap());
        assert_eq!(world.ask(&service, Method::POST, &retry, None).await.status, StatusCode::ACCEPTED);
        let c = &mut *db.read().await.unwrap();
        let records = audit::list(c, &audit::Filter::default(), None, 10).await.unwrap();
        let actions: Vec<_> = records.iter().map(|record| record.action.as_str()).collect();
        assert_eq!(actions.len(), 2);
        for action in ["notifications.message.requested", "notifications.message.retried"] {
            assert!(actions.contains(&action), "{actions:?}");
        }
        assert!(!format!("{records:?}").contains("hidden"), "{records:?}");
    }

    async fn what_is_refused_leaves_nothing_behind(db: Database) {
        let world = World::new(db.clone());
        let service = world.service();
        let body = json!({ "to": { "email": "a@example.org" }, "template": "none", "data": {} });
        let answer = world.ask(&service, Method::POST, "/api/v1/notifications", Some(body)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let c = &mut *db.read().await.unwrap();
        for table in ["notifications_messages", "notifications_deliveries", "platform_outbox", "platform_audit_events"] {
            assert_eq!(count(c, table).await, 0, "{table}");
        }
    }

    async fn neither_address_nor_link_is_kept_outside_of_development(db: Database) {
        let mut world = World::new(db.clone());
        world.mailbox = false;
        let service = world.service_with(Hand::new(|_| Ok(())));
        let account = world.auth.add_account("hidden@example.org");
        let request = world.auth.open_request();
        let fact = VerificationRequested { user: account.id, request, locale: None };
        let event = Event::of(&fact, &Caller::module("auth"), Time::from_seconds(1_767_225_600)).unwrap();
        subscribers(&service)[0].hear(&event).await.unwrap();
        deliver_all(&service).await;
        let c = &mut *db.read().await.unwrap();
        for (table, column) in [
            ("notifications_messages", "data"),
            ("notifications_deliveries", "coalesce(last_error, '') || rfc_message_id"),
            ("notifications_attempts", "coalesce(detail, '')"),
        ] {
            let query = format!("SELECT CAST({column} AS TEXT) AS row FROM {table}");
            let rows: Vec<Kept> = diesel::sql_query(query).load(c).await.unwrap();
            assert!(!rows.is_empty(), "{table}");
            assert!(rows.iter().all(|kept| !kept.row.contains("hidden") && !kept.row.contains("token")), "{table}");
        }
        assert_eq!(count(c, "notifications_mailbox").await, 0);
    }
}
