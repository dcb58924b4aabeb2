//! The contract: what other modules may rely on.

use std::sync::Arc;

use actix_web::http::Method;
use contracts::notifications::{
    Notifications, Recipient, RemoteNotifications, SendNotification, notifications_routes,
};
use contracts::{Caller, Kind, UserId};
use platform::db::Database;
use serde_json::{Map, json};
use testkit::{both_engines, conforms, far};

use crate::world::{World, data};

fn ask(template: &str, data: &Map<String, serde_json::Value>) -> SendNotification {
    SendNotification {
        to: Recipient::User(UserId::new()),
        template: template.to_owned(),
        data: data.clone(),
        channels: None,
        category: "security".to_owned(),
        deduplication_key: None,
    }
}

both_engines! {
    async fn it_conforms_near_and_far(db: Database) {
        let world = World::new(db);
        let service: Arc<dyn Notifications> = world.service();
        conforms::notifications(&*service, &data("News")).await;
        let peer = far::serve(contracts::Module::Notifications, move || notifications_routes(Arc::clone(&service))).await;
        conforms::notifications(&RemoteNotifications(peer), &data("News")).await;
    }

    async fn modules_may_send_what_people_may_not(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let sent = service.send(&Caller::module("auth"), ask("session_ended", &Map::new())).await;
        assert!(sent.is_ok(), "{sent:?}");
    }

    async fn every_broken_rule_is_told(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let wrong = json!({ "subject": 1, "more": "x" });
        let mut ask = ask("announcement", wrong.as_object().unwrap());
        ask.category = "No Category".to_owned();
        ask.deduplication_key = Some(String::new());
        let error = service.send(&Caller::module("auth"), ask).await.unwrap_err();
        let pointers: Vec<_> = error.fields.iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(error.kind, Kind::Invalid);
        assert_eq!(pointers, ["/data/more", "/data/subject", "/data/text", "/category", "/deduplication_key"]);
    }

    async fn asks_at_the_same_time_with_one_key_make_one_message(db: Database) {
        let world = World::new(db);
        let services = [world.service(), world.service()];
        let asks = (0..20).map(|number| {
            let service = Arc::clone(&services[number % 2]);
            let ask = SendNotification { deduplication_key: Some("one".to_owned()), ..ask("announcement", &data("News")) };
            async move { service.send(&Caller::module("auth"), ask).await.unwrap().notification }
        });
        let ids = futures_util::future::join_all(asks).await;
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let answer = world.ask(&services[0], Method::GET, "/api/v1/notifications", None).await;
        assert_eq!(answer.body["items"].as_array().unwrap().len(), 1);
    }
}
