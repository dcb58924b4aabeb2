//! The mail server: who it must be, how it must be reached, and what it is handed.

use actix_web::http::Method;
use notifications::{Service, Smtp};
use platform::db::Database;
use testkit::both_engines;
use testkit::mail_trap::{MailTrap, Manner, Tls};

use crate::world::{World, announce, deliver_all};

/// A world whose mail server is this trap, as `scheme://credentials@host`.
fn securely(db: Database, trap: &MailTrap, scheme: &str, host: &str, trusted: bool) -> World {
    let mut world = World::mailing(db, trap);
    world.smtp.url = format!("{scheme}://user:pass@{host}:{}", trap.address().port()).as_str().into();
    if trusted {
        world.smtp.ca_file = trap.ca_file();
    }
    world
}

async fn outcome(world: &World) -> (String, String) {
    let service = world.service();
    let id = announce(&service, "mia@example.org", "News").await;
    deliver_all(&service).await;
    let answer = world.ask(&service, Method::GET, &format!("/api/v1/notifications/{id}"), None).await;
    let why = answer.body["deliveries"][0]["last_error"].as_str().unwrap_or_default().to_owned();
    (answer.body["state"].as_str().unwrap().to_owned(), why)
}

both_engines! {
    async fn a_trusted_server_gets_mail_over_tls(db: Database) {
        for (mode, scheme) in [(Tls::Implicit, "smtps"), (Tls::StartTls, "smtp")] {
            let trap = MailTrap::start_tls(mode, "localhost").await;
            let world = securely(db.clone(), &trap, scheme, "localhost", true);
            assert_eq!(outcome(&world).await, ("sent".to_owned(), String::new()), "{mode:?}");
            assert_eq!(trap.mails().len(), 1);
        }
    }

    async fn a_server_with_the_name_of_another_gets_nothing(db: Database) {
        for (mode, scheme) in [(Tls::Implicit, "smtps"), (Tls::StartTls, "smtp")] {
            let trap = MailTrap::start_tls(mode, "elsewhere.example").await;
            let world = securely(db.clone(), &trap, scheme, "localhost", true);
            let (state, why) = outcome(&world).await;
            assert!(state == "queued" && why.contains("certificate"), "{mode:?}: {state}, {why}");
            assert_eq!((trap.mails().len(), trap.named()), (0, 0));
        }
    }

    async fn a_server_nobody_vouches_for_gets_nothing(db: Database) {
        for (mode, scheme) in [(Tls::Implicit, "smtps"), (Tls::StartTls, "smtp")] {
            let trap = MailTrap::start_tls(mode, "localhost").await;
            let world = securely(db.clone(), &trap, scheme, "localhost", false);
            let (state, why) = outcome(&world).await;
            assert!(state == "queued" && why.contains("certificate"), "{mode:?}: {state}, {why}");
            assert_eq!((trap.mails().len(), trap.named()), (0, 0));
        }
    }

    async fn a_server_that_offers_no_tls_gets_neither_mail_nor_password(db: Database) {
        let trap = MailTrap::start().await;
        let world = securely(db, &trap, "smtp", "localhost", false);
        let (state, why) = outcome(&world).await;
        assert!(state == "queued" && why.contains("STARTTLS"), "{state}, {why}");
        assert_eq!((trap.mails().len(), trap.named(), trap.logins()), (0, 0, 0));
    }

    async fn a_connection_is_used_again_but_not_after_a_send_that_was_cut_off(db: Database) {
        let trap = MailTrap::start().await;
        let mut world = World::mailing(db, &trap);
        world.settings.send_timeout_ms = 300;
        world.settings.concurrency = 1;
        let service = world.service();
        for _ in 0..3 {
            announce(&service, "mia@example.org", "News").await;
        }
        deliver_all(&service).await;
        assert_eq!((trap.mails().len(), trap.connections()), (3, 1));
        trap.next([Manner::Hang]);
        announce(&service, "mia@example.org", "News").await;
        announce(&service, "mia@example.org", "News").await;
        deliver_all(&service).await;
        assert_eq!((trap.mails().len(), trap.connections()), (4, 2), "the one that hung is not used again");
    }

    async fn mail_is_plain_text_and_html_with_the_headers_it_needs(db: Database) {
        let trap = MailTrap::start().await;
        let world = World::mailing(db, &trap);
        let service = world.service();
        announce(&service, "mia@example.org", "Grüße\r\nBcc: evil@example.org").await;
        deliver_all(&service).await;
        let mail = &trap.mails()[0];
        assert_eq!(mail.to, ["mia@example.org"]);
        assert_eq!(mail.header("To"), Some("mia@example.org"));
        assert_eq!(mail.header("From"), Some("Doorward <mail@doorward.example>"));
        assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated"));
        assert_eq!(mail.header("Bcc"), None);
        assert!(mail.header("Subject").unwrap().starts_with("=?utf-8?"), "{mail:?}");
        assert!(mail.header("Content-Type").unwrap().starts_with("multipart/alternative"), "{mail:?}");
        for part in ["text/plain; charset=utf-8", "text/html; charset=utf-8"] {
            assert!(mail.data.contains(part), "{part}: {}", mail.data);
        }
    }

    async fn a_server_that_is_not_there_is_tried_again(db: Database) {
        let address = MailTrap::start().await.address();
        let mut world = World::new(db);
        world.smtp = Smtp {
            url: format!("smtp+insecure://{address}").as_str().into(),
            from: "mail@doorward.example".to_owned(),
            ..Smtp::default()
        };
        let (state, why) = outcome(&world).await;
        assert!(state == "queued" && why.starts_with("No connection to the mail server"), "{state}, {why}");
    }

    async fn settings_that_are_not_fit_stop_the_start_with_a_sentence(db: Database) {
        let trap = MailTrap::start().await;
        let mut world = World::mailing(db, &trap);
        let told = |world: &World| Service::new(world.parts()).unwrap_err().to_string();
        world.smtp.from = String::new();
        assert!(told(&world).contains("smtp.from"));
        world.smtp.from = "mail@doorward.example".to_owned();
        world.smtp.ca_file = "/nowhere/ca.pem".into();
        assert!(told(&world).contains("/nowhere/ca.pem"));
        world.smtp = Smtp::default();
        world.mailbox = false;
        assert!(told(&world).contains("smtp.url is not set"));
        world.mailbox = true;
        world.settings.concurrency = 0;
        assert!(told(&world).contains("notifications.concurrency"));
    }
}
