//! Forgetting: people who were purged, and what is old; and what a person's own copy holds.

use std::time::Duration;

use actix_web::http::Method;
use contracts::auth::{AccountEmailChanged, AccountPurged};
use contracts::notifications::Notifications;
use contracts::{Caller, EmailAddress, ExportPerson};
use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use platform::db::{Database, DbConn};
use serde_json::{Value, json};
use testkit::both_engines;

use crate::world::{World, announce, deliver_all};

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

const TABLES: [&str; 8] = [
    "messages",
    "deliveries",
    "attempts",
    "mailbox",
    "inbox",
    "inbox_counters",
    "preferences",
    "suppressions",
];

/// How many rows each table has.
async fn rows(c: &mut DbConn) -> Vec<i64> {
    let mut all = Vec::new();
    for table in TABLES {
        let sql = format!("SELECT count(*) AS count FROM notifications_{table}");
        let found: Counted = diesel::sql_query(sql).get_result(c).await.unwrap();
        all.push(found.count);
    }
    all
}

both_engines! {
    async fn a_person_who_is_purged_leaves_nothing_behind(db: Database) {
        let world = World::new(db.clone());
        let service = world.service();
        let mia = world.auth.add_account("mia@example.org").id;
        let eve = world.auth.add_account("eve@example.org").id;
        world.send(&service, &json!({ "to": { "user_id": eve } })).await;
        announce(&service, "eve@example.org", "For Eve").await;
        deliver_all(&service).await;
        let others = rows(&mut db.read().await.unwrap()).await;

        world.send(&service, &json!({ "to": { "user_id": mia } })).await;
        announce(&service, "mia@example.org", "To the address").await;
        let previous = EmailAddress::parse("old-mia@example.org").unwrap();
        world.hear(&service, &AccountEmailChanged { user: mia, previous }).await;
        deliver_all(&service).await;
        world.send(&service, &json!({ "to": { "user_id": mia } })).await;
        let off = json!({ "general": { "sms": false } });
        world.ask_as(&service, mia, Method::PUT, "/api/v1/notification-preferences", Some(off)).await;
        assert!(rows(&mut db.read().await.unwrap()).await > others);

        let gone = AccountPurged { user: mia, address_key: world.master_key.address_key("mia@example.org") };
        world.hear(&service, &gone).await;
        assert_eq!(rows(&mut db.read().await.unwrap()).await, others, "{TABLES:?}");
        world.hear(&service, &gone).await;
        deliver_all(&service).await;
        assert_eq!(rows(&mut db.read().await.unwrap()).await, others);
    }

    async fn what_is_old_is_forgotten_and_what_is_not_over_is_kept(db: Database) {
        let mut world = World::new(db.clone());
        world.settings.retention_days = 10;
        world.settings.mailbox_days = 5;
        world.settings.inbox_days = 20;
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        world.send(&service, &json!({ "to": { "user_id": user } })).await;
        deliver_all(&service).await;
        let day = Duration::from_secs(24 * 3_600);
        world.clock.advance(day * 4);
        assert_eq!(service.sweep().await.unwrap(), 0);
        world.clock.advance(day * 2);
        service.sweep().await.unwrap();
        assert_eq!(rows(&mut db.read().await.unwrap()).await, [1, 2, 2, 0, 1, 1, 0, 0]);
        let waiting = announce(&service, "eve@example.org", "Not sent yet").await.to_string();
        world.clock.advance(day * 6);
        service.sweep().await.unwrap();
        assert_eq!(rows(&mut db.read().await.unwrap()).await, [1, 1, 0, 0, 1, 1, 0, 0]);
        world.clock.advance(day * 20);
        service.sweep().await.unwrap();
        assert_eq!(rows(&mut db.read().await.unwrap()).await, [1, 1, 0, 0, 0, 1, 0, 0], "numbers go on from where they were");
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &waiting).await, ("obsolete".to_owned(), "expired".to_owned()));
    }

    async fn a_copy_holds_what_is_known_about_the_person_and_no_one_else(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let mia = world.auth.add_account("mia@example.org").id;
        let eve = world.auth.add_account("eve@example.org").id;
        for user in [mia, eve] {
            world.send(&service, &json!({ "to": { "user_id": user }, "data": { "subject": "s", "text": format!("for {user}") } })).await;
        }
        let request = world.auth.open_request();
        world.hear(&service, &contracts::auth::PasswordResetRequested { user: mia, request }).await;
        deliver_all(&service).await;
        let copy = service.export_person(&Caller::module("app"), ExportPerson { user: mia }).await.unwrap();
        let text = serde_json::to_string(&copy).unwrap();
        assert!(text.contains(&format!("for {mia}")) && !text.contains(&eve.to_string()), "{text}");
        assert!(!text.contains(&request.to_string()) && !text.contains("token="), "{text}");
        let told = copy.sections["notifications"].as_array().unwrap();
        let channels = |message: &Value| message["channels"].as_array().unwrap().len();
        assert_eq!(told.iter().map(channels).collect::<Vec<_>>(), [2, 1], "each with its own channels");
        assert_eq!(copy.sections["inbox"][0]["text"], format!("for {mia}"));
        assert_eq!(copy.sections["notification_preferences"]["security"]["email"], true);
    }
}
