//! Telling the owner of logins from elsewhere, and "this was not me".

use crate::accounts::{to_invite, to_make};
use crate::store::{count, sql};
use crate::world::{PASSWORD, REPORTS, World};
use contracts::auth::{PasswordResetRequested, SignInNoticed};
use futures_util::future::join_all;
use platform::db::Database;
use serde_json::json;
use testkit::both_engines;

const NEW: &str = "a brand new battery staple";
const MIA: &str = "mia@example.test";

/// Mia, who has logged in at home before, and somebody else who knows her password.
async fn noticed(world: &World) -> (crate::world::Tokens, crate::world::Tokens, String) {
    let mine = world.logged_in(MIA).await;
    world.events().await;
    let theirs = world.log_in_from("203.0.113.66", "Evil/1.0", MIA).await.expect(200).tokens();
    let fact = world.facts::<SignInNoticed>().await.remove(0);
    (mine, theirs, world.token_of(fact.request).await)
}

both_engines! {
    async fn the_first_login_to_an_account_that_somebody_else_made_is_told_of(db: Database) {
        let world = World::new(db).await;
        world.create(to_make(MIA)).await.unwrap();
        world.events().await;
        let theirs = world.log_in_from("203.0.113.66", "Evil/1.0", MIA).await.expect(200).tokens();
        let fact = world.facts::<SignInNoticed>().await.remove(0);
        world.report(&world.token_of(fact.request).await).await.expect(204);
        assert!(!world.is_in(&theirs).await);
    }

    async fn who_accepted_an_invitation_logs_in_there_without_a_notice(db: Database) {
        let world = World::new(db).await;
        world.create(to_invite(MIA)).await.unwrap();
        let request = world.invited().await.remove(0);
        world.accept(&world.token_of(request).await, PASSWORD).await.expect(204);
        world.log_in(MIA, PASSWORD).await.expect(200);
        assert_eq!(world.facts::<SignInNoticed>().await, []);
        world.log_in_from("203.0.113.66", "Evil/1.0", MIA).await.expect(200);
        assert_eq!(world.facts::<SignInNoticed>().await.len(), 1);
    }

    async fn a_new_device_is_told_of_once_and_the_very_first_never(db: Database) {
        let world = World::new(db).await;
        let user = world.member(MIA).await;
        world.events().await;
        world.log_in_from("192.0.2.1", "Browser/1.0 (x)", MIA).await.expect(200);
        assert_eq!(world.facts::<SignInNoticed>().await, []);
        let there = world.log_in_from("203.0.113.9", "Browser/1.0 (x)", MIA).await.expect(200).tokens();
        let facts = world.facts::<SignInNoticed>().await;
        assert_eq!(facts.len(), 1);
        let fact = &facts[0];
        assert_eq!((fact.user, fact.session.to_string(), fact.at), (user, there.session, world.clock.now()));
        assert_eq!(fact.client_address.as_deref(), Some("203.0.113.9"));
        assert_eq!(fact.user_agent.as_deref(), Some("Browser/1.0 (x)"));
        for (address, agent) in
            [("203.0.113.200", "Browser/1.0 (x)"), ("192.0.2.1", "browser/7.3 (x)"), ("203.0.113.9", "Browser/1.0 (x)")]
        {
            world.log_in_from(address, agent, MIA).await.expect(200);
        }
        assert_eq!(world.facts::<SignInNoticed>().await, []);
        world.log_in_from("203.0.113.9", "App (y)", MIA).await.expect(200);
        assert_eq!(world.facts::<SignInNoticed>().await.len(), 1);
        let stored = count(&world.db, "auth_devices").await;
        assert_eq!(stored, 3);
    }

    async fn logins_at_once_from_one_new_device_are_told_of_once(db: Database) {
        let world = World::new(db).await;
        world.logged_in(MIA).await;
        world.events().await;
        let replies = join_all((0..10).map(|_| world.log_in_from("203.0.113.9", "phone", MIA))).await;
        assert!(replies.iter().all(|it| it.status == 200));
        assert_eq!(world.facts::<SignInNoticed>().await.len(), 1);
    }

    async fn whoever_calls_himself_something_else_each_time_does_not_flood_the_owner(db: Database) {
        let world = World::new(db).await;
        world.logged_in(MIA).await;
        world.events().await;
        for n in 0..30 {
            let agent = "x".repeat(n + 1);
            world.log_in_from("203.0.113.9", &agent, MIA).await.expect(200);
        }
        assert_eq!(world.facts::<SignInNoticed>().await.len(), 20);
    }

    async fn who_wants_no_notices_gets_none(db: Database) {
        let world = World::with(db, |it| it.devices.notice = false).await;
        world.logged_in(MIA).await;
        world.log_in_from("203.0.113.9", "phone", MIA).await.expect(200);
        assert_eq!(world.facts::<SignInNoticed>().await, []);
        assert_eq!(count(&world.db, "auth_one_time_requests WHERE kind = 'session_report'").await, 0);
    }

    async fn a_report_throws_everybody_out_and_offers_another_password(db: Database) {
        let world = World::new(db).await;
        let (mine, theirs, token) = noticed(&world).await;
        assert!(world.is_in(&mine).await && world.is_in(&theirs).await);
        world.report(&token).await.expect(204);
        for session in [&mine, &theirs] {
            assert!(!world.is_in(session).await);
            world.refresh(&session.refresh).await.expect(401);
        }
        world.log_in(MIA, PASSWORD).await.expect_problem(401, "auth.invalid_credentials");
        let events = world.events().await;
        assert_eq!(events.iter().filter(|it| it.data["reason"] == json!("reported")).count(), 2);
        let offer = events.iter().find(|it| it.is::<PasswordResetRequested>()).unwrap();
        let offer = offer.read::<PasswordResetRequested>().unwrap();
        world.reset(&world.token_of(offer.request).await, NEW).await.expect(204);
        world.log_in(MIA, NEW).await.expect(200);
        world.report(&token).await.expect_problem(410, "auth.spent_token");
        assert!(world.trail().await.iter().any(|it| it.action == "auth.session.reported"));
    }

    async fn opening_the_link_changes_nothing(db: Database) {
        let world = World::new(db).await;
        let (mine, theirs, token) = noticed(&world).await;
        for path in [format!("/session-report?token={token}"), REPORTS.to_owned(), format!("{REPORTS}?token={token}")] {
            world.get(&path).send().await;
        }
        assert!(world.is_in(&mine).await && world.is_in(&theirs).await);
        world.report(&token).await.expect(204);
    }

    async fn whoever_changes_the_password_does_not_outrun_the_report(db: Database) {
        let world = World::new(db).await;
        let (mine, theirs, token) = noticed(&world).await;
        world.change_password(&theirs, PASSWORD, NEW).await.expect(204);
        assert!(!world.is_in(&mine).await && world.is_in(&theirs).await);
        world.report(&token).await.expect(204);
        assert!(!world.is_in(&theirs).await);
        world.log_in(MIA, NEW).await.expect(401);
        let offer = world.facts::<PasswordResetRequested>().await.remove(0);
        world.reset(&world.token_of(offer.request).await, "the owner is back again").await.expect(204);
    }

    async fn logging_in_twice_does_not_outrun_the_report(db: Database) {
        let world = World::new(db).await;
        let (_, first, token) = noticed(&world).await;
        let second = world.log_in_from("203.0.113.66", "Evil/1.0", MIA).await.expect(200).tokens();
        assert_eq!(world.facts::<SignInNoticed>().await, []);
        world.change_password(&second, PASSWORD, NEW).await.expect(204);
        assert!(!world.is_in(&first).await && world.is_in(&second).await);
        world.events().await;
        world.report(&token).await.expect(204);
        assert!(!world.is_in(&second).await);
        world.log_in(MIA, NEW).await.expect(401);
        let offer = world.facts::<PasswordResetRequested>().await.remove(0);
        world.reset(&world.token_of(offer.request).await, "the owner is back again").await.expect(204);
        world.log_in(MIA, "the owner is back again").await.expect(200);
    }

    async fn an_owner_who_only_changed_the_password_resets_it_once_more(db: Database) {
        let world = World::new(db).await;
        let (mine, theirs, token) = noticed(&world).await;
        world.change_password(&mine, PASSWORD, NEW).await.expect(204);
        assert!(world.is_in(&mine).await && !world.is_in(&theirs).await);
        world.events().await;
        world.report(&token).await.expect(204);
        assert!(!world.is_in(&mine).await, "nobody can tell who changed it");
        let offer = world.facts::<PasswordResetRequested>().await.remove(0);
        world.reset(&world.token_of(offer.request).await, PASSWORD).await.expect(204);
        world.report(&token).await.expect(410);
    }

    async fn logging_out_does_not_outrun_the_report(db: Database) {
        let world = World::new(db).await;
        let (mine, theirs, token) = noticed(&world).await;
        world.delete("/api/v1/auth/sessions/current").by(&theirs).send().await.expect(204);
        world.report(&token).await.expect(204);
        assert!(!world.is_in(&mine).await);
        world.log_in(MIA, PASSWORD).await.expect(401);
    }

    async fn a_late_report_does_not_undo_the_owner_s_own_new_password(db: Database) {
        let world = World::new(db).await;
        let (_, theirs, token) = noticed(&world).await;
        let reset = world.reset_token(MIA).await;
        world.reset(&reset, NEW).await.expect(204);
        assert!(!world.is_in(&theirs).await);
        let body = json!({ "email": MIA, "password": NEW });
        let mine = world.post(crate::world::LOGINS, &body).send().await.expect(200).tokens();
        world.events().await;
        world.report(&token).await.expect_problem(410, "auth.spent_token");
        assert!(world.is_in(&mine).await);
        assert_eq!(world.facts::<PasswordResetRequested>().await, []);
        world.log_in(MIA, NEW).await.expect(200);
    }

    async fn a_report_is_over_at_its_time(db: Database) {
        let world = World::with(db, |it| it.links.report_hours = 1).await;
        let (mine, theirs, token) = noticed(&world).await;
        world.pass(3_600);
        world.report(&token).await.expect_problem(410, "auth.spent_token");
        for tokens in [mine, theirs] {
            world.refresh(&tokens.refresh).await.expect(200);
        }
    }

    async fn after_a_reset_every_device_is_a_new_one(db: Database) {
        let world = World::new(db).await;
        noticed(&world).await;
        let token = world.reset_token(MIA).await;
        world.reset(&token, PASSWORD).await.expect(204);
        world.events().await;
        world.log_in_from("203.0.113.66", "Evil/1.0", MIA).await.expect(200);
        assert_eq!(world.facts::<SignInNoticed>().await.len(), 1);
    }

    async fn a_disabled_account_s_report_ends_its_sessions_only(db: Database) {
        let world = World::new(db).await;
        let (_, _, token) = noticed(&world).await;
        sql(&world.db, "UPDATE auth_accounts SET state = 'disabled'").await;
        world.report(&token).await.expect(204);
        assert_eq!(world.facts::<PasswordResetRequested>().await, []);
        assert_eq!(count(&world.db, "auth_sessions WHERE revoked_at IS NULL").await, 0);
        assert_eq!(count(&world.db, "auth_credentials").await, 1);
    }

    async fn fifty_at_once_are_one_success(db: Database) {
        let world = World::new(db).await;
        for round in 0..20 {
            let email = format!("mia{round}@example.test");
            world.logged_in(&email).await;
            world.events().await;
            world.log_in_from("203.0.113.66", "Evil/1.0", &email).await.expect(200);
            let fact = world.facts::<SignInNoticed>().await.remove(0);
            let token = world.token_of(fact.request).await;
            let replies = join_all((0..50).map(|_| world.report(&token))).await;
            let count = |status| replies.iter().filter(|reply| reply.status == status).count();
            assert_eq!((count(204), count(410)), (1, 49));
            assert_eq!(world.facts::<PasswordResetRequested>().await.len(), 1);
        }
    }
}
