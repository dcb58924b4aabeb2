//! Keys that are changed while everybody goes on, and keys that are withdrawn.

use crate::store::{count, sweep};
use crate::world::{PASSWORD, PUBLIC_URL, Tokens, World};
use auth::SigningAlgorithm;
use contracts::{Caller, Time};
use futures_util::future::join_all;
use platform::cache::{self, Cache};
use platform::db::Database;
use platform::settings::MasterKey;
use platform::tokens::Verifier;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use testkit::both_engines;

const JWKS: &str = "/.well-known/jwks.json";
const DAY: u64 = 86_400;

async fn kids(world: &World) -> Vec<String> {
    let set = world.get(JWKS).send().await.expect(200).body;
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn kid_of(tokens: &Tokens) -> String {
    use base64::Engine as _;
    let header = tokens.access.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

async fn twins<const N: usize>(db: &Database, rotate_days: u64) -> [World; N] {
    let master_key = MasterKey::generate().unwrap();
    let world = || {
        World::with_key(db.clone(), master_key.clone(), |settings| settings.tokens.rotate_days = rotate_days)
    };
    let worlds: Vec<World> = join_all((0..N).map(|_| world())).await;
    worlds.try_into().ok().unwrap()
}

both_engines! {
    async fn nobody_is_refused_while_keys_rotate(db: Database) {
        let [one, two] = twins(&db, 1).await;
        let mut mine = one.logged_in("mia@example.test").await;
        let first = kid_of(&mine);
        for world in [&one, &two] {
            world.pass(DAY - 120);
        }
        mine = one.refresh(&mine.refresh).await.expect(200).tokens();
        let (mut published, mut used) = (BTreeMap::<String, Time>::new(), BTreeMap::<String, Time>::new());
        let mut alive: Vec<(Time, Tokens)> = Vec::new();
        for step in 0..44 {
            for world in [&one, &two] {
                world.pass(30);
                sweep(world).await;
            }
            let now = one.clock.now();
            for kid in kids(&one).await {
                published.entry(kid).or_insert(now);
            }
            assert_eq!(kids(&one).await, kids(&two).await);
            mine = [&one, &two][step % 2].refresh(&mine.refresh).await.expect(200).tokens();
            used.entry(kid_of(&mine)).or_insert(now);
            alive.push((now.plus(Duration::from_secs(600)), mine.clone()));
            alive.retain(|(until, _)| *until > now);
            for (_, tokens) in &alive {
                assert!(one.is_in(tokens).await && two.is_in(tokens).await, "refused in step {step}");
            }
        }
        assert_eq!((published.len(), used.len()), (2, 2), "two processes made one new key");
        let second = used.keys().find(|kid| **kid != first).unwrap();
        assert!(used[second].since(published[second]) > Duration::from_secs(300), "published before it signed");
        assert_eq!(kids(&one).await, std::slice::from_ref(second), "the old key has retired");
        assert_eq!(count(&db, "auth_signing_keys WHERE length(private_key) = 0").await, 1, "and is wiped");
    }

    async fn many_who_rotate_at_once_make_one_key(db: Database) {
        let worlds: [World; 8] = twins(&db, 7).await;
        for _ in 0..3 {
            worlds.iter().for_each(|world| world.pass(7 * DAY));
            join_all(worlds.iter().map(sweep)).await;
        }
        assert_eq!(count(&db, "auth_signing_keys").await, 4);
        let rotated = worlds[0].trail().await;
        assert_eq!(rotated.iter().filter(|it| it.action == "auth.signing_key.rotated").count(), 3);
    }

    async fn keys_stay_when_rotating_is_off(db: Database) {
        let [world] = twins(&db, 0).await;
        world.pass(3_650 * DAY);
        sweep(&world).await;
        assert_eq!(count(&db, "auth_signing_keys").await, 1);
    }

    async fn another_algorithm_takes_over_and_the_old_key_goes(db: Database) {
        let master_key = MasterKey::generate().unwrap();
        let open = async |algorithm| {
            let change = |it: &mut auth::Settings| (it.tokens.rotate_days, it.tokens.algorithm) = (0, algorithm);
            World::with_key(db.clone(), master_key.clone(), change).await
        };
        let before = open(SigningAlgorithm::EdDsa).await;
        let old = before.logged_in("mia@example.test").await;
        let after = open(SigningAlgorithm::Es256).await;
        let new = after.log_in("mia@example.test", PASSWORD).await.expect(200).tokens();
        assert_eq!(kids(&after).await, [kid_of(&old), kid_of(&new)]);
        assert!(after.is_in(&old).await && after.is_in(&new).await);
        let rest = 300 + 60 + 600 + 60;
        after.pass(rest - 1);
        sweep(&after).await;
        assert_eq!(kids(&after).await.len(), 2, "until the last token of a process that still signs with it is over");
        after.pass(1);
        sweep(&after).await;
        assert_eq!(kids(&after).await, [kid_of(&new)]);
        // A process that was forgotten goes on with a key of its own.
        before.pass(rest);
        sweep(&before).await;
        let own = before.log_in("mia@example.test", PASSWORD).await.expect(200).tokens();
        assert!(before.is_in(&own).await && kid_of(&own) != kid_of(&old));
        let rotated = after.trail().await;
        assert_eq!(rotated.iter().filter(|it| it.action == "auth.signing_key.rotated").count(), 2);
    }

    async fn a_key_made_by_command_signs_later_and_the_old_one_goes_later_still(db: Database) {
        let [world] = twins(&db, 0).await;
        let tokens = world.logged_in("mia@example.test").await;
        let rotated = world.service.rotate_keys(&Caller::module("doorward-cli"), false).await.unwrap();
        assert_eq!(kids(&world).await, [kid_of(&tokens), rotated.kid.clone()]);
        let now = world.clock.now();
        assert_eq!(rotated.signs_from, now.plus(Duration::from_secs(360)));
        assert_eq!(rotated.retired_at, now.plus(Duration::from_secs(360 + 660)));
        world.pass(359);
        let before = world.log_in("mia@example.test", PASSWORD).await.expect(200).tokens();
        assert_eq!(kid_of(&before), kid_of(&tokens));
        world.pass(1);
        let after = world.log_in("mia@example.test", PASSWORD).await.expect(200).tokens();
        assert_eq!(kid_of(&after), rotated.kid);
        world.pass(598);
        assert!(world.is_in(&before).await, "until it is over by itself");
        world.pass(62);
        sweep(&world).await;
        assert_eq!(kids(&world).await, [rotated.kid]);
    }

    async fn a_compromised_key_opens_nothing_from_that_moment_on(db: Database) {
        let [here, there] = twins(&db, 0).await;
        let tokens = here.logged_in("mia@example.test").await;
        let (issuer, audience) = (here.service.issuer(), here.service.audience());
        let verifier = Verifier::new(issuer, audience, there.service.clone(), there.clock.clone());
        let verifier = verifier.remembering(Cache::new("test", &cache::Settings::default()));
        for _ in 0..3 {
            verifier.verify(&tokens.access).await.unwrap();
        }
        assert!(here.is_in(&tokens).await && there.is_in(&tokens).await);
        here.service.rotate_keys(&Caller::module("doorward-cli"), true).await.unwrap();
        assert!(!here.is_in(&tokens).await, "on the very next request");
        sweep(&there).await;
        assert!(!there.is_in(&tokens).await, "and elsewhere when the keys are read anew");
        assert!(verifier.verify(&tokens.access).await.is_err(), "remembered or not");
        let fresh = there.refresh(&tokens.refresh).await.expect(200).tokens();
        assert!(here.is_in(&fresh).await && there.is_in(&fresh).await, "a session goes on with its refresh token");
        verifier.verify(&fresh.access).await.unwrap();
        assert_eq!(kids(&here).await.len(), 1);
        assert_eq!(count(&db, "auth_signing_keys WHERE length(private_key) = 0").await, 1);
    }

    async fn a_clock_that_is_behind_believes_no_key_that_was_withdrawn_or_wiped(db: Database) {
        let [here, there] = twins(&db, 0).await;
        let tokens = there.logged_in("mia@example.test").await;
        here.pass(3_600);
        here.service.rotate_keys(&Caller::module("doorward-cli"), false).await.unwrap();
        here.pass(3_600);
        let rotated = here.service.rotate_keys(&Caller::module("doorward-cli"), true).await.unwrap();
        assert_eq!(count(&db, "auth_signing_keys WHERE length(private_key) = 0").await, 2);
        sweep(&there).await;
        assert_eq!(kids(&there).await, std::slice::from_ref(&rotated.kid));
        assert!(!there.is_in(&tokens).await);
        let fresh = there.refresh(&tokens.refresh).await.expect(200).tokens();
        assert!(there.is_in(&fresh).await && kid_of(&fresh) == rotated.kid);
    }

    async fn a_process_whose_clock_is_behind_starts_after_a_key_was_withdrawn(db: Database) {
        let master_key = MasterKey::generate().unwrap();
        let here = World::with_key(db.clone(), master_key.clone(), |_| {}).await;
        here.pass(3_600);
        let rotated = here.service.rotate_keys(&Caller::module("doorward-cli"), true).await.unwrap();
        let late = World::with_key(db.clone(), master_key, |_| {}).await;
        assert_eq!(kids(&late).await, std::slice::from_ref(&rotated.kid));
        assert_eq!(kid_of(&late.logged_in("mia@example.test").await), rotated.kid);
        assert_eq!(count(&db, "auth_signing_keys").await, 2, "it needs no key of its own");
    }

    async fn what_is_published_names_only_what_is_there(db: Database) {
        let world = World::new(db).await;
        let keys = world.get(JWKS).send().await.expect(200);
        for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
            let host = world.get(path).header("host", "evil.test").header("x-forwarded-host", "evil.test");
            let reply = host.send().await.expect(200);
            assert!(!reply.text.contains("evil"), "{}", reply.text);
            assert_eq!(reply.body["issuer"], PUBLIC_URL);
            for (name, value) in reply.body.as_object().unwrap() {
                assert!(value != &json!([]), "{name} is empty");
                let url = value.as_str().filter(|text| name != "issuer" && text.contains("://"));
                if let Some(url) = url {
                    let path = url.strip_prefix(PUBLIC_URL).unwrap();
                    assert_eq!(world.get(path).send().await.status, 200, "{url} does not answer");
                }
            }
            assert_eq!(reply.body["jwks_uri"], format!("{PUBLIC_URL}{JWKS}"));
            assert_eq!((reply.header("content-type"), reply.header("cache-control")), ("application/json", "public, max-age=300"));
        }
        let openid = world.get("/.well-known/openid-configuration").send().await.body;
        assert_eq!(openid["id_token_signing_alg_values_supported"], json!(["EdDSA"]));
        let etag = keys.header("etag").to_owned();
        for value in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
            let reply = world.get(JWKS).header("if-none-match", &value).send().await.expect(304);
            assert_eq!((reply.text.as_str(), reply.header("etag")), ("", etag.as_str()), "{value}");
        }
        world.get(JWKS).header("if-none-match", "\"x\"").send().await.expect(200);
        world.service.rotate_keys(&Caller::module("test"), false).await.unwrap();
        let reply = world.get(JWKS).header("if-none-match", &etag).send().await.expect(200);
        assert_ne!(reply.header("etag"), etag);
    }
}
