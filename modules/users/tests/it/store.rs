//! What two databases must do alike: nobody's change is lost, however many come at once.

use actix_web::http::Method;
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

use crate::world::World;

both_engines! {
    async fn ten_changes_at_once_are_all_kept(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let changes = (0..10).map(|number| {
            let (world, mia) = (&world, &mia);
            async move {
                let patch = json!({ "attributes": { (format!("key{number}")): number } });
                world.write(mia, Method::PATCH, "/api/v1/users/me", &patch, "").await.status
            }
        });
        assert_eq!(join_all(changes).await, [200; 10]);
        let me = world.get(&mia, "/api/v1/users/me").await;
        assert_eq!(me.body["attributes"].as_object().unwrap().len(), 10);
    }

    async fn of_ten_who_mean_the_same_state_one_changes_it(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let etag = world.get(&mia, "/api/v1/users/me").await.header("etag");
        let changes = (0..10).map(|number| {
            let (world, mia, etag) = (&world, &mia, &etag);
            async move {
                let patch = json!({ "display_name": format!("Name {number}") });
                world.write(mia, Method::PATCH, "/api/v1/users/me", &patch, etag).await.status
            }
        });
        let mut statuses = join_all(changes).await;
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412, 412, 412]);
    }

    async fn a_profile_touched_ten_times_at_once_is_one(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let reads = (0..10).map(|_| world.get(&mia, "/api/v1/users/me"));
        for reply in join_all(reads).await {
            assert_eq!(reply.header("etag"), "\"2\"");
        }
        assert_eq!(world.trail(mia.account.id).await.len(), 1);
    }

    async fn the_last_namespace_is_added_once(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let puts = (0..8).map(|number| {
            let (world, mia) = (&world, &mia);
            async move {
                let path = format!("/api/v1/users/me/preferences/space-{number}");
                world.write(mia, Method::PUT, &path, &json!({}), "").await.status
            }
        });
        let mut statuses = join_all(puts).await;
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 201, 201, 409, 409, 409, 409, 409]);
    }

    async fn preferences_patched_at_once_are_all_kept(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let path = "/api/v1/users/me/preferences/editor";
        world.write(&mia, Method::PUT, path, &json!({}), "").await.expect(201);
        let changes = (0..10).map(|number| {
            let (world, mia) = (&world, &mia);
            async move { world.write(mia, Method::PATCH, path, &json!({ (number.to_string()): number }), "").await.status }
        });
        assert_eq!(join_all(changes).await, [200; 10]);
        assert_eq!(world.get(&mia, path).await.body.as_object().unwrap().len(), 10);
    }
}
