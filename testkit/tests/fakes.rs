//! A fake can't lie: it passes the suite of its contract, at hand and over the wire.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use contracts::auth::{RemoteAuth, auth_routes};
use contracts::notifications::{RemoteNotifications, notifications_routes};
use contracts::permissions::{RemotePermissions, permissions_routes};
use contracts::users::{FindProfile, Profile, RemoteUsers, Users, users_routes};
use contracts::wire::{CALLER_HEADER, DEADLINE_HEADER};
use contracts::{Caller, Kind, Module, UserId};
use platform::peers::Lines;
use testkit::conforms::{self, AuthWorld};
use testkit::fakes::{FakeAuth, FakeNotifications, FakePermissions, FakeUsers};
use testkit::far;

#[tokio::test]
async fn auth_conforms() {
    let fake = Arc::new(FakeAuth::default());
    let account = fake.add_account("mia@example.org");
    let (live, ended) = (fake.add_session(account.id), fake.add_session(account.id));
    fake.end_session(account.id, ended);
    let (open, spent) = (fake.open_request(), fake.open_request());
    fake.spend_request(spent);
    let world = AuthWorld { account, live, ended, open, spent };
    conforms::auth(&*fake, &world).await;
    let remote = RemoteAuth(far::serve(Module::Auth, move || auth_routes(fake.clone())).await);
    conforms::auth(&remote, &world).await;
}

#[tokio::test]
async fn users_conforms() {
    let fake = Arc::new(FakeUsers::default());
    let profile = Profile {
        id: UserId::new(),
        display_name: Some("Mia".to_owned()),
        phone: None,
        locale: Some("de".to_owned()),
        time_zone: None,
    };
    fake.set_profile(profile.clone());
    conforms::users(&*fake, &profile).await;
    let remote = RemoteUsers(far::serve(Module::Users, move || users_routes(fake.clone())).await);
    conforms::users(&remote, &profile).await;
}

#[tokio::test]
async fn permissions_conforms() {
    let fake = Arc::new(FakePermissions::default());
    let user = UserId::new();
    fake.allow(user, "documents:read");
    fake.add_role("editor");
    let administrators = [UserId::new(), UserId::new()];
    administrators.iter().for_each(|one| fake.add_administrator(*one));
    conforms::permissions(&*fake, user, administrators).await;
    let remote =
        RemotePermissions(far::serve(Module::Permissions, move || permissions_routes(fake.clone())).await);
    conforms::permissions(&remote, user, administrators).await;
}

#[tokio::test]
async fn notifications_conforms() {
    let fake = Arc::new(FakeNotifications::default());
    fake.add_template("announcement");
    conforms::notifications(&*fake, &serde_json::Map::new()).await;
    let remote = RemoteNotifications(
        far::serve(Module::Notifications, move || notifications_routes(fake.clone())).await,
    );
    conforms::notifications(&remote, &serde_json::Map::new()).await;
}

#[tokio::test]
async fn a_peer_that_is_gone_is_unavailable() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = far::settings(&[(Module::Users, format!("http://{closed}"))]);
    let lines = Lines::new(&settings, &far::Pair::new(Module::Users).identity).unwrap();
    let ask = FindProfile { user: UserId::new() };
    let error = RemoteUsers(lines.to(Module::Users).unwrap())
        .find_profile(&Caller::module("testkit"), ask)
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(!error.to_string().contains(&closed.port().to_string()), "{error} names the address");
}

#[tokio::test]
async fn who_asks_without_saying_who_and_for_whom_is_refused() {
    let fake = Arc::new(FakeUsers::default());
    let pair = far::Pair::new(Module::Users);
    let token = pair.identity.token_for(Module::Users).unwrap();
    let address = far::listen(pair.admission, move || users_routes(fake.clone())).await;
    let url = format!("http://{address}/internal/users/find_profile");
    let body = serde_json::json!({ "user": UserId::new() });
    let caller = serde_json::to_string(&Caller::module("testkit")).unwrap();
    let ask = || reqwest::Client::new().post(&url).json(&body).header(DEADLINE_HEADER, "1000");
    let status = async |ask: reqwest::RequestBuilder| ask.send().await.unwrap().status();
    assert_eq!(status(ask()).await, 401);
    assert_eq!(status(ask().header(CALLER_HEADER, &caller)).await, 401, "the header alone proves nothing");
    assert_eq!(status(ask().bearer_auth(&token)).await, 401, "who asks must say for whom");
    assert_eq!(status(ask().bearer_auth(&token).header(CALLER_HEADER, &caller)).await, 200);
}
