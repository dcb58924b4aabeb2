//! The module as other modules ask it.

use crate::store::sql;
use crate::world::{PASSWORD, World};
use auth::{Dependencies, Service, Settings};
use contracts::auth::{
    Account, AccountState, Auth, CheckSession, FindAccount, MintLink, RemoteAuth, auth_routes,
};
use contracts::{Caller, EmailAddress, Kind, OneTimeRequestId, UserId};
use platform::cache;
use platform::clock::Clock;
use platform::db::Database;
use platform::settings::MasterKey;
use std::sync::Arc;
use testkit::both_engines;
use testkit::conforms::{self, AuthWorld};
use testkit::fakes::FakePermissions;
use testkit::far;

async fn auth_world(world: &World) -> AuthWorld {
    let id = world.member("mia@example.test").await;
    let live = world.log_in("mia@example.test", PASSWORD).await.expect(200).tokens();
    let ended = world.log_in("mia@example.test", PASSWORD).await.expect(200).tokens();
    world.delete("/api/v1/auth/sessions/current").by(&ended).send().await.expect(204);
    world.register("new@example.test", PASSWORD).await.expect(202);
    world.register("gone@example.test", PASSWORD).await.expect(202);
    let requests = world.requested().await;
    world.verify(&world.token_of(requests[1].1).await).await.expect(204);
    let now = world.clock.now();
    let account = Account {
        id,
        email: EmailAddress::parse("mia@example.test").unwrap(),
        email_verified: true,
        state: AccountState::Active,
        revision: 2,
        created_at: now,
        updated_at: now,
    };
    AuthWorld {
        account,
        live: live.session.parse().unwrap(),
        ended: ended.session.parse().unwrap(),
        open: requests[0].1,
        spent: requests[1].1,
    }
}

both_engines! {
    async fn it_conforms_near_and_far(db: Database) {
        let world = World::new(db).await;
        let prepared = auth_world(&world).await;
        conforms::auth(&*world.service, &prepared).await;
        let service: Arc<dyn Auth> = world.service.clone();
        let peer = far::serve(contracts::Module::Auth, move || auth_routes(Arc::clone(&service))).await;
        conforms::auth(&RemoteAuth(peer), &prepared).await;
    }

    async fn an_unproven_account_is_told_as_one(db: Database) {
        let world = World::new(db).await;
        world.register("mia@example.test", PASSWORD).await.expect(202);
        let (user, _) = world.requested().await[0];
        let found = world.service.find_account(&Caller::module("test"), FindAccount { user }).await.unwrap().unwrap();
        assert_eq!((found.state, found.email_verified, found.revision), (AccountState::Unverified, false, 1));
    }

    async fn a_disabled_account_and_an_old_credential_end_every_session(db: Database) {
        let world = World::with(db, |_| {}).await;
        let user = world.member("mia@example.test").await;
        let live = async |change: &str| {
            let tokens = world.log_in("mia@example.test", PASSWORD).await.expect(200).tokens();
            let session = tokens.session.parse().unwrap();
            sql(&world.db, &format!("UPDATE auth_accounts SET {change}")).await;
            let ask = CheckSession { user, session };
            world.service.check_session(&Caller::module("test"), ask).await.unwrap().live
        };
        assert!(live("revision = revision + 1").await);
        assert!(!live("credential_version = credential_version + 1").await);
        assert!(!live("state = 'disabled'").await);
    }

    async fn links_are_minted_for_verifications_only(db: Database) {
        let world = World::new(db).await;
        let caller = &Caller::module("test");
        world.setup_token().await;
        let request = OneTimeRequestId::new();
        let error = world.service.mint_link(caller, MintLink { request }).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_ref()), (Kind::NotFound, "auth.unknown_request"));
        let ask = FindAccount { user: UserId::new() };
        assert!(world.service.find_account(caller, ask).await.unwrap().is_none());
    }

    async fn settings_that_are_not_safe_stop_the_start(db: Database) {
        let mut settings = Settings::default();
        settings.hash.memory_kib = 1_024;
        let error = Service::new(Dependencies {
            db,
            clock: Clock::system(),
            settings,
            public_url: "https://id.example.test/".parse().unwrap(),
            master_key: MasterKey::generate().unwrap(),
            permissions: Arc::new(FakePermissions::default()),
            caches: cache::Caches::alone(&cache::Settings::default()),
        }).await.unwrap_err();
        assert!(error.message.contains("auth.hash.memory_kib"), "{error}");
    }
}
