//! The first minutes: a house without people, and its first administrator.

use std::os::unix::fs::PermissionsExt;

use reqwest::Method;
use serde_json::json;

use crate::client::Ask;
use crate::house::token_in;
use crate::journey;

journey! {
    async fn the_first_administrator_comes_in_by_the_printed_link(house) {
        let client = house.client();
        let token = token_in(&house.setup_link.clone().expect("a set-up link is printed"));
        house.transcript.hide(&token);
        let setup = |token: &str, email: &str, password: &str| {
            let body = json!({ "token": token, "email": email, "password": password });
            Ask::new(Method::POST, "/api/v1/setup").body(&body)
        };

        house.transcript.say("A guessed token, and a token with a bad address and a weak password");
        let wrong = setup("dws_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "root@example.org", "correct horse battery");
        assert_eq!(client.tell(&mut house.transcript, &wrong).await.status, 422);
        let weak = setup(&token, "root", "short");
        assert_eq!(client.tell(&mut house.transcript, &weak).await.status, 422);

        house.transcript.say("The printed token still works: it is spent only when everything is right");
        let good = setup(&token, "root@example.org", "correct horse battery");
        assert_eq!(client.tell(&mut house.transcript, &good).await.status, 201);
        let again = setup(&token, "second@example.org", "correct horse battery");
        assert_eq!(client.tell(&mut house.transcript, &again).await.status, 410);

        house.transcript.say("The administrator logs in and may see the roles");
        let login = Ask::new(Method::POST, "/api/v1/auth/logins")
            .body(&json!({ "email": "root@example.org", "password": "correct horse battery" }));
        let answer = client.tell(&mut house.transcript, &login).await;
        assert_eq!(answer.status, 200);
        let mut root = house.client();
        root.access_token = answer.body["access_token"].as_str().map(ToOwned::to_owned);
        let roles = root.tell(&mut house.transcript, &Ask::new(Method::GET, "/api/v1/roles")).await;
        assert_eq!(roles.status, 200);

        house.transcript.say("After a restart no link is printed any more");
        assert!(house.stop().success());
        house.start();
        assert_eq!(house.setup_link, None);
    }
}

journey! {
    async fn secrets_on_disk_are_the_owners_only(house) {
        let secrets = house.data().join("secrets");
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        if house.has_neighbours() {
            assert!(!secrets.exists(), "several processes make no secrets: they must have the same");
            return;
        }
        assert_eq!(mode(&secrets), 0o700);
        let files: Vec<_> = std::fs::read_dir(&secrets).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty());
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
}

journey! {
    async fn nothing_of_the_management_listener_is_public(house) {
        let public = house.client();
        let management = crate::client::Client::new(&house.management);
        for path in ["/livez", "/readyz"] {
            assert_eq!(public.get(path).await.status, 200, "{path}");
            assert_eq!(management.get(path).await.status, 200, "{path}");
        }
        assert_eq!(public.get("/metrics").await.status, 404);
        let metrics = management.get("/metrics").await;
        assert!(metrics.body.as_str().unwrap().contains("doorward_http_requests_total"), "{:?}", metrics.body);
        assert_eq!(management.get("/api/v1/users/me").await.status, 404);
    }
}
