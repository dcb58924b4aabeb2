//! What an operator does from the command line, beside a Doorward that runs and one that doesn't.

use reqwest::Method;
use serde_json::json;

use crate::client::{Ask, Person};
use crate::house::eventually;
use crate::journey;

const PASSWORD: &str = "correct horse battery";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

journey! {
    async fn an_administrator_is_made_by_command(house) {
        let create = ["admin", "create", "--email", "ada@example.org", "--password-stdin"];
        let weak = house.run(&create, "short");
        assert!(!weak.status.success());
        assert!(text(&weak.stderr).contains("/password: A password needs at least 8"), "{}", text(&weak.stderr));
        assert!(!house.run(&create[..4], "").status.success(), "without a way in, nobody is made administrator");

        let made = house.run(&create, &format!("{PASSWORD}\n"));
        assert!(made.status.success(), "{}", text(&made.stderr));
        assert!(text(&made.stdout).contains("is administrator"), "{}", text(&made.stdout));
        house.transcript.hide(PASSWORD);
        let ada = Person::log_in(&house.public, "ada@example.org", PASSWORD).await;
        eventually("the role", async || {
            (ada.client.send(&Ask::new(Method::GET, "/api/v1/roles")).await.status == 200).then_some(())
        })
        .await;

        let again = house.run(&create, "another good password");
        assert!(text(&again.stdout).contains("keeps its password"), "{}", text(&again.stdout));
        Person::log_in(&house.public, "ada@example.org", PASSWORD).await;
        let token = crate::house::token_in(&house.setup_link.clone().unwrap());
        let setup = json!({ "token": token, "email": "late@example.org", "password": PASSWORD });
        assert_eq!(house.client().post("/api/v1/setup", &setup).await.status, 410, "the printed link is over");

        // Also while nothing runs; but where permissions is a service of its own, that one must.
        let alone = !house.is_split();
        assert!(!alone || house.stop().success());
        let file = house.data().join("password");
        std::fs::write(&file, "a second good password\n").unwrap();
        let file = file.display().to_string();
        let offline = house.run(&["admin", "create", "--email", "bob@example.org", "--password-file", &file], "");
        assert!(offline.status.success(), "{}", text(&offline.stderr));
        if alone {
            house.start();
            assert_eq!(house.setup_link, None);
        }
        let bob = Person::log_in(&house.public, "bob@example.org", "a second good password").await;
        let trail = bob.client.get("/api/v1/audit-events?action=auth.administrator.appointed").await;
        let by: Vec<_> = trail.body["items"].as_array().unwrap().iter().map(|it| it["actor"]["id"].clone()).collect();
        assert_eq!(by, ["doorward-cli", "doorward-cli"]);
    }
}

journey! {
    async fn an_account_that_is_there_is_taken_over_by_command(house) {
        let mia = house.person("mia").await;
        let create = ["admin", "create", "--email", "mia@example.org", "--password-stdin"];
        let made = house.run(&create, &format!("{PASSWORD}\n"));
        assert!(made.status.success(), "{}", text(&made.stderr));
        assert!(text(&made.stdout).contains("was taken over"), "{}", text(&made.stdout));
        house.transcript.hide(PASSWORD);
        eventually("the old session to be over everywhere", async || {
            let mut over = true;
            for _ in 0..6 {
                over &= mia.client.get("/api/v1/users/me").await.status == 401;
            }
            over.then_some(())
        })
        .await;
        let before = json!({ "email": "mia@example.org", "password": "a long sentence for mia" });
        assert_eq!(house.client().post("/api/v1/auth/logins", &before).await.status, 401);
        let root = Person::log_in(&house.public, "mia@example.org", PASSWORD).await;
        eventually("the role", async || {
            (root.client.send(&Ask::new(Method::GET, "/api/v1/roles")).await.status == 200).then_some(())
        })
        .await;
        let again = house.run(&create, "another good password");
        assert!(text(&again.stdout).contains("nothing changed"), "{}", text(&again.stdout));
        assert_eq!(root.client.get("/api/v1/users/me").await.status, 200);
    }
}

journey! {
    async fn keys_are_changed_by_command_while_it_runs(house) {
        let mia = house.person("mia").await;
        let known = house.client().get("/.well-known/jwks.json").await;
        let rotated = house.run(&["keys", "rotate"], "");
        assert!(rotated.status.success(), "{}", text(&rotated.stderr));
        eventually("two keys", async || {
            let set = house.client().get("/.well-known/jwks.json").await.body;
            (set["keys"].as_array().unwrap().len() == 2).then_some(())
        })
        .await;
        assert_eq!(mia.client.get("/api/v1/users/me").await.status, 200, "nobody notices");

        let rotated = house.run(&["keys", "rotate", "--compromised"], "");
        assert!(rotated.status.success(), "{}", text(&rotated.stderr));
        // Each process hears of it by itself, and a proxy goes from one to the next.
        let set = eventually("the old tokens to be refused everywhere", async || {
            let mut set = serde_json::Value::Null;
            for _ in 0..6 {
                set = house.client().get("/.well-known/jwks.json").await.body;
                let refused = mia.client.get("/api/v1/users/me").await.status == 401;
                if !refused || set["keys"].as_array().unwrap().len() > 1 {
                    return None;
                }
            }
            Some(set)
        })
        .await;
        assert_eq!(set["keys"].as_array().unwrap().len(), 1);
        assert_ne!(set["keys"][0], known.body["keys"][0]);
        let again = Person::log_in(&house.public, "mia@example.org", "a long sentence for mia").await;
        assert_eq!(again.client.get("/api/v1/users/me").await.status, 200);
        for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
            let metadata = house.client().get(path).await;
            assert_eq!((metadata.status, metadata.body["issuer"].as_str()), (200, Some("http://doorward.test")));
        }
    }
}
