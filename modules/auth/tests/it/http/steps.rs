//! What an attacker tries between the steps: sending nothing, or bringing along what only the server may choose.

use crate::store::count;
use crate::world::{
    CONFIRM, INVITATIONS, LOGINS, PASSWORD, REGISTRATIONS, REPORTS, RESEND, RESETS, SESSIONS, SETUP, TOKENS,
    VERIFICATIONS, World,
};
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

/// Every step that anybody may take.
const STEPS: [&str; 10] =
    [REGISTRATIONS, VERIFICATIONS, RESEND, INVITATIONS, LOGINS, TOKENS, RESETS, CONFIRM, REPORTS, SETUP];

/// Every row that a step could make or change.
async fn rows(world: &World) -> Vec<i64> {
    let mut found = Vec::new();
    for table in [
        "auth_accounts",
        "auth_accounts WHERE state = 'active'",
        "auth_credentials",
        "auth_sessions",
        "auth_sessions WHERE revoked_at IS NULL",
        "auth_refresh_tokens",
        "auth_one_time_requests",
        "auth_one_time_requests WHERE used_at IS NULL",
        "platform_outbox",
        "platform_audit_events",
    ] {
        found.push(count(&world.db, table).await);
    }
    found
}

both_engines! {
    async fn sending_nothing_takes_no_step(db: Database) {
        let world = World::new(db).await;
        world.setup_token().await;
        world.logged_in("mia@example.test").await;
        world.reset_token("mia@example.test").await;
        world.register("new@example.test", PASSWORD).await.expect(202);
        let before = rows(&world).await;
        for path in STEPS {
            for body in ["", "{}", "[]", "null", "true", "\"\"", "[{}]", "{\"token\":\"\"}", "{\"token\":null}"] {
                for kind in ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
                    let ask = world.post(path, &json!({})).raw(body).header("content-type", kind);
                    let reply = ask.send().await;
                    assert!([400, 415, 422].contains(&reply.status), "{path} {body:?} as {kind}: {}", reply.text);
                    assert_eq!(reply.header("content-type"), "application/problem+json", "{path} {body:?} as {kind}");
                    assert_eq!(reply.header("set-cookie"), "");
                }
            }
        }
        assert_eq!(rows(&world).await, before, "something was made or changed");
        world.log_in("mia@example.test", PASSWORD).await.expect(200);
    }

    async fn nobody_chooses_the_session_he_gets(db: Database) {
        let world = World::new(db).await;
        let theirs = world.logged_in("eve@example.test").await;
        world.member("mia@example.test").await;
        let body = json!({ "email": "mia@example.test", "password": PASSWORD });
        let cookies = format!("session={0}; session_id={0}; access_token={1}; refresh_token={2}", theirs.session, theirs.access, theirs.refresh);
        let path = format!("{LOGINS}?session_id={0}&sid={0}", theirs.session);
        for path in [LOGINS, path.as_str()] {
            let ask = world.post(path, &body).by(&theirs).header("cookie", &cookies).header("x-session-id", &theirs.session);
            let reply = ask.send().await.expect(200);
            assert_eq!(reply.header("set-cookie"), "");
            let mine = reply.tokens();
            assert!(mine.session != theirs.session && mine.refresh != theirs.refresh);
            let seen = world.get(SESSIONS).by(&theirs).send().await.expect(200);
            assert_eq!(seen.body["items"].as_array().unwrap().len(), 1, "nothing of hers is in his account");
        }
        let mut named = body.clone();
        named["session_id"] = json!(theirs.session);
        let reply = world.post(LOGINS, &named).send().await.expect(422);
        assert_eq!(reply.rules(), [("/session_id", "unknown_field")]);
        let ask = world.get(SESSIONS).header("cookie", &cookies).send().await;
        ask.expect_problem(401, "platform.unauthenticated");
    }
}
