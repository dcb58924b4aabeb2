//! What is refused between services: everything but a token that the asking service made for the asked one, a minute ago
//! at most.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::{Caller, Module};
use platform::settings::MasterKey;
use platform::tokens::{Algorithm, Signer, generate_key};
use serde_json::{Value, json};

use crate::client::Client;
use crate::fleet::{Fleet, on_behalf_of};
use crate::plan::{Plan, random_key};

const DEADLINE: (&str, &str) = ("doorward-deadline-ms", "1000");

fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

fn deadline() -> (&'static str, String) {
    (DEADLINE.0, DEADLINE.1.to_owned())
}

/// The same token with other claims, signed with a key that nobody knows.
fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn internal_routes_open_to_nobody_else() {
    let Some(fleet) = Fleet::open().await else { return };
    let root = fleet.administrator().await;
    let plan = &fleet.plan;
    let (path, body) = ("/internal/users/find_profile", json!({ "user": root.id }));
    let good = plan.identity(Module::Notifications).token_for(Module::Users).unwrap();
    let caller = on_behalf_of("notifications");
    let ask = async |headers: &[(&'static str, String)]| {
        let answer = fleet.ask(Module::Users, path, &body, headers).await;
        (answer.status, answer.code().to_owned())
    };
    assert_eq!(ask(&[bearer(&good), caller.clone(), deadline()]).await.0, 200, "the good one, to begin with");

    let refused = (401, "platform.peer_unknown".to_owned());
    let other_issuer =
        Plan { keys: plan.keys.keys().map(|module| (*module, random_key())).collect(), ..plan.clone() };
    let other_master = Plan { master_key: random_key(), ..plan.clone() };
    let unsigned = |head: Value, claims: &Value| {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&head), part(claims))
    };
    let header: Value = {
        let part = good.split('.').next().unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let forger = {
        let key = generate_key(Algorithm::EdDsa).unwrap();
        Signer::from_pkcs8(Algorithm::EdDsa, &key).unwrap()
    };
    let tampered = {
        let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
        let mut changed = claims(&good);
        changed["aud"] = json!("users");
        changed["exp"] = json!(changed["exp"].as_i64().unwrap() + 3_600);
        parts[1] = URL_SAFE_NO_PAD.encode(changed.to_string());
        parts.join(".")
    };
    // Every token of its issuer's own key, with another issuer written into it.
    let users_key_says_auth = {
        let master_key = MasterKey::parse(&plan.master_key).unwrap();
        let key = platform::tokens::ServiceKey::parse(&plan.keys[&Module::Notifications]).unwrap();
        let clock = platform::clock::Clock::system();
        platform::tokens::Identity::new(Module::Auth, key, &master_key, clock)
            .token_for(Module::Users)
            .unwrap()
    };
    let root_token = root.client.access_token.clone().unwrap();
    let wrong = [
        ("a user's access token", root_token),
        ("for another module", plan.identity(Module::Notifications).token_for(Module::Auth).unwrap()),
        ("of itself", plan.identity(Module::Users).token_for(Module::Users).unwrap()),
        (
            "of a key that is not known",
            other_issuer.identity(Module::Notifications).token_for(Module::Users).unwrap(),
        ),
        (
            "of another installation",
            other_master.identity(Module::Notifications).token_for(Module::Users).unwrap(),
        ),
        ("of one service in the name of another", users_key_says_auth),
        ("changed", tampered),
        (
            "signed by nobody",
            unsigned(json!({ "alg": "none", "typ": "service+jwt", "kid": header["kid"] }), &claims(&good)),
        ),
        ("signed by a forger", forger.sign("service+jwt", &claims(&good)).unwrap()),
        ("empty", String::new()),
        ("rubbish", "a.b.c".to_owned()),
    ];
    for (what, token) in &wrong {
        assert_eq!(ask(&[bearer(token), caller.clone(), deadline()]).await, refused, "{what}");
    }
    assert_eq!(ask(&[caller.clone(), deadline()]).await, refused, "a caller without a token");
    assert_eq!(ask(&[deadline()]).await, refused, "nothing at all");
    assert_eq!(ask(&[bearer(&good), caller.clone()]).await, refused, "no deadline");
    let twice = [bearer(&good), bearer(&good), caller.clone(), deadline()];
    assert_eq!(ask(&twice).await, refused, "two tokens");
    let nobody = (401, "platform.caller_missing".to_owned());
    assert_eq!(ask(&[bearer(&good), deadline()]).await, nobody, "on nobody's behalf");
    let unreadable = ("doorward-caller", "{}".to_owned());
    assert_eq!(ask(&[bearer(&good), unreadable, deadline()]).await, nobody, "on behalf of rubbish");

    // Also the other way: what passes between services is nothing for the public interface.
    for path in ["/api/v1/users/me", "/api/v1/audit-events"] {
        let mut client = fleet.client(Module::Users, None);
        client.access_token = Some(good.clone());
        assert_eq!(client.get(path).await.status, 401, "{path}");
    }
    let log = fleet.services[&Module::Users].log();
    assert!(
        log.contains("for another module") && log.contains("secrets.master_key"),
        "the log says why: {log}"
    );
    assert!(!log.contains(&good), "a token stands in the log");
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_may_ask_what_it_needs_and_nothing_else() {
    let Some(fleet) = Fleet::open().await else { return };
    let ask = async |asker: Module, asked: Module, method: &str| {
        let token = fleet.plan.identity(asker).token_for(asked).unwrap();
        let path = format!("/internal/{asked}/{method}");
        let headers = [bearer(&token), on_behalf_of(asker.as_str()), deadline()];
        let user = "01900000-0000-7000-8000-000000000000";
        let body = match method {
            "assign_role" => {
                json!({ "subject": { "type": "user", "id": user }, "role": "admin", "resource": null, "expires_at": null })
            }
            "check_session" => json!({ "user": user, "session": user }),
            _ => json!({ "user": user, "revision": null, "email": null, "state": "disabled" }),
        };
        fleet.ask(asked, &path, &body, &headers).await
    };
    let told = ask(Module::Notifications, Module::Permissions, "assign_role").await;
    assert_eq!((told.status, told.code()), (403, "platform.peer_denied"));
    let told = ask(Module::Permissions, Module::Auth, "change_account").await;
    assert_eq!((told.status, told.code()), (403, "platform.peer_denied"));
    assert_eq!(ask(Module::Permissions, Module::Auth, "check_session").await.status, 200);
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_listener_and_a_process_with_everything_have_no_internal_routes() {
    let Some(fleet) = Fleet::open().await else { return };
    let token = fleet.plan.identity(Module::Notifications).token_for(Module::Users).unwrap();
    let caller = serde_json::to_string(&Caller::module("notifications")).unwrap();
    let whole = crate::fleet::open(&[]).await;
    let listeners =
        [fleet.services[&Module::Users].public.clone(), whole.public.clone(), whole.management.clone()];
    for listener in listeners {
        let mut client = Client::new(&listener);
        client.access_token = Some(token.clone());
        for path in ["/internal/users/find_profile", "/internal/platform/list_entries", "/internal"] {
            let ask = crate::client::Ask::new(reqwest::Method::POST, path)
                .body(&json!({}))
                .header("doorward-caller", &caller)
                .header("doorward-deadline-ms", "1000");
            assert_eq!(client.send(&ask).await.status, 404, "{path} at {listener}");
        }
    }
    whole.close();
    fleet.close().await;
}
