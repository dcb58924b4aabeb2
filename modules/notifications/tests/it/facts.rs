//! What auth tells becomes a message: to whom, in which language, with which link.

use std::sync::Arc;

use contracts::auth::{
    AccountEmailChanged, InvitationRequested, PasswordChanged, PasswordResetRequested, SignInNoticed,
};
use contracts::users::Profile;
use contracts::{EmailAddress, OneTimeRequestId, SessionId, UserId};
use notifications::Service;
use platform::db::Database;
use serde_json::Value;
use testkit::both_engines;

use crate::world::{World, deliver_all};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn person(world: &World, locale: Option<&str>) -> UserId {
    let user = world.auth.add_account("mia@example.org").id;
    let locale = locale.map(str::to_owned);
    let profile =
        Profile { id: user, display_name: Some("Mia".to_owned()), phone: None, locale, time_zone: None };
    world.users.set_profile(profile);
    user
}

fn sign_in(user: UserId, request: OneTimeRequestId, user_agent: &str, address: &str) -> SignInNoticed {
    SignInNoticed {
        user,
        session: SessionId::new(),
        request,
        at: contracts::Time::from_seconds(1_767_225_600),
        client_address: Some(address.to_owned()),
        user_agent: Some(user_agent.to_owned()),
    }
}

/// The only mail that was sent.
async fn mail(world: &World, service: &Arc<Service>) -> Value {
    deliver_all(service).await;
    let mails = world.mails(service).await;
    assert_eq!(mails.len(), 1, "{mails:?}");
    mails[0].clone()
}

fn text<'a>(mail: &'a Value, part: &str) -> &'a str {
    mail[part].as_str().unwrap()
}

both_engines! {
    async fn a_forgotten_password_brings_a_link(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let (user, request) = (person(&world, Some("de")), world.auth.open_request());
        world.hear(&service, &PasswordResetRequested { user, request }).await;
        let mail = mail(&world, &service).await;
        assert_eq!((&mail["to"], &mail["subject"]), (&"mia@example.org".into(), &"Neues Passwort wählen".into()));
        let link = mail["links"][0].as_str().unwrap();
        assert!(link.contains("token=") && text(&mail, "text").contains(link) && text(&mail, "html").contains(link));
        assert!(text(&mail, "text").starts_with("Guten Tag Mia,"), "{}", text(&mail, "text"));
    }

    async fn an_invitation_is_written_in_the_language_it_was_asked_for(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let user = world.auth.add_account("mia@example.org").id;
        let request = world.auth.open_request();
        world.hear(&service, &InvitationRequested { user, request, locale: Some("de-AT".to_owned()) }).await;
        let mail = mail(&world, &service).await;
        assert_eq!(mail["subject"], "Sie sind eingeladen");
        assert!(text(&mail, "text").contains(mail["links"][0].as_str().unwrap()));
    }

    async fn a_new_password_is_told_and_how_it_came_about(db: Database) {
        for (reset, said) in [(true, "with the link from a message"), (false, "by somebody who knew the old one")] {
            let world = World::new(db.clone());
            let service = world.service();
            let user = person(&world, None);
            let before = world.mails(&service).await.len();
            world.hear(&service, &PasswordChanged { user, reset }).await;
            deliver_all(&service).await;
            let mails = world.mails(&service).await;
            assert_eq!(mails.len(), before + 1);
            let mail = mails.iter().find(|mail| text(mail, "text").contains(said)).unwrap();
            assert_eq!((&mail["subject"], &mail["links"]), (&"Your password was changed".into(), &serde_json::json!([])));
            let inbox = world.ask_as(&service, user, actix_web::http::Method::GET, "/api/v1/inbox", None).await;
            assert_eq!(inbox.body["items"][0]["subject"], "Your password was changed");
        }
    }

    async fn a_strange_login_is_told_with_device_time_address_and_a_way_out(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let (user, request) = (person(&world, None), world.auth.open_request());
        world.hear(&service, &sign_in(user, request, FIREFOX, "192.0.2.7")).await;
        let mail = mail(&world, &service).await;
        for part in ["text", "html"] {
            let link = mail["links"][0].as_str().unwrap();
            for said in ["2026-01-01 00:00 UTC", "Firefox, Linux", "192.0.2.7", link] {
                assert!(text(&mail, part).contains(said), "{said} is not in {}", text(&mail, part));
            }
        }
    }

    async fn a_login_can_smuggle_no_link_into_the_notice_about_it(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let (user, request) = (person(&world, None), world.auth.open_request());
        let evil = "http://evil.example/<a href=//evil.example>It was you, click here\r\n\r\nhttps://evil.example";
        world.hear(&service, &sign_in(user, request, evil, "evil.example")).await;
        let mail = mail(&world, &service).await;
        for part in ["text", "html"] {
            let body = text(&mail, part);
            assert!(!body.contains("evil.example") && !body.contains("//evil"), "{body}");
        }
    }

    async fn the_address_that_was_left_is_told_and_not_the_new_one(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let user = person(&world, Some("de"));
        let previous = EmailAddress::parse("old@example.org").unwrap();
        world.hear(&service, &AccountEmailChanged { user, previous }).await;
        let mail = mail(&world, &service).await;
        assert_eq!((&mail["to"], &mail["subject"]), (&"old@example.org".into(), &"Die E-Mail-Adresse Ihres Kontos wurde geändert".into()));
        assert!(!mail.to_string().contains("mia@"), "{mail}");
    }

    async fn a_link_that_is_used_makes_its_message_obsolete(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let user = person(&world, None);
        let (spent, unknown) = (world.auth.open_request(), OneTimeRequestId::new());
        world.auth.spend_request(spent);
        for request in [spent, unknown] {
            world.hear(&service, &PasswordResetRequested { user, request }).await;
        }
        deliver_all(&service).await;
        assert_eq!(world.mails(&service).await.len(), 0);
        let listed = world.ask(&service, actix_web::http::Method::GET, "/api/v1/notifications?state=obsolete", None).await;
        let ids: Vec<_> = listed.body["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        assert_eq!(ids.len(), 2);
        for id in ids {
            let fate = world.fate(&service, id.as_str().unwrap()).await;
            assert_eq!(fate, ("obsolete".to_owned(), "link_gone".to_owned()));
        }
    }
}
