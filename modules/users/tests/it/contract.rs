//! What other modules rely on, and what is made of what they tell.

use std::sync::Arc;

use contracts::users::{FindProfile, Profile, RemoteUsers, Users, users_routes};
use contracts::{Caller, UserId};
use platform::db::Database;
use testkit::{both_engines, conforms, far};

use crate::world::World;

async fn found(world: &World, user: UserId) -> Option<Profile> {
    world.service.find_profile(&Caller::module("test"), FindProfile { user }).await.unwrap()
}

both_engines! {
    async fn it_conforms_near_and_far(db: Database) {
        let world = World::new(db);
        let user = world.person("mia@example.org").account.id;
        world.hear(&world.registered(user, Some("Mia"), Some("de-at"))).await;
        let profile = Profile {
            id: user,
            display_name: Some("Mia".to_owned()),
            phone: None,
            locale: Some("de-AT".to_owned()),
            time_zone: None,
        };
        conforms::users(&*world.service, &profile).await;
        let service: Arc<dyn Users> = world.service.clone();
        let peer = far::serve(contracts::Module::Users, move || users_routes(Arc::clone(&service))).await;
        conforms::users(&RemoteUsers(peer), &profile).await;
    }

    async fn a_registration_heard_twice_is_one_profile(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let event = world.registered(mia.account.id, Some("Mia"), None);
        world.hear(&event).await;
        let patch = serde_json::json!({ "display_name": null });
        world.write(&mia, actix_web::http::Method::PATCH, "/api/v1/users/me", &patch, "").await.expect(200);
        world.hear(&event).await;
        assert_eq!(found(&world, mia.account.id).await.unwrap().display_name, None, "the event took effect twice");
        let created = world.trail(mia.account.id).await;
        assert_eq!(created.iter().filter(|entry| entry.action == "users.user.created").count(), 1);
    }

    async fn a_profile_that_is_touched_before_its_event_keeps_what_it_says(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let patch = serde_json::json!({ "display_name": "Maria" });
        world.write(&mia, actix_web::http::Method::PATCH, "/api/v1/users/me", &patch, "").await.expect(200);
        world.hear(&world.registered(mia.account.id, Some("Mia"), Some("de"))).await;
        let profile = found(&world, mia.account.id).await.unwrap();
        assert_eq!((profile.display_name.as_deref(), profile.locale.as_deref()), (Some("Maria"), Some("de")));
        let trail = world.trail(mia.account.id).await;
        let last = trail.last().unwrap();
        assert_eq!((last.action.as_str(), last.actor_id.as_deref()), ("users.user.updated", Some("users")));
        assert_eq!(last.after, Some(serde_json::json!({ "locale": "de" })));
    }

    async fn an_account_that_is_gone_by_now_gets_no_profile(db: Database) {
        let world = World::new(db);
        let user = UserId::new();
        world.hear(&world.registered(user, Some("Mia"), None)).await;
        assert_eq!(found(&world, user).await, None);
    }

    async fn what_breaks_a_rule_is_left_out_of_a_new_profile(db: Database) {
        let world = World::new(db);
        let user = world.person("mia@example.org").account.id;
        world.hear(&world.registered(user, Some("a\nb"), Some("de"))).await;
        let profile = found(&world, user).await.unwrap();
        assert_eq!((profile.display_name, profile.locale.as_deref()), (None, Some("de")));
    }
}
