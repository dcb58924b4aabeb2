//! After the last kill: what was ended stays ended, and no refresh token can be used again. This uses tokens up.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use super::ledger::Entry;
use crate::http::Api;

/// How many of each kind are tried.
const SAMPLE: usize = 200;

pub(super) async fn check(address: SocketAddr, entries: &[Entry]) -> Vec<String> {
    let mut wrong = Vec::new();
    let revoked = entries.iter().filter(|entry| matches!(entry, Entry::Revoked { .. }));
    for entry in spread(revoked.collect()) {
        let Entry::Revoked { access_token, refresh_token, .. } = entry else { continue };
        let mut api = Api::new(address, Some(access_token));
        let me = api.get("/api/v1/users/me").await.map(|answer| answer.status);
        if !matches!(me, Ok(401)) {
            wrong.push(format!("an ended session may still act ({me:?}): {entry:?}"));
        }
        if exchange(address, refresh_token).await != 401 {
            wrong.push(format!("the refresh token of an ended session is still good: {entry:?}"));
        }
    }
    wrong.extend(families(address, entries).await);
    wrong
}

/// The newest token is good, every used one is not; and one that comes back ends its family.
async fn families(address: SocketAddr, entries: &[Entry]) -> Vec<String> {
    let mut wrong = Vec::new();
    let exchanged: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Refreshed { used, next, .. } => Some((used, next)),
            _ => None,
        })
        .collect();
    let Some((_, newest)) = exchanged.last() else { return wrong };
    let again = exchanged.iter().any(|(used, _)| used == newest);
    // A new login may have followed the last exchange.
    let relogged = entries.iter().rev().find_map(|entry| match entry {
        Entry::Refreshed { session, .. } => Some(session),
        _ => None,
    });
    let mut api = Api::new(address, None);
    let body = json!({ "refresh_token": newest });
    let answer = api.post("/api/v1/auth/tokens", &body).await.unwrap();
    if answer.status != 200 && !again {
        wrong.push(format!("the newest refresh token of {relogged:?} is not good: {}", answer.status));
    }
    // Longer than the window in which a token may come back because its answer was lost.
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    let used: BTreeSet<&String> = exchanged.iter().map(|(used, _)| *used).collect();
    for token in spread(used.into_iter().collect()) {
        let status = exchange(address, token).await;
        if status != 401 {
            wrong.push(format!("a used refresh token was answered {status}: {token}"));
        }
    }
    if answer.status == 200 && exchange(address, &answer.text("refresh_token")).await != 401 {
        wrong.push("a used refresh token came back and its family lives on".to_owned());
    }
    wrong
}

async fn exchange(address: SocketAddr, token: &str) -> u16 {
    let body = json!({ "refresh_token": token });
    Api::new(address, None).post("/api/v1/auth/tokens", &body).await.map_or(0, |answer| answer.status)
}

/// At most so many, from everywhere, the last one included.
fn spread<T>(all: Vec<T>) -> Vec<T> {
    let step = all.len().div_ceil(SAMPLE).max(1);
    all.into_iter().rev().step_by(step).collect()
}
