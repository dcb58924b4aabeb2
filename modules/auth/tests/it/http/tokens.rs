//! Every kind of secret at every endpoint that takes one, and the keys that tokens are verified with.

use crate::store::{everything, sql};
use crate::world::{PASSWORD, SETUP, TOKENS, VERIFICATIONS, World};
use auth::{Settings, SigningAlgorithm};
use platform::db::Database;
use platform::settings::MasterKey;
use serde_json::{Value, json};
use testkit::both_engines;
use testkit::databases::TestDatabase;

both_engines! {
    async fn each_kind_of_secret_opens_its_own_door_only(db: Database) {
        let world = World::new(db).await;
        let tokens = world.logged_in("mia@example.test").await;
        world.register("new@example.test", PASSWORD).await.expect(202);
        let (_, request) = world.requested().await[0];
        let verification = world.token_of(request).await;
        let setup = world.setup_token().await;
        let kinds = [
            ("verification", verification.as_str()), ("refresh", &tokens.refresh), ("access", &tokens.access),
            ("setup", &setup), ("session", &tokens.session),
        ];
        let doors = [("verification", VERIFICATIONS), ("refresh", TOKENS), ("setup", SETUP)];
        for (opens, path) in doors {
            for (kind, secret) in kinds.iter().filter(|(kind, _)| *kind != opens) {
                // The same bytes behind this door's own prefix are no secret of this kind either.
                let prefix = match opens { "verification" => "dwv_", "refresh" => "dwr_", _ => "dws_" };
                let disguised = format!("{prefix}{}", secret.get(4..).unwrap_or_default());
                for secret in [secret, disguised.as_str()] {
                    let body = match opens {
                        "verification" => json!({ "token": secret }),
                        "refresh" => json!({ "refresh_token": secret }),
                        _ => json!({ "token": secret, "email": "root@example.test", "password": PASSWORD }),
                    };
                    let reply = world.post(path, &body).send().await;
                    let expected = if opens == "refresh" { 401 } else { 422 };
                    assert_eq!(reply.status, expected, "{kind} at {path}: {}", reply.text);
                }
            }
        }
        for secret in [verification.as_str(), &tokens.refresh, &setup] {
            let reply = world.get("/api/v1/auth/sessions").header("authorization", &format!("Bearer {secret}"));
            reply.send().await.expect(401);
        }
        world.verify(&verification).await.expect(204);
        world.refresh(&tokens.refresh).await.expect(200);
        let body = json!({ "token": setup, "email": "root@example.test", "password": PASSWORD });
        world.post(SETUP, &body).send().await.expect(201);
    }

    async fn the_database_holds_no_secret_anybody_could_use(db: TestDatabase) {
        let world = World::new(db.database()).await;
        let setup = world.setup_token().await;
        let tokens = world.logged_in("mia@example.test").await;
        let next = world.refresh(&tokens.refresh).await.expect(200).tokens();
        world.register("new@example.test", PASSWORD).await.expect(202);
        let (_, request) = world.requested().await[0];
        let verification = world.token_of(request).await;
        let dump = everything(&db).await;
        assert!(dump.contains("mia@example.test") && dump.contains("argon2id"), "the dump is one");
        for secret in [&setup, &tokens.refresh, &next.refresh, &verification, &tokens.access, PASSWORD] {
            let bare = secret.get(4..).unwrap();
            assert!(!dump.contains(bare), "{secret} is in the database");
            assert!(!dump.contains(&bare.bytes().map(|b| format!("{b:02x}")).collect::<String>()));
        }
        // The private key's PKCS#8 document begins like this, and so would an unsealed one.
        assert!(!dump.contains("302e020100300506032b6570") && !dump.contains("3051020101300506032b6570"));
    }

    async fn without_a_database_nothing_is_told_and_nobody_is_let_in(db: Database) {
        let world = World::new(db).await;
        let tokens = world.logged_in("mia@example.test").await;
        let setup = world.setup_token().await;
        let jwks = world.get("/.well-known/jwks.json").send().await.expect(200);
        world.db.close();
        let replies = [
            world.register("new@example.test", PASSWORD).await,
            world.log_in("mia@example.test", PASSWORD).await,
            world.log_in("nobody@example.test", PASSWORD).await,
            world.refresh(&tokens.refresh).await,
            world.verify(&format!("dwv_{}", "A".repeat(43))).await,
            world.get(crate::world::SESSIONS).by(&tokens).send().await,
            world.delete(crate::world::SESSIONS).by(&tokens).send().await,
            world.delete("/api/v1/auth/sessions/current").by(&tokens).send().await,
            world.post(SETUP, &json!({ "token": setup, "email": "a@b.test", "password": PASSWORD })).send().await,
        ];
        for reply in replies {
            let reply = reply.expect(503);
            let code = reply.body["code"].as_str().unwrap_or_default();
            assert!(["platform.database_unavailable", "platform.keys_unavailable"].contains(&code), "{code}");
            assert_eq!(reply.header("retry-after"), "1");
            for word in ["postgres", "sqlite", "pool", "127.0.0.1", "SELECT"] {
                assert!(!reply.text.contains(word), "{}", reply.text);
            }
        }
        assert_eq!(world.get("/.well-known/jwks.json").send().await.expect(200).text, jwks.text);
    }

    async fn everybody_gets_the_public_keys_and_nothing_else(db: Database) {
        let world = World::new(db).await;
        let reply = world.get("/.well-known/jwks.json").send().await.expect(200);
        assert_eq!((reply.header("content-type"), reply.header("cache-control")), ("application/json", "public, max-age=300"));
        let keys = reply.body["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 1);
        let mut names: Vec<_> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"]);
    }

    async fn a_restart_and_a_twin_use_the_same_key(db: Database) {
        let master_key = MasterKey::generate().unwrap();
        let twins = (0..8).map(|_| World::with_key(db.clone(), master_key.clone(), |_| {}));
        let twins = futures_util::future::join_all(twins).await;
        let tokens = twins[0].logged_in("mia@example.test").await;
        for twin in &twins {
            assert!(twin.is_in(&tokens).await);
            let reply = twin.get("/.well-known/jwks.json").send().await.expect(200);
            assert_eq!(reply.body["keys"].as_array().unwrap().len(), 1);
        }
    }

    async fn another_algorithm_gets_another_key_beside_the_first(db: Database) {
        let master_key = MasterKey::generate().unwrap();
        let before = World::with_key(db.clone(), master_key.clone(), |_| {}).await;
        let old = before.logged_in("mia@example.test").await;
        let es256 = |settings: &mut Settings| settings.tokens.algorithm = SigningAlgorithm::Es256;
        let after = World::with_key(db, master_key, es256).await;
        let new = after.log_in("mia@example.test", PASSWORD).await.expect(200).tokens();
        assert!(after.is_in(&old).await && after.is_in(&new).await);
        let reply = after.get("/.well-known/jwks.json").send().await.expect(200);
        let algorithms: Vec<_> = reply.body["keys"].as_array().unwrap().iter().map(|key| key["alg"].clone()).collect();
        assert_eq!(algorithms, [json!("EdDSA"), json!("ES256")]);
        assert!(!reply.text.contains("\"d\""));
    }

    async fn a_withdrawn_key_verifies_nothing(db: Database) {
        let world = World::new(db).await;
        let tokens = world.logged_in("mia@example.test").await;
        sql(&world.db, "UPDATE auth_signing_keys SET retired_at = created_at").await;
        world.pass(10);
        let set: Value = world.get("/.well-known/jwks.json").send().await.expect(200).body;
        assert_eq!(set["keys"], json!([]));
        assert!(!world.is_in(&tokens).await, "at once, and not when the verifier's set is old");
    }
}
