//! Seeing and ending one's own sessions.

use crate::store::sql;
use crate::world::{LOGINS, PASSWORD, SESSIONS, Tokens, World};
use contracts::SessionId;
use platform::db::{Database, Db};
use serde_json::json;
use testkit::both_engines;

async fn log_in_from(world: &World, address: &str, agent: &str) -> Tokens {
    let body = json!({ "email": "mia@example.test", "password": PASSWORD });
    let ask = world.post(LOGINS, &body).from(address).header("user-agent", agent);
    ask.send().await.expect(200).tokens()
}

both_engines! {
    async fn somebody_sees_where_he_is_logged_in(db: Database) {
        let world = World::new(db).await;
        let first = world.logged_in("mia@example.test").await;
        world.logged_in("somebody.else@example.test").await;
        world.pass(60);
        let second = log_in_from(&world, "2001:db8::1", "Browser/1.0 (x)").await;
        let reply = world.get(SESSIONS).by(&second).send().await.expect(200);
        let expected = json!({ "items": [
            {
                "id": second.session, "created_at": "2026-12-01T12:01:00Z", "last_used_at": "2026-12-01T12:01:00Z",
                "ip": "2001:db8::1", "user_agent": "Browser/1.0 (x)", "current": true,
            },
            {
                "id": first.session, "created_at": "2026-12-01T12:00:00Z", "last_used_at": "2026-12-01T12:00:00Z",
                "ip": "198.51.100.7", "user_agent": "test", "current": false,
            },
        ]});
        assert_eq!(reply.body, expected);
        world.pass(60);
        let first = world.refresh(&first.refresh).await.expect(200).tokens();
        let reply = world.get(SESSIONS).by(&first).send().await.expect(200);
        assert_eq!(reply.body["items"][0]["last_used_at"], json!("2026-12-01T12:02:00Z"));
        assert_eq!(reply.body["items"][0]["current"], json!(true));
    }

    async fn somebody_sees_as_many_logins_as_he_may_have(db: Database) {
        let world = World::with(db, |it| it.sessions.max_per_account = 1_000).await;
        let mine = world.logged_in("mia@example.test").await;
        let id = if world.db.dialect() == Db::Sqlite { "randomblob(16)" } else { "gen_random_uuid()" };
        let rest = "account_id, credential_version, family_key, created_at, last_used_at, expires_at";
        let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)";
        let insert = format!("INSERT INTO auth_sessions (id, {rest}) {many} SELECT {id}, {rest} FROM auth_sessions, n");
        sql(&world.db, &insert).await;
        let reply = world.get(SESSIONS).by(&mine).send().await.expect(200);
        assert_eq!(reply.body["items"].as_array().unwrap().len(), 1_000);
    }

    async fn an_ended_session_is_refused_on_the_very_next_request(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        let other = log_in_from(&world, "192.0.2.1", "phone").await;
        for _ in 0..5 {
            assert!(world.is_in(&other).await);
        }
        world.events().await;
        let path = format!("{SESSIONS}/{}", other.session);
        let reply = world.delete(&path).by(&mine).send().await.expect(204);
        assert_eq!(reply.text, "");
        assert!(!world.is_in(&other).await);
        world.refresh(&other.refresh).await.expect_problem(401, "auth.invalid_refresh_token");
        world.delete(&path).by(&mine).send().await.expect_problem(404, "auth.unknown_session");
        assert!(world.is_in(&mine).await);
        assert_eq!(world.told().await, ["auth.session.revoked"]);
        let entry = world.trail().await.pop().unwrap();
        assert_eq!(entry.after.unwrap()["session"], other.session.as_str());
    }

    async fn nobody_ends_somebody_elses_session(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        let theirs = world.logged_in("ben@example.test").await;
        for id in [theirs.session.clone(), SessionId::new().to_string()] {
            let reply = world.delete(&format!("{SESSIONS}/{id}")).by(&mine).send().await;
            reply.expect_problem(404, "auth.unknown_session");
        }
        for id in ["x", "%00", "..", &theirs.session.replace('-', "")] {
            world.delete(&format!("{SESSIONS}/{id}")).by(&mine).send().await.expect(404);
        }
        assert!(world.is_in(&theirs).await);
    }

    async fn logging_out_ends_this_session_only(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        let other = log_in_from(&world, "192.0.2.1", "phone").await;
        assert!(world.is_in(&mine).await && world.is_in(&mine).await);
        world.delete(&format!("{SESSIONS}/current")).by(&mine).send().await.expect(204);
        assert!(!world.is_in(&mine).await);
        world.refresh(&mine.refresh).await.expect(401);
        assert!(world.is_in(&other).await);
        let event = world.events().await.pop().unwrap();
        assert_eq!(event.data["reason"], json!("signed_out"));
    }

    async fn ending_the_others_keeps_this_one(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        let mut others = Vec::new();
        for n in 0..3 {
            others.push(log_in_from(&world, &format!("192.0.2.{n}"), "phone").await);
        }
        for other in &others {
            assert!(world.is_in(other).await && world.is_in(other).await);
        }
        let theirs = world.logged_in("ben@example.test").await;
        world.events().await;
        world.delete(SESSIONS).by(&mine).send().await.expect(204);
        for other in &others {
            assert!(!world.is_in(other).await);
            world.refresh(&other.refresh).await.expect(401);
        }
        assert!(world.is_in(&mine).await && world.is_in(&theirs).await);
        assert_eq!(world.told().await, ["auth.session.revoked"; 3]);
        world.delete(SESSIONS).by(&mine).send().await.expect(204);
        assert_eq!(world.told().await, Vec::<String>::new());
    }

    async fn nobody_sees_sessions_without_being_logged_in(db: Database) {
        let world = World::new(db).await;
        let mine = world.logged_in("mia@example.test").await;
        for (method, path) in [
            ("GET", SESSIONS.to_owned()), ("DELETE", SESSIONS.to_owned()), ("DELETE", format!("{SESSIONS}/current")),
            ("DELETE", format!("{SESSIONS}/{}", mine.session)), ("DELETE", format!("{SESSIONS}/x")),
        ] {
            let ask = || world.ask(method.parse().unwrap(), &path);
            ask().send().await.expect_problem(401, "platform.unauthenticated");
            for token in [&mine.refresh, "", "x", &mine.access[..mine.access.len() - 1]] {
                let reply = ask().header("authorization", &format!("Bearer {token}")).send().await;
                assert_eq!(reply.status, 401, "{method} {path} {token}");
            }
        }
        assert!(world.is_in(&mine).await);
    }

    async fn a_session_that_can_not_be_refreshed_any_more_is_not_shown(db: Database) {
        let world = World::new(db).await;
        world.logged_in("mia@example.test").await;
        world.pass(30 * 86_400);
        let mine = world.log_in("mia@example.test", PASSWORD).await.expect(200).tokens();
        let reply = world.get(SESSIONS).by(&mine).send().await.expect(200);
        assert_eq!(reply.body["items"].as_array().unwrap().len(), 1);
    }
}
