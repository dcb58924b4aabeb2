//! The mailbox of development: what it shows, and what it must not let a message do.

use actix_web::http::{Method, StatusCode};
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

use crate::world::{World, announce, deliver_all};

both_engines! {
    async fn an_empty_mailbox_says_what_to_do(db: Database) {
        let world = World::new(db);
        let page = world.ask(&world.service(), Method::GET, "/dev/mailbox", None).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.contains("Nothing here yet"), "{}", page.text);
        let json = world.ask(&world.service(), Method::GET, "/dev/mailbox.json", None).await;
        assert_eq!(json.body, json!({ "items": [] }));
    }

    async fn messages_are_listed_newest_first_with_their_links(db: Database) {
        let world = World::new(db);
        let service = world.service();
        announce(&service, "a@example.org", "First").await;
        deliver_all(&service).await;
        world.clock.advance(std::time::Duration::from_secs(1));
        let account = world.auth.add_account("mia@example.org");
        let request = world.auth.open_request();
        let fact = contracts::auth::VerificationRequested { user: account.id, request, locale: None };
        let caller = contracts::Caller::module("auth");
        let event = contracts::Event::of(&fact, &caller, world.clock.now()).unwrap();
        notifications::subscribers(&service)[0].hear(&event).await.unwrap();
        deliver_all(&service).await;

        let mails = world.mails(&service).await;
        assert_eq!((mails.len(), &mails[1]["subject"]), (2, &Value::from("First")));
        let members: Vec<_> = mails[0].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["channel", "created_at", "html", "id", "links", "subject", "text", "to"]);
        let link = mails[0]["links"][0].as_str().unwrap();
        assert!(link.contains("#token="), "{link}");
        for part in ["text", "html"] {
            assert!(mails[0][part].as_str().unwrap().contains(link), "{part}");
        }
        let page = world.ask(&service, Method::GET, "/dev/mailbox", None).await;
        assert!(page.text.contains(&format!("href=\"{}\"", escaped(link))), "{}", page.text);
        let second = format!("/dev/mailbox/{}", mails[1]["id"].as_str().unwrap());
        let page = world.ask(&service, Method::GET, &second, None).await;
        assert!(page.text.contains("<h2>First</h2>"), "{}", page.text);
        assert_eq!(world.ask(&service, Method::GET, "/dev/mailbox/nonsense", None).await.status, StatusCode::NOT_FOUND);
    }

    async fn a_message_can_neither_run_nor_load_anything(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let evil = "</pre><script>alert(1)</script>\"><img src=//evil.example onerror=alert(1)>";
        announce(&service, "a@example.org", evil).await;
        deliver_all(&service).await;
        let mail = &world.mails(&service).await[0];
        let path = format!("/dev/mailbox/{}", mail["id"].as_str().unwrap());
        let page = world.ask(&service, Method::GET, &path, None).await;
        assert!(!page.text.contains("<script>") && !page.text.contains("<img"), "{}", page.text);
        assert!(page.text.contains("sandbox=\"allow-popups allow-popups-to-escape-sandbox\""));
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");

        let message = world.ask(&service, Method::GET, &format!("{path}/html"), None).await;
        assert_eq!(message.header("content-type"), "text/html; charset=utf-8");
        let policy = message.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("sandbox "), "{policy}");
        for allowed in ["script-src", "allow-scripts", "allow-same-origin", "img-src", "connect-src"] {
            assert!(!policy.contains(allowed), "{policy}");
        }
    }

    async fn the_page_loads_only_its_own_files(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let files = [("style.css", "text/css; charset=utf-8"), ("script.js", "text/javascript; charset=utf-8")];
        for (file, kind) in files {
            let answer = world.ask(&service, Method::GET, &format!("/dev/mailbox/{file}"), None).await;
            assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, kind));
            assert!(!answer.text.contains("http://") && !answer.text.contains("https://"), "{file}");
        }
    }

    async fn without_development_there_is_nothing_in_it(db: Database) {
        let mut world = World::new(db);
        world.mailbox = false;
        let service = world.service_with(crate::world::Hand::new(|_| Ok(())));
        announce(&service, "a@example.org", "First").await;
        deliver_all(&service).await;
        assert_eq!(world.mails(&service).await.len(), 0);
    }
}

fn escaped(link: &str) -> String {
    link.replace('&', "&amp;").replace('/', "&#x2f;")
}
