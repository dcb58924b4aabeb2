//! Secrets that must not be found again: not in the log at its most talkative, not in the database, not in its
//! files, not in Redis.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::mail_trap::MailTrap;

use crate::client::{Ask, Client};
use crate::house::{House, eventually, in_every_shape, token_in};
use crate::kept::kept;

const PASSWORD: &str = "canary-password-7f3a zwei Katzen";
const NEXT_PASSWORD: &str = "canary-next-91cc drei Hunde im Garten";
const WRONG: &str = "canary-wrong-55ab vier Maeuse";

/// Names that would forge a log line or colour a terminal, were they written as they are.
const FORGING: &str = "Mia\n{\"level\":\"ERROR\",\"message\":\"forged-line\"}\r\u{1b}[2J\u{1b}[31mred";

fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// Every secret in the links of a mail.
fn linked(data: &str) -> Vec<String> {
    let text = data.replace("=\r\n", "").replace("=3D", "=");
    let secret =
        |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
    text.split("token=").skip(1).map(secret).collect()
}

in_every_shape! {
    async fn no_password_token_or_link_is_found_in_the_log_or_the_database(shape) {
        let trap = MailTrap::start().await;
        let (url, key) = (trap.url(), platform::settings::MasterKey::generate().unwrap().to_base64());
        let settings = [
            ("DOORWARD_PROFILE", "production"),
            ("DOORWARD__PUBLIC_URL", "https://id.example.org"),
            ("DOORWARD__SECRETS__MASTER_KEY", key.as_str()),
            ("DOORWARD__SMTP__URL", url.as_str()),
            ("DOORWARD__SMTP__FROM", "mail@example.org"),
            ("DOORWARD__LOG__FILTER", "trace"),
            ("DOORWARD__LOG__FORMAT", "json"),
        ];
        let Some(mut house) = House::open(shape, &settings).await else { return };
        let client = house.client();
        let mut secrets =
            vec![PASSWORD.to_owned(), NEXT_PASSWORD.to_owned(), WRONG.to_owned(), key.to_string()];
        let mut personal = vec!["canary.root@example.org".to_owned(), "canary.mia@example.org".to_owned()];

        let setup = token_in(&house.setup_link.clone().unwrap());
        let body = json!({ "token": setup, "email": personal[0], "password": PASSWORD });
        assert_eq!(client.post("/api/v1/setup", &body).await.status, 201);
        secrets.push(setup);
        let body = json!({ "email": personal[1], "password": PASSWORD, "display_name": FORGING });
        let registered = client.post("/api/v1/auth/registrations", &body).await;
        assert!([202, 422].contains(&registered.status), "{registered:?}");
        if registered.status == 422 {
            let body = json!({ "email": personal[1], "password": PASSWORD, "display_name": "Mia" });
            assert_eq!(client.post("/api/v1/auth/registrations", &body).await.status, 202);
        }
        let link = linked(&trap.wait_for(1).await[0].data).remove(0);
        assert_eq!(client.post("/api/v1/auth/verifications", &json!({ "token": link })).await.status, 204);
        secrets.push(link);
        for password in [WRONG, PASSWORD] {
            let ask = Ask::new(Method::POST, "/api/v1/auth/logins")
                .body(&json!({ "email": personal[1], "password": password }))
                .header("user-agent", "Browser \"quoted\" {\"level\":\"ERROR\"}");
            let answer = client.send(&ask).await;
            for name in ["access_token", "refresh_token"] {
                secrets.extend(answer.body[name].as_str().map(ToOwned::to_owned));
            }
        }
        let (access, refresh) = (secrets[secrets.len() - 2].clone(), secrets[secrets.len() - 1].clone());
        let next = client.post("/api/v1/auth/tokens", &json!({ "refresh_token": refresh })).await;
        assert_eq!(next.status, 200);
        secrets.extend(
            ["access_token", "refresh_token"].map(|name| next.body[name].as_str().unwrap().to_owned()),
        );
        let mut mia = house.client();
        mia.access_token = Some(access.clone());
        assert_eq!(mia.get("/api/v1/users/me").await.status, 200);
        // Secrets where they don't belong: in a query, a path, an unknown field, a broken body, a foreign header.
        mia.get(&format!("/api/v1/users/me?access_token={access}")).await;
        mia.get(&format!("/nowhere/{refresh}")).await;
        mia.post("/api/v1/auth/logins", &json!({ "passwort": WRONG })).await;
        mia.send(&Ask::new(Method::POST, "/api/v1/auth/tokens").body(&Value::String(refresh.clone()))).await;
        mia.send(&Ask::new(Method::GET, "/api/v1/users/me").header("x-api-key", WRONG)).await;
        let mut odd = house.client();
        odd.access_token = Some(format!("{access}x"));
        odd.get("/api/v1/users/me").await;
        let change = Ask::new(Method::PUT, "/api/v1/auth/password")
            .body(&json!({ "current_password": PASSWORD, "new_password": NEXT_PASSWORD }));
        mia.send(&change).await;
        let reset = client.post("/api/v1/auth/password-resets", &json!({ "email": personal[0] })).await;
        assert_eq!(reset.status, 202);
        eventually("the mail with the reset", async || {
            trap.mails().iter().any(|mail| mail.data.contains("password-reset")).then_some(())
        })
        .await;
        secrets.extend(trap.mails().iter().flat_map(|mail| linked(&mail.data)));
        let mut metrics = Vec::new();
        for process in house.processes() {
            let text = Client::new(&process.management).get("/metrics").await.body.to_string();
            metrics.push(("metrics".to_owned(), text.into_bytes()));
        }
        let public = house.public.clone();
        assert!(house.stop().success());

        let log = house.log();
        assert!(log.lines().count() > 50, "the log is not talkative");
        let mut files = kept(&house).await;
        files.extend(metrics);
        assert!(files.iter().any(|(_, bytes)| holds(bytes, &personal[1])), "the address is in the database");
        for secret in &secrets {
            assert!(secret.len() > 12, "{secret}");
            for (file, bytes) in &files {
                assert!(!holds(bytes, secret), "{shape:?}: {secret} stands in {file}");
            }
        }
        personal.push(public);
        for line in log.lines() {
            let parsed: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_ne!(parsed["message"], "forged-line");
            assert!(!line.contains('\u{1b}'), "{line}");
        }
        for address in &personal[..2] {
            assert!(!log.contains(address.as_str()), "{address} stands in the log");
        }
    }
}
