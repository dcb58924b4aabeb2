//! What is kept stays right when many write at once, and what is at hand is never older than what is kept.

use crate::world::{World, cold, warm};
use contracts::Caller;
use contracts::permissions::{Evaluate, Permissions as _, Subject};
use futures_util::future::join_all;
use permissions::Service;
use platform::db::Database;
use serde_json::{Map, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::both_engines;
use tokio_util::sync::CancellationToken;

both_engines! {
    async fn roles_made_at_once_are_all_there(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let person = world.person();
        let names: Vec<String> = (0..12).map(|at| format!("role-{at}")).collect();
        let make = async |name: &String| {
            let permission = format!("{name}:use");
            world.role(&admin, name, &[&permission], &[]).await;
            world.may(&person, "use", "nothing", None).await
        };
        join_all(names.iter().map(make)).await;
        for name in &names {
            world.assign(&person, name).await;
            assert!(world.may(&person, "use", name, None).await, "{name}");
        }
    }

    async fn answers_never_fall_behind_a_change(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        let person = world.person();
        for round in 0..20 {
            let given = round % 2 == 0;
            let change = async {
                if given {
                    world.assign(&person, "reader").await;
                } else {
                    let path = format!("/api/v1/role-assignments?subject={}", person.id);
                    let list = world.get(&path).by(&admin).send().await.expect(200);
                    let path = format!("/api/v1/role-assignments/{}", list.text_at("/items/0/id"));
                    world.delete(&path).by(&admin).send().await.expect(204);
                }
                world.may(&person, "read", "documents", None).await
            };
            let asking = join_all((0..6).map(|_| world.may(&person, "read", "documents", None)));
            let (after, _) = futures_util::join!(change, asking);
            assert_eq!(after, given, "round {round}");
        }
    }

    async fn what_another_process_changed_is_forgotten_when_it_is_heard_of(db: Database) {
        let here = World::with_cache(db.clone(), &warm());
        let there = World::with_cache(db, &cold());
        let admin = here.administrator().await;
        here.role(&admin, "reader", &["documents:read"], &[]).await;
        let person = here.person();
        here.deliver(permissions::subscribers(&here.service)).await;
        for _ in 0..4 {
            assert!(!here.may(&person, "read", "documents", None).await);
        }
        there.assign(&person, "reader").await;
        here.deliver(permissions::subscribers(&here.service)).await;
        assert!(here.may(&person, "read", "documents", None).await);
    }

    async fn a_change_whose_caller_left_is_still_noticed(db: Database) {
        let world = World::new(db);
        let person = world.person();
        let ask = async |service: &Arc<Service>| {
            let ask = Evaluate {
                subject: Subject::user(person.id),
                action: "write".into(),
                resource_type: "roles".into(),
                resource_id: None,
                resource_properties: Map::new(),
            };
            service.evaluate(&Caller::module("test"), ask).await.unwrap().allowed
        };
        // The change is given up at every point it may be given up at.
        for patience in (0..40).map(|step| Duration::from_micros(250 * step)) {
            for _ in 0..3 {
                ask(&world.service).await;
            }
            let _ = tokio::time::timeout(patience, world.assign(&person, "admin")).await;
            world.deliver(permissions::subscribers(&world.service)).await;
            let fresh = World::with_cache(world.db.clone(), &cold());
            assert_eq!(ask(&world.service).await, ask(&fresh.service).await);
        }
        world.assign(&person, "admin").await;
        assert!(ask(&world.service).await);
    }

    async fn what_ended_long_ago_is_cleared_away(db: Database) {
        let settings = permissions::Settings { keep_ended_days: 2, sweep_interval_seconds: 1 };
        let world = World::new(db.clone());
        let sweeper = Arc::new(Service::new(db, world.clock.clone(), settings, &warm()));
        let admin = world.administrator().await;
        let person = world.person();
        let brief = world.assign_until(&person, "admin", Some(world.later(60))).await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        let later = world.assign_until(&person, "reader", Some(world.later(24 * 60 * 60))).await;
        world.clock.advance(Duration::from_secs(2 * 24 * 60 * 60 + 61));
        let stop = CancellationToken::new();
        let work = Arc::clone(&sweeper).work(stop.clone());
        let watch = async {
            let list = format!("/api/v1/role-assignments?subject={}", person.id);
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let left = world.get(&list).by(&admin).send().await.expect(200);
                if left.body["items"].as_array().unwrap().len() == 1 {
                    stop.cancel();
                    return left;
                }
            }
            panic!("nothing was cleared away");
        };
        let ((), left) = futures_util::join!(work, watch);
        assert_eq!(left.body["items"][0]["id"], json!(later), "what ended lately can still be seen");
        let trail = world.trail(&brief.to_string()).await;
        assert_eq!(trail[1].actor_id.as_deref(), Some("permissions"));
        let told = world.events().await;
        assert!(told.iter().any(|event| {
            event.event_type == "permissions.assignment.deleted" && event.subject == brief.to_string()
        }));
    }
}
