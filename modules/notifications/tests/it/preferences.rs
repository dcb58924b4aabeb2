//! What people want to get, and the link by which they say that they don't.

use std::sync::Arc;

use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use contracts::UserId;
use contracts::auth::{AccountState, AccountVerified};
use notifications::Service;
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;
use testkit::mail_trap::{MailTrap, Manner};

use crate::world::{Answer, World, announce, deliver_all};

const PATH: &str = "/api/v1/notification-preferences";
const LINK: &str = "/api/v1/notifications/unsubscribe";

async fn put(world: &World, service: &Arc<Service>, user: UserId, body: Value) -> Answer {
    world.ask_as(service, user, Method::PUT, PATH, Some(body)).await
}

/// What became of a message to a person over one channel.
async fn fate(world: &World, service: &Arc<Service>, user: UserId, channel: &str, category: &str) -> String {
    let body = json!({ "to": { "user_id": user }, "channels": [channel], "category": category });
    let id = world.send(service, &body).await;
    deliver_all(service).await;
    let (state, reason) = world.fate(service, &id).await;
    format!("{state} {reason}").trim().to_owned()
}

/// The link in the last mail that the trap took, as path and query.
fn link(trap: &MailTrap) -> String {
    let mail = trap.mails().pop().unwrap().data.replace("\r\n ", "");
    let line = mail.lines().find_map(|line| line.strip_prefix("List-Unsubscribe: <")).expect("a link");
    assert!(mail.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), "{mail}");
    line.trim_end_matches('>').strip_prefix("https://id.example.org").unwrap().to_owned()
}

async fn click(world: &World, service: &Arc<Service>, link: &str, body: &'static str) -> Answer {
    let form = ("content-type", "application/x-www-form-urlencoded");
    world.call(service, TestRequest::post().uri(link).insert_header(form).set_payload(body)).await
}

const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

both_engines! {
    async fn everything_is_on_until_somebody_decides(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        let read = world.ask_as(&service, user, Method::GET, PATH, None).await;
        assert_eq!((read.status, read.header("etag")), (StatusCode::OK, "\"0\""));
        let row = json!({ "email": true, "inbox": true, "sms": true });
        assert_eq!(read.body, json!({ "account": row, "general": row, "marketing": row, "product_news": row, "security": row }));
        let written = put(&world, &service, user, json!({ "marketing": { "email": false }, "security": { "email": true } })).await;
        assert_eq!((written.status, written.header("etag")), (StatusCode::OK, "\"1\""), "{}", written.text);
        assert_eq!(written.body["marketing"], json!({ "email": false, "inbox": true, "sms": true }));
        assert_eq!(world.ask_as(&service, user, Method::GET, PATH, None).await.body, written.body);
        let replaced = put(&world, &service, user, json!({})).await;
        assert_eq!(replaced.body, read.body, "what is not named is on");
    }

    async fn what_can_not_be_decided_is_refused_with_a_pointer(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        let cases = [
            (json!({ "security": { "email": false } }), "/security/email", "always_on"),
            (json!({ "nonsense": { "email": true } }), "/nonsense", "unknown"),
            (json!({ "a/b~c": {} }), "/a~1b~0c", "unknown"),
            (json!({ "general": { "fax": false } }), "/general/fax", "unknown"),
            (json!({ "general": { "email": "no" } }), "/general/email", ""),
            (json!({ "general": false }), "/general", ""),
            (json!([]), "", ""),
        ];
        for (body, pointer, code) in cases {
            let answer = put(&world, &service, user, body.clone()).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", answer.text);
            if !pointer.is_empty() {
                assert_eq!(answer.pointers(), [pointer], "{body}");
            }
            if !code.is_empty() {
                assert_eq!(answer.body["errors"][0]["code"], code, "{body}");
            }
        }
        assert_eq!(world.ask_as(&service, user, Method::GET, PATH, None).await.header("etag"), "\"0\"", "nothing was written");
    }

    async fn nobodys_change_is_lost(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        let change = |tag: &'static str, body: Value| {
            let request = TestRequest::put().uri(PATH).insert_header(world.bearer(user)).insert_header(("if-match", tag));
            world.call(&service, request.set_json(body))
        };
        assert_eq!(change("\"0\"", json!({ "general": { "email": false } })).await.status, StatusCode::OK);
        let stale = change("\"0\"", json!({ "general": { "sms": false } })).await;
        assert_eq!((stale.status.as_u16(), stale.code()), (412, "platform.precondition_failed"));
        let at_once = futures_util::future::join_all((0..10).map(|_| change("\"1\"", json!({ "account": { "sms": false } })))).await;
        let won = at_once.iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert_eq!(won, 1);
    }

    async fn what_is_switched_off_is_held_back_visibly_and_security_never_is(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        put(&world, &service, user, json!({ "general": { "email": false, "inbox": false } })).await;
        assert_eq!(fate(&world, &service, user, "email", "general").await, "suppressed preference_off");
        assert_eq!(fate(&world, &service, user, "inbox", "general").await, "suppressed preference_off");
        assert_eq!(fate(&world, &service, user, "email", "marketing").await, "sent");
        assert_eq!(fate(&world, &service, user, "email", "security").await, "sent");
        put(&world, &service, user, json!({ "general": { "inbox": false } })).await;
        let id = world.send(&service, &json!({ "to": { "user_id": user } })).await;
        deliver_all(&service).await;
        let both = world.deliveries(&service, &id).await;
        let states: Vec<_> = both.iter().map(|it| format!("{} {}", it["channel"], it["state"]).replace('"', "")).collect();
        assert_eq!(states, ["email sent", "inbox suppressed"], "each channel has an answer of its own");
    }

    async fn somebody_without_a_proven_address_or_an_account_in_use_gets_only_what_is_about_security(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let account = world.auth.add_account("mia@example.org");
        let user = account.id;
        for (state, verified, expected) in [
            (AccountState::Unverified, false, "suppressed email_unverified"),
            (AccountState::Disabled, true, "suppressed account_inactive"),
            (AccountState::Deleted, true, "suppressed account_inactive"),
        ] {
            world.auth.set_account(contracts::auth::Account { state, email_verified: verified, ..account.clone() });
            assert_eq!(fate(&world, &service, user, "email", "general").await, expected);
            assert_eq!(fate(&world, &service, user, "email", "security").await, "sent");
        }
        assert_eq!(fate(&world, &service, UserId::new(), "email", "general").await, "parked no_account");
    }

    async fn one_click_switches_mails_of_a_category_off(db: Database) {
        let trap = MailTrap::start().await;
        let world = World::mailing(db, &trap);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        assert_eq!(fate(&world, &service, user, "email", "marketing").await, "sent");
        let link = link(&trap);
        for _ in 0..3 {
            let shown = world.call(&service, TestRequest::get().uri(&link)).await;
            assert_eq!((shown.status, shown.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
            assert!(shown.text.contains("<form method=\"post\"") && !shown.text.contains("<script"), "{}", shown.text);
        }
        assert_eq!(fate(&world, &service, user, "email", "marketing").await, "sent", "looking changes nothing");
        for _ in 0..3 {
            let answer = click(&world, &service, &link, ONE_CLICK).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        }
        assert_eq!(fate(&world, &service, user, "email", "marketing").await, "suppressed preference_off");
        assert_eq!(fate(&world, &service, user, "email", "general").await, "sent");
        let read = world.ask_as(&service, user, Method::GET, PATH, None).await;
        assert_eq!((&read.body["marketing"]["email"], read.header("etag")), (&json!(false), "\"1\""), "once is enough");
    }

    async fn an_address_without_an_account_can_unsubscribe_too(db: Database) {
        let trap = MailTrap::start().await;
        let world = World::mailing(db, &trap);
        let service = world.service();
        let send = async |email: &str, category: &str| {
            let id = world.send(&service, &json!({ "to": { "email": email }, "category": category })).await;
            deliver_all(&service).await;
            world.fate(&service, &id).await.1
        };
        assert_eq!(send("mia@example.org", "marketing").await, "");
        let link = link(&trap);
        assert!(!link.contains("mia"), "{link}");
        assert_eq!(click(&world, &service, &link, ONE_CLICK).await.status, StatusCode::OK);
        assert_eq!(send("mia@example.org", "marketing").await, "unsubscribed");
        assert_eq!(send("mia@example.org", "general").await, "");
        assert_eq!(send("eve@example.org", "marketing").await, "");
    }

    async fn what_a_person_switched_off_by_a_link_does_not_come_to_the_bare_address_either(db: Database) {
        let trap = MailTrap::start().await;
        let world = World::mailing(db, &trap);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        let to_address = async |category: &str| {
            let id = world.send(&service, &json!({ "to": { "email": "mia@example.org" }, "category": category })).await;
            deliver_all(&service).await;
            world.fate(&service, &id).await.1
        };
        assert_eq!(fate(&world, &service, user, "email", "marketing").await, "sent");
        let link = link(&trap);
        assert_eq!(to_address("marketing").await, "");
        for _ in 0..2 {
            assert_eq!(click(&world, &service, &link, ONE_CLICK).await.status, StatusCode::OK);
        }
        assert_eq!(to_address("marketing").await, "unsubscribed");
        assert_eq!((to_address("general").await, to_address("security").await), (String::new(), String::new()));
        put(&world, &service, user, json!({})).await;
        assert_eq!(fate(&world, &service, user, "email", "marketing").await, "sent", "the account decides by preferences");
    }

    async fn a_link_counts_for_the_address_also_when_the_person_has_switched_off_such_mails_before(db: Database) {
        let trap = MailTrap::start().await;
        let world = World::mailing(db, &trap);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        assert_eq!(fate(&world, &service, user, "email", "marketing").await, "sent");
        let link = link(&trap);
        put(&world, &service, user, json!({ "marketing": { "email": false } })).await;
        assert_eq!(click(&world, &service, &link, ONE_CLICK).await.status, StatusCode::OK);
        let id = world.send(&service, &json!({ "to": { "email": "mia@example.org" }, "category": "marketing" })).await;
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &id).await.1, "unsubscribed");
        assert_eq!(world.ask_as(&service, user, Method::GET, PATH, None).await.header("etag"), "\"1\"", "decided once");
    }

    async fn mails_about_security_carry_no_such_link(db: Database) {
        let trap = MailTrap::start().await;
        let world = World::mailing(db, &trap);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        assert_eq!(fate(&world, &service, user, "email", "security").await, "sent");
        assert!(!trap.mails()[0].data.contains("nsubscribe"), "{}", trap.mails()[0].data);
    }

    async fn an_address_that_was_refused_gets_no_more_news_until_it_is_proven(db: Database) {
        let trap = MailTrap::start().await;
        let world = World::mailing(db, &trap);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        trap.next([Manner::Refuse]);
        assert_eq!(fate(&world, &service, user, "email", "general").await, "parked recipient_refused");
        assert_eq!(fate(&world, &service, user, "email", "general").await, "suppressed bounced");
        let bare = announce(&service, "mia@example.org", "News").await.to_string();
        deliver_all(&service).await;
        assert_eq!(world.fate(&service, &bare).await.1, "bounced");
        assert_eq!(fate(&world, &service, user, "email", "security").await, "sent", "a way back in stays open");
        world.hear(&service, &AccountVerified { user }).await;
        assert_eq!(fate(&world, &service, user, "email", "general").await, "sent");
    }
}

mod forgery {
    use super::*;

    both_engines! {
        async fn a_link_that_was_not_made_here_does_nothing(db: Database) {
            let trap = MailTrap::start().await;
            let world = World::mailing(db, &trap);
            let service = world.service();
            let user = world.auth.add_account("mia@example.org").id;
            assert_eq!(fate(&world, &service, user, "email", "marketing").await, "sent");
            let good = link(&trap);
            let token = good.split_once("token=").unwrap().1.to_owned();
            let mut forged: Vec<String> = (0..token.len()).step_by(7).map(|at| {
                let other = if token.as_bytes()[at] == b'A' { 'B' } else { 'A' };
                format!("{}{other}{}", &token[..at], &token[at + 1..])
            }).collect();
            forged.extend([String::new(), "x".to_owned(), token[..20].to_owned(), format!("{token}AA"), "A".repeat(5_000)]);
            for token in forged {
                let link = format!("{LINK}?token={token}");
                let answers = [click(&world, &service, &link, ONE_CLICK).await, world.call(&service, TestRequest::get().uri(&link)).await];
                for answer in answers {
                    assert_eq!((answer.status.as_u16(), answer.code()), (422, "notifications.invalid_unsubscribe"), "{token}");
                }
            }
            for body in ["", "List-Unsubscribe=no", "a=b", "List-Unsubscribe=One-Click&token=x"] {
                assert_eq!(click(&world, &service, &good, body).await.status.as_u16(), 422, "{body}");
            }
            assert_eq!(click(&world, &service, LINK, ONE_CLICK).await.status.as_u16(), 400);
            assert_eq!(fate(&world, &service, user, "email", "marketing").await, "sent");
            let mut other = World::new(world.db.clone());
            other.auth = Arc::clone(&world.auth);
            let elsewhere = other.service();
            assert_eq!(click(&other, &elsewhere, &good, ONE_CLICK).await.status.as_u16(), 422, "another master key");
        }

        async fn many_clicks_at_once_are_one(db: Database) {
            let trap = MailTrap::start().await;
            let world = World::mailing(db, &trap);
            let service = world.service();
            let user = world.auth.add_account("mia@example.org").id;
            assert_eq!(fate(&world, &service, user, "email", "marketing").await, "sent");
            let link = link(&trap);
            let answers = futures_util::future::join_all((0..30).map(|_| click(&world, &service, &link, ONE_CLICK))).await;
            assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
            assert_eq!(world.ask_as(&service, user, Method::GET, PATH, None).await.header("etag"), "\"1\"");
        }
    }
}
