//! What other modules rely on.

use crate::world::{World, cold};
use contracts::auth::AdministratorAppointed;
use contracts::permissions::{
    AssignRole, Evaluate, FindOutranking, Permissions, RemotePermissions, Subject, permissions_routes,
};
use contracts::{Actor, Caller, Event, Kind, SessionId};
use platform::db::Database;
use serde_json::{Map, json};
use std::sync::Arc;
use testkit::{both_engines, conforms, far};

both_engines! {
    async fn it_conforms_near_and_far(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        world.role(&admin, "editor", &[], &[]).await;
        let near = world.person();
        world.assign(&near, "reader").await;
        let (clerk, deputy) = (world.person(), world.person());
        for person in [&clerk, &deputy] {
            world.stand(person, true).await.unwrap();
            world.assign(person, "admin").await;
        }
        let root = |by: &crate::world::Person| by.id;
        world.stand(&admin, false).await.unwrap();
        conforms::permissions(&*world.service, near.id, [root(&clerk), root(&deputy)]).await;

        let distant = world.person();
        world.assign(&distant, "reader").await;
        let service: Arc<dyn Permissions> = world.service.clone();
        let peer = far::serve(contracts::Module::Permissions, move || permissions_routes(Arc::clone(&service))).await;
        conforms::permissions(&RemotePermissions(peer), distant.id, [root(&clerk), root(&deputy)]).await;
    }

    async fn whoever_holds_more_is_told_near_and_far(db: Database) {
        let world = World::new(db);
        let (admin, clerk) = (world.administrator().await, world.person());
        let service: Arc<dyn Permissions> = world.service.clone();
        let routes = Arc::clone(&service);
        let peer = far::serve(contracts::Module::Permissions, move || permissions_routes(Arc::clone(&routes))).await;
        let remote: Arc<dyn Permissions> = Arc::new(RemotePermissions(peer));
        for permissions in [service, remote] {
            let find = async |actor, users| {
                let ask = FindOutranking { actor, users };
                permissions.find_outranking(&Caller::module("test"), ask).await.map(|found| found.users)
            };
            assert_eq!(find(clerk.id, vec![admin.id, clerk.id]).await.unwrap(), [admin.id]);
            assert_eq!(find(admin.id, vec![admin.id, clerk.id]).await.unwrap(), []);
            let error = find(clerk.id, vec![admin.id; 1_001]).await.unwrap_err();
            assert_eq!((error.kind, error.fields[0].pointer.as_str()), (Kind::Invalid, "/users"));
        }
    }

    async fn whatever_is_unknown_or_strange_is_refused_and_no_error(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        let id = admin.id.to_string();
        let ask = async |kind: &str, id: &str, action: &str, resource: &str| {
            let ask = Evaluate {
                subject: Subject { subject_type: kind.into(), id: id.into() },
                action: action.into(),
                resource_type: resource.into(),
                resource_id: Some("\0\n%".into()),
                resource_properties: Map::new(),
            };
            world.service.evaluate(&Caller::module("test"), ask).await.unwrap().allowed
        };
        assert!(ask("user", &id, "\0", "#:@|,/%\0").await, "an administrator may do everything");
        for (kind, id) in [("users", id.as_str()), ("User", &id), ("", &id), ("user", ""), ("user", "\0"), ("service", &id)] {
            assert!(!ask(kind, id, "read", "documents").await, "{kind:?} {id:?}");
        }
    }

    async fn a_user_who_asks_through_another_module_gives_only_what_he_holds(db: Database) {
        let world = World::with_cache(db, &cold());
        let person = world.person();
        let caller = Caller {
            actor: Actor::User { id: person.id, session: SessionId::new() },
            ..Caller::module("test")
        };
        let ask = |role: &str| AssignRole {
            subject: Subject::user(person.id),
            role: role.into(),
            resource: None,
            expires_at: None,
        };
        let refused = world.service.assign_role(&caller, ask("admin")).await.unwrap_err();
        assert_eq!((refused.kind, &*refused.code), (Kind::Denied, "permissions.grant_exceeds_own"));
        let nobody = Caller { actor: Actor::Anonymous, ..Caller::module("test") };
        let refused = world.service.assign_role(&nobody, ask("member")).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Denied);
        assert!(!world.may(&person, "read", "documents", None).await);
    }

    async fn a_role_given_for_a_while_is_given_for_ever_when_asked_so(db: Database) {
        let world = World::new(db);
        let person = world.person();
        let brief = world.assign_until(&person, "admin", Some(world.later(60))).await;
        assert_eq!(world.assign_until(&person, "admin", Some(world.later(30))).await, brief, "it lasts longer already");
        let lasting = world.assign(&person, "admin").await;
        assert_ne!(brief, lasting);
        assert_eq!(world.assign_until(&person, "admin", Some(world.later(30))).await, lasting);
        world.clock.advance(std::time::Duration::from_secs(61));
        assert!(world.may(&person, "read", "documents", None).await);
    }

    async fn whoever_is_appointed_becomes_administrator_once(db: Database) {
        let world = World::new(db);
        let person = world.person();
        for _ in 0..3 {
            assert!(!world.may(&person, "write", "roles", None).await);
        }
        let fact = AdministratorAppointed { user: person.id };
        let event = Event::of(&fact, &Caller::module("auth"), world.clock.now()).unwrap();
        world.hear(&event).await;
        assert!(world.may(&person, "write", "roles", None).await, "at once, though the refusal was at hand");

        let other = world.administrator().await;
        let roles = world.get(&format!("/api/v1/users/{}/roles", person.id)).by(&person).send().await.expect(200);
        let path = format!("/api/v1/role-assignments/{}", roles.body["items"][1]["assignment_id"].as_str().unwrap());
        world.delete(&path).by(&other).send().await.expect(204);
        world.hear(&event).await;
        assert!(!world.may(&person, "write", "roles", None).await, "the same event does not appoint again");

        let again = Event::of(&fact, &Caller::module("auth"), world.clock.now()).unwrap();
        world.hear(&again).await;
        assert!(world.may(&person, "write", "roles", None).await, "a new appointment does");
        let trail = world.trail(&roles.text_at("/items/1/assignment_id")).await;
        assert_eq!(trail[0].actor_id.as_deref(), Some("permissions"));
        assert_eq!(trail[0].after, Some(json!({
            "subject": { "type": "user", "id": person.id }, "role": "admin", "resource": null, "expires_at": null,
        })));
    }
}
