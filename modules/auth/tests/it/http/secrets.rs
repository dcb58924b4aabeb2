//! Every kind of secret at every endpoint that takes one: only its own opens it.

use crate::world::{
    CONFIRM, INVITATIONS, OTHER_PASSWORD, PASSWORD, REPORTS, SETUP, TOKENS, VERIFICATIONS, World,
};
use contracts::auth::SignInNoticed;
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

/// The endpoints that take a secret, with what is sent to them.
fn endpoints(token: &str) -> [(&'static str, &'static str, Value); 6] {
    [
        ("verification", VERIFICATIONS, json!({ "token": token })),
        ("setup", SETUP, json!({ "token": token, "email": "root@example.test", "password": OTHER_PASSWORD })),
        ("refresh", TOKENS, json!({ "refresh_token": token })),
        ("password_reset", CONFIRM, json!({ "token": token, "new_password": OTHER_PASSWORD })),
        ("session_report", REPORTS, json!({ "token": token })),
        ("invitation", INVITATIONS, json!({ "token": token, "password": OTHER_PASSWORD })),
    ]
}

both_engines! {
    async fn only_its_own_secret_opens_an_endpoint(db: Database) {
        let world = World::new(db).await;
        world.register("new@example.test", PASSWORD).await.expect(202);
        let verification = world.token_of(world.requested().await[0].1).await;
        let tokens = world.logged_in("mia@example.test").await;
        world.logged_in("ben@example.test").await;
        world.events().await;
        world.log_in_from("203.0.113.9", "phone", "ben@example.test").await.expect(200);
        let report = world.token_of(world.facts::<SignInNoticed>().await[0].request).await;
        world.member("ida@example.test").await;
        let reset = world.reset_token("ida@example.test").await;
        world.create(crate::accounts::to_invite("eva@example.test")).await.unwrap();
        let invitation = world.token_of(world.invited().await[0]).await;
        let secrets = [
            ("verification", verification), ("setup", world.setup_token().await), ("refresh", tokens.refresh.clone()),
            ("password_reset", reset), ("session_report", report), ("invitation", invitation), ("access", tokens.access.clone()),
        ];
        for (kind, secret) in &secrets {
            for (endpoint, path, body) in endpoints(secret) {
                if *kind != endpoint {
                    let status = world.post(path, &body).send().await.status;
                    assert_eq!(status, if endpoint == "refresh" { 401 } else { 422 }, "{kind} at {endpoint}");
                }
            }
            if *kind != "access" {
                let ask = world.get(crate::world::SESSIONS).header("authorization", &format!("Bearer {secret}"));
                ask.send().await.expect(401);
            }
        }
        assert!(world.is_in(&tokens).await);
        for (kind, secret) in &secrets {
            let own = endpoints(secret).into_iter().find(|(endpoint, ..)| endpoint == kind);
            if let Some((_, path, body)) = own {
                let status = world.post(path, &body).send().await.status;
                assert!((200..300).contains(&status), "{kind}: {status}");
            }
        }
    }

    async fn a_secret_of_another_kind_is_no_hash_of_the_right_one(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        let reset = world.reset_token("mia@example.test").await;
        for prefix in ["dwv_", "dws_", "dwr_", "dwi_", "dwe_"] {
            let other = reset.replacen("dwp_", prefix, 1);
            for (_, path, body) in endpoints(&other) {
                let status = world.post(path, &body).send().await.status;
                assert!(status == 401 || status == 422, "{prefix} {path}: {status}");
            }
        }
        world.reset(&reset, OTHER_PASSWORD).await.expect(204);
    }
}
