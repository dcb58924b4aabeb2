//! The directory: what is made of what auth tells, in whatever order it is heard, and made again from nothing.

use std::sync::atomic::Ordering;

use actix_web::http::Method;
use contracts::auth::Auth as _;
use contracts::auth::{
    Account, AccountEmailChanged, AccountPurged, AccountState, AccountStateChanged, AccountVerified,
    ChangeAccount,
};
use contracts::users::{FindProfile, Users as _};
use contracts::{Caller, EmailAddress, Event, ExportPerson, Fact, UserId};
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

use crate::world::World;

fn event<F: Fact>(world: &World, fact: &F) -> Event {
    Event::of(fact, &Caller::module("auth"), world.clock.now()).unwrap()
}

async fn change(world: &World, user: UserId, email: Option<&str>, state: Option<AccountState>) -> Account {
    let email = email.map(|it| EmailAddress::parse(it).unwrap());
    let ask = ChangeAccount { user, revision: None, email, state };
    world.gate.auth.change_account(&Caller::module("test"), ask).await.unwrap()
}

both_engines! {
    async fn who_registers_is_listed_and_found_and_follows_its_account(db: Database) {
        let world = World::new(db);
        let (root, mia) = (world.admin(), world.person("mia@example.org").account);
        let registered = world.registered(mia.id, Some("Mia Lindström"), None);
        world.hear(&registered).await;
        assert_eq!(world.listed(&root, "q=lindstrom").await, ["mia@example.org"]);
        change(&world, mia.id, Some("mia@example.com"), None).await;
        let previous = mia.email.clone();
        world.hear(&event(&world, &AccountEmailChanged { user: mia.id, previous })).await;
        assert_eq!(world.listed(&root, "q=mia@example.com&state=unverified").await, ["mia@example.com"]);
        assert!(world.listed(&root, "q=example.org").await.is_empty(), "the old address is forgotten");
        change(&world, mia.id, None, Some(AccountState::Active)).await;
        world.hear(&event(&world, &AccountVerified { user: mia.id })).await;
        assert_eq!(world.listed(&root, "state=active").await, ["mia@example.com"]);
        world.hear(&registered).await;
        assert_eq!(world.listed(&root, "state=active&q=mia").await, ["mia@example.com"]);
    }

    async fn what_is_heard_late_never_goes_over_what_is_newer(db: Database) {
        let world = World::new(db);
        let root = world.admin();
        let made = world.make(&root, "mia@example.org", "Mia").await;
        let user: UserId = made["id"].as_str().unwrap().parse().unwrap();
        change(&world, user, None, Some(AccountState::Disabled)).await;
        let newer = event(&world, &AccountStateChanged { user, state: AccountState::Disabled });
        world.hear(&newer).await;
        let newest = change(&world, user, None, Some(AccountState::Active)).await;
        world.gate.auth.set_account(Account { state: AccountState::Disabled, revision: 1, ..newest });
        world.hear(&event(&world, &AccountVerified { user })).await;
        assert_eq!(world.listed(&root, "state=disabled").await, ["mia@example.org"], "an old account went over a new one");
    }

    async fn after_a_purge_nothing_is_left_and_nothing_comes_back(db: Database) {
        let world = World::new(db.clone());
        let (root, mia) = (world.admin(), world.person("mia@example.org"));
        let user = mia.account.id;
        let registered = world.registered(user, Some("Mia Lindström"), None);
        world.hear(&registered).await;
        world.write(&mia, Method::PATCH, "/api/v1/users/me", &json!({ "phone": "+436601234567" }), "").await.expect(200);
        world.write(&mia, Method::PUT, "/api/v1/users/me/preferences/editor", &json!({ "a": 1 }), "").await.expect(201);
        world.gate.auth.forget_account(user);
        world.hear(&event(&world, &AccountPurged { user, address_key: "x".to_owned() })).await;
        world.hear(&event(&world, &AccountVerified { user })).await;
        world.hear(&world.registered(user, Some("Mia Lindström"), None)).await;
        assert!(world.listed(&root, "").await.is_empty());
        assert!(world.listed(&root, "q=mia").await.is_empty());
        world.get(&root, &format!("/api/v1/users/{user}")).await.expect(404);
        let caller = Caller::module("test");
        assert_eq!(world.service.find_profile(&caller, FindProfile { user }).await.unwrap(), None);
        let left = world.service.export_person(&caller, ExportPerson { user }).await.unwrap();
        assert_eq!(json!(left.sections), json!({ "profile": null, "directory": null, "preferences": {} }));
    }

    async fn what_auth_told_before_a_purge_brings_nobody_back(db: Database) {
        let (world, between) = World::unsure(db);
        let (root, mia) = (world.admin(), world.person("mia@example.org"));
        let user = mia.account.id;
        let path = format!("/api/v1/users/{user}");
        world.get(&mia, "/api/v1/users/me").await.expect(200);
        let deleted = change(&world, user, None, Some(AccountState::Deleted)).await;
        let registered = world.registered(user, Some("Mia"), None);
        world.gate.auth.forget_account(user);
        world.hear(&event(&world, &AccountPurged { user, address_key: "x".to_owned() })).await;
        let before_the_purge = |account: &Account| *between.late.lock().unwrap() = Some(account.clone());
        before_the_purge(&deleted);
        world.hear(&event(&world, &AccountStateChanged { user, state: AccountState::Deleted })).await;
        before_the_purge(&mia.account);
        world.hear(&registered).await;
        before_the_purge(&deleted);
        world.write(&root, Method::DELETE, &path, &json!(null), "").await.expect(404);
        before_the_purge(&mia.account);
        world.write(&root, Method::PATCH, &path, &json!({ "given_name": "Mia" }), "").await.expect(404);
        before_the_purge(&mia.account);
        world.get(&mia, "/api/v1/users/me").await.expect(404);
        world.write(&mia, Method::PUT, "/api/v1/users/me/preferences/editor", &json!({}), "").await.expect(404);
        assert!(world.listed(&root, "").await.iter().all(|email| email != "mia@example.org"));
        assert!(world.listed(&root, "q=mia").await.is_empty());
        let left = world.service.export_person(&Caller::module("test"), ExportPerson { user }).await.unwrap();
        assert_eq!(json!(left.sections), json!({ "profile": null, "directory": null, "preferences": {} }));
        let told = world.trail(user).await;
        assert_eq!(told.last().unwrap().action, "users.user.purged", "something was done after it");
    }

    async fn who_is_imported_again_after_a_purge_is_there_again(db: Database) {
        let world = World::new(db);
        let (root, mia) = (world.admin(), world.person("mia@example.org"));
        let user = mia.account.id;
        world.gate.auth.forget_account(user);
        world.hear(&event(&world, &AccountPurged { user, address_key: "x".to_owned() })).await;
        let later = world.clock.now().plus(std::time::Duration::from_secs(1));
        world.gate.auth.set_account(Account { updated_at: later, ..mia.account.clone() });
        let row = json!({ "id": user, "email": "mia@example.org", "given_name": "Mia" }).to_string();
        world.import(&root, "", "application/x-ndjson", &row).await.expect(200);
        assert_eq!(world.listed(&root, "q=mia").await, ["mia@example.org"]);
        assert_eq!(world.get(&mia, "/api/v1/users/me").await.expect(200).body["given_name"], "Mia");
    }

    async fn accounts_from_before_are_taken_over_once_and_from_where_it_stopped(db: Database) {
        let (world, between) = World::unsure(db);
        let root = world.admin();
        for number in 0..250 {
            world.gate.auth.add_account(&format!("user{number:03}@example.org"));
        }
        between.lost.store(1, Ordering::SeqCst);
        assert!(world.service.complete_directory().await.is_err(), "auth was away");
        assert!(world.listed(&root, "limit=200").await.is_empty());
        world.service.complete_directory().await.unwrap();
        let all = world.listed(&root, "limit=200&sort=email").await;
        assert_eq!(all.len(), 251);
        assert!(all.is_sorted());
        assert_eq!(world.listed(&root, "q=user249").await, ["user249@example.org"]);
        world.gate.auth.add_account("later@example.org");
        world.service.complete_directory().await.unwrap();
        assert_eq!(world.listed(&root, "q=later").await.len(), 0, "it is done once; what comes later is told by events");
    }

    async fn everything_about_somebody_is_told_to_him(db: Database) {
        let world = World::new(db);
        let mia = world.person("mia@example.org");
        let user = mia.account.id;
        world.hear(&world.registered(user, Some("Mia"), Some("de"))).await;
        world.write(&mia, Method::PUT, "/api/v1/users/me/preferences/editor", &json!({ "a": 1 }), "").await.expect(201);
        let told = world.service.export_person(&Caller::module("test"), ExportPerson { user }).await.unwrap();
        assert_eq!(told.sections["profile"]["display_name"], "Mia");
        assert_eq!(told.sections["directory"]["email"], "mia@example.org");
        assert_eq!(told.sections["preferences"], json!({ "editor": { "a": 1 } }));
    }
}
