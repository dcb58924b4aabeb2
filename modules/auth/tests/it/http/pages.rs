//! The pages that links lead to.

use crate::world::{PASSWORD, World};
use platform::db::Database;
use testkit::both_engines;

both_engines! {
    async fn the_pages_load_nothing_from_elsewhere_and_run_nothing_inline(db: Database) {
        let world = World::new(db).await;
        for path in ["/verify", "/setup", "/password-reset", "/session-report", "/invitation", "/verify?token=dwv_x"] {
            let reply = world.get(path).send().await.expect(200);
            assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
            assert_eq!((reply.header("referrer-policy"), reply.header("cache-control")), ("no-referrer", "no-store"));
            let policy = reply.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
            assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
            let page = &reply.text;
            assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("//"), "{path}");
            assert!(!page.contains("style=") && !page.contains("onclick") && !page.contains("<style"), "{path}");
            assert!(!page.contains("dwv_"), "nothing of the request is in the page");
            for file in ["/assets/auth.css", "/assets/auth.js"] {
                assert!(page.contains(&format!("\"{file}\"")), "{path} uses {file}");
            }
        }
        let script = world.get("/assets/auth.js").send().await.expect(200);
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        assert!(!script.text.contains("innerHTML") && !script.text.contains("eval("));
        let style = world.get("/assets/auth.css").send().await.expect(200);
        assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
        assert!(!style.text.contains("url(") && !style.text.contains("@import"));
    }

    async fn opening_a_link_changes_nothing(db: Database) {
        let world = World::new(db).await;
        world.register("mia@example.test", PASSWORD).await.expect(202);
        let (_, request) = world.requested().await[0];
        let token = world.token_of(request).await;
        for _ in 0..3 {
            world.get(&format!("/verify?token={token}")).send().await.expect(200);
            world.get("/api/v1/auth/verifications").send().await;
        }
        world.log_in("mia@example.test", PASSWORD).await.expect(401);
        world.verify(&token).await.expect(204);
    }

    async fn both_languages_say_the_same_things(db: Database) {
        let world = World::new(db).await;
        let script = world.get("/assets/auth.js").send().await.expect(200).text;
        let between = |from: &str, to: &str| {
            let text = script.split_once(from).unwrap().1;
            text.split_once(to).unwrap().0.to_owned()
        };
        let keys = |text: &str| {
            let keys = text.lines().filter_map(|line| line.trim().strip_prefix('"')?.split('"').next().map(str::to_owned));
            keys.collect::<Vec<_>>()
        };
        let (english, german) = (keys(&between("  en: {", "\n  },")), keys(&between("  de: {", "\n  },")));
        assert!(english.len() >= 18);
        for key in &english {
            assert!(german.contains(key), "German lacks {key}");
        }
        for path in ["/verify", "/setup", "/password-reset", "/session-report", "/invitation"] {
            let page = world.get(path).send().await.expect(200).text;
            for key in page.split("data-text=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                assert!(english.iter().any(|it| it == key), "English lacks {key}");
            }
        }
    }
}
