//! The cache of profiles: warm reads come from memory, and none is ever older than a change that was acknowledged.

use std::sync::atomic::{AtomicI64, Ordering};

use actix_web::http::Method;
use futures_util::future::{join, join_all};
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

use crate::world::World;

const ME: &str = "/api/v1/users/me";

both_engines! {
    async fn no_read_is_older_than_a_change_that_was_acknowledged(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        world.get(&mia, ME).await.expect(200);
        let (acknowledged, done) = (AtomicI64::new(0), AtomicI64::new(0));
        let writes = async {
            for number in 1..=25 {
                let patch = json!({ "attributes": { "number": number } });
                world.write(&mia, Method::PATCH, ME, &patch, "").await.expect(200);
                acknowledged.store(number, Ordering::SeqCst);
            }
            done.store(1, Ordering::SeqCst);
        };
        let reads = join_all((0..3).map(|_| async {
            while done.load(Ordering::SeqCst) == 0 {
                let before = acknowledged.load(Ordering::SeqCst);
                let seen = world.get(&mia, ME).await.expect(200).body["attributes"]["number"].as_i64().unwrap_or(0);
                assert!(seen >= before, "read {seen} after {before} was acknowledged");
                // A warm read never waits, and all of this runs on one thread.
                tokio::task::yield_now().await;
            }
        }));
        join(writes, reads).await;
    }

    async fn what_an_administrator_changes_is_seen_by_its_owner_at_once(db: Database) {
        let world = World::new(db);
        let (root, mia) = (world.admin(), world.person("mia@example.org"));
        for number in 0..5 {
            for _ in 0..3 {
                world.get(&mia, ME).await.expect(200);
            }
            let name = format!("Name {number}");
            let path = format!("/api/v1/users/{}", mia.account.id);
            world.write(&root, Method::PATCH, &path, &json!({ "display_name": name }), "").await.expect(200);
            assert_eq!(world.get(&mia, ME).await.body["display_name"], name.as_str());
        }
    }

    async fn warm_reads_come_from_memory(db: Database) {
        let world = World::new(db.clone());
        let mia = world.person("mia@example.org");
        for _ in 0..3 {
            world.get(&mia, ME).await.expect(200);
        }
        db.write().await.unwrap().batch("UPDATE users_profiles SET display_name = 'behind the back'").await.unwrap();
        let warm = world.get(&mia, ME).await.expect(200);
        assert!(warm.body["display_name"].is_null(), "it was read from the database");
    }
}
