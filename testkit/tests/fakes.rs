//! A fake can't lie: it passes the suite of its contract, at hand and over the wire.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use contracts::auth::{RemoteAuth, auth_routes};
use contracts::notifications::{RemoteNotifications, notifications_routes};
use contracts::permissions::{RemotePermissions, permissions_routes};
use contracts::users::{FindProfile, Profile, RemoteUsers, Users, users_routes};
use contracts::wire::Peer;
use contracts::{Caller, Kind, UserId};
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
    let remote = RemoteAuth(far::serve(move || auth_routes(fake.clone())).await);
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
    let remote = RemoteUsers(far::serve(move || users_routes(fake.clone())).await);
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
    let remote = RemotePermissions(far::serve(move || permissions_routes(fake.clone())).await);
    conforms::permissions(&remote, user, administrators).await;
}

#[tokio::test]
async fn notifications_conforms() {
    let fake = Arc::new(FakeNotifications::default());
    fake.add_template("announcement");
    conforms::notifications(&*fake, &serde_json::Map::new()).await;
    let remote = RemoteNotifications(far::serve(move || notifications_routes(fake.clone())).await);
    conforms::notifications(&remote, &serde_json::Map::new()).await;
}

#[tokio::test]
async fn a_peer_that_is_gone_is_unavailable() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let peer =
        Peer::new(format!("http://{closed}"), reqwest::Client::new(), std::time::Duration::from_secs(2));
    let ask = FindProfile { user: UserId::new() };
    let error = RemoteUsers(peer).find_profile(&Caller::module("testkit"), ask).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(!error.to_string().contains(&closed.port().to_string()), "{error} names the address");
}

#[tokio::test]
async fn who_asks_without_saying_who_is_refused() {
    let fake = Arc::new(FakeUsers::default());
    let address = far::listen(move || users_routes(fake.clone())).await;
    let url = format!("http://{address}/internal/users/find_profile");
    let body = serde_json::json!({ "user": UserId::new() });
    let response = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    assert_eq!(response.status(), 401);
}
