//! A service that is gone: what needs it answers 503 and asks to try again, and nothing else does. The table stands in
//! docs/operations.md and is read from there.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use contracts::Module;
use reqwest::Method;
use serde_json::json;

use crate::client::{Answer, Ask, Client, Person};
use crate::fleet::Fleet;
use crate::house::eventually;

/// What the tables of the documents name, and how it is asked for.
async fn ask(fleet: &Fleet, what: &str, mia: &Person, root: &Person) -> Answer {
    let get = async |module, person, path: &str| fleet.client(module, Some(person)).get(path).await;
    let patch = |path: &str, body| {
        Ask::new(Method::PATCH, path).body(&body).header("content-type", "application/merge-patch+json")
    };
    match what {
        "log in" => {
            let body = json!({ "email": mia.email, "password": mia.password });
            fleet.client(Module::Auth, None).post("/api/v1/auth/logins", &body).await
        }
        "refresh" => {
            let login = ask_boxed(fleet, "log in", mia, root).await;
            let body = json!({ "refresh_token": login.body["refresh_token"] });
            fleet.client(Module::Auth, None).post("/api/v1/auth/tokens", &body).await
        }
        "own sessions" => get(Module::Auth, mia, "/api/v1/auth/sessions").await,
        "keys" => fleet.client(Module::Auth, None).get("/.well-known/jwks.json").await,
        "register" => {
            let email = format!("{}@example.org", contracts::UserId::new());
            let body = json!({ "email": email, "password": "a long sentence for a stranger" });
            fleet.client(Module::Auth, None).post("/api/v1/auth/registrations", &body).await
        }
        "own profile" => get(Module::Users, mia, "/api/v1/users/me").await,
        "change own profile" => {
            let ask = patch("/api/v1/users/me", json!({ "given_name": "Mia" }));
            fleet.client(Module::Users, Some(mia)).send(&ask).await
        }
        "administer people" => get(Module::Users, root, "/api/v1/users").await,
        "own data" => get(Module::Users, root, "/api/v1/users/me/export").await,
        "decisions" => {
            let body = json!({
                "subject": { "type": "user", "id": mia.id }, "action": { "name": "read" },
                "resource": { "type": "documents", "id": "1" },
            });
            fleet.client(Module::Permissions, Some(mia)).post("/access/v1/evaluation", &body).await
        }
        "administer roles" => get(Module::Permissions, root, "/api/v1/roles").await,
        "own inbox" => get(Module::Notifications, mia, "/api/v1/inbox").await,
        "administer messages" => get(Module::Notifications, root, "/api/v1/notifications").await,
        "audit trail" => {
            // Of a service that is there.
            let there = Module::ALL.into_iter().find(|module| Some(*module) != fleet.gone).unwrap();
            get(there, root, "/api/v1/audit-events").await
        }
        other => panic!("docs/operations.md names {other:?}, and nobody knows how to ask for it"),
    }
}

fn ask_boxed<'a>(
    fleet: &'a Fleet,
    what: &'a str,
    mia: &'a Person,
    root: &'a Person,
) -> Pin<Box<dyn Future<Output = Answer> + 'a>> {
    Box::pin(ask(fleet, what, mia, root))
}

/// A row of the table: what, and for each module but its own whether it goes on without it.
type Row = (String, Vec<(Module, bool)>);

fn table() -> Vec<Row> {
    let text = include_str!("../../../docs/operations.md");
    let begin = text.find("| when this is gone:").expect("the table of what works when a service is gone");
    let lines = text[begin..].lines().skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let goes_on = |cell: &str| match cell {
            "works" => true,
            "503" => false,
            other => panic!("{other:?} is neither `works` nor `503`"),
        };
        let by = Module::ALL.into_iter().zip(&cells[2..]).filter(|(_, cell)| **cell != "–");
        (cells[0].to_owned(), by.map(|(module, cell)| (module, goes_on(cell))).collect())
    };
    lines.map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gone_service_takes_along_what_needs_it_and_nothing_else() {
    let Some(mut fleet) = Fleet::open().await else { return };
    let root = fleet.administrator().await;
    let body =
        json!({ "email": "mia@example.org", "password": "a long sentence for mia", "state": "active" });
    assert_eq!(fleet.client(Module::Users, Some(&root)).post("/api/v1/users", &body).await.status, 201);
    let mia = fleet.log_in("mia@example.org", "a long sentence for mia").await;
    let rows = table();
    assert!(rows.len() >= 14, "the table is read otherwise than it is written");
    for (what, _) in &rows {
        let answer = ask(&fleet, what, &mia, &root).await;
        assert!(answer.status < 300, "with everybody there, {what}: {answer:?}");
    }
    for gone in Module::ALL {
        fleet.kill(gone);
        for (what, by) in &rows {
            let Some((_, works)) = by.iter().find(|(module, _)| *module == gone) else { continue };
            let answer = ask(&fleet, what, &mia, &root).await;
            if *works {
                assert!(answer.status < 300, "{what} without {gone}: {answer:?}");
            } else {
                assert_eq!(answer.status, 503, "{what} without {gone}: {answer:?}");
                assert_eq!(answer.code(), "platform.peer_unavailable", "{what} without {gone}: {answer:?}");
                assert!(!answer.header("retry-after").is_empty(), "{what} without {gone}: {answer:?}");
            }
        }
        fleet.start(gone);
        // Of one's own data there are only some copies an hour.
        for (what, _) in rows.iter().filter(|(what, _)| what != "own data") {
            eventually(&format!("{what} after {gone} came back"), async || {
                let answer = ask(&fleet, what, &mia, &root).await;
                (answer.status < 300).then_some(())
            })
            .await;
        }
    }
    fleet.close().await;
}

async fn metrics(fleet: &Fleet, module: Module) -> String {
    let answer = Client::new(&fleet.services[&module].management).get("/metrics").await;
    answer.body.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_hangs_costs_a_deadline_a_few_times_and_then_nothing() {
    let Some(fleet) = Fleet::open_with("http", |_| {
        vec![
            ("DOORWARD__PEERS__DEADLINE_MS".to_owned(), "300".to_owned()),
            ("DOORWARD__PEERS__CIRCUIT__FAILURES".to_owned(), "3".to_owned()),
            ("DOORWARD__PEERS__CIRCUIT__OPEN_MS".to_owned(), "60000".to_owned()),
        ]
    })
    .await
    else {
        return;
    };
    let root = fleet.administrator().await;
    let list = async |fleet: &Fleet| {
        let began = Instant::now();
        let answer = fleet.client(Module::Users, Some(&root)).get("/api/v1/users").await;
        (answer.status, began.elapsed())
    };
    assert_eq!(list(&fleet).await.0, 200);
    let pid = fleet.services[&Module::Permissions].pid().to_string();
    let signal = |name: &str| {
        let done = std::process::Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(done.success());
    };
    signal("-STOP");
    for _ in 0..3 {
        let (status, took) = list(&fleet).await;
        assert_eq!(status, 503);
        assert!(took < Duration::from_secs(3), "a deadline of 300 ms took {took:?}");
    }
    let (status, took) = list(&fleet).await;
    assert_eq!(status, 503);
    assert!(took < Duration::from_millis(250), "who is left alone is not waited for: {took:?}");
    let numbers = metrics(&fleet, Module::Users).await;
    assert!(numbers.contains("doorward_peer_circuit{peer=\"permissions\"} 2"), "{numbers}");
    for counted in ["outcome=\"lost\"", "outcome=\"left_alone\"", "outcome=\"answered\""] {
        assert!(
            numbers
                .lines()
                .any(|line| line.starts_with("doorward_peer_asks_total") && line.contains(counted)),
            "{counted}"
        );
    }
    // What needs no right goes on meanwhile.
    assert_eq!(fleet.client(Module::Users, Some(&root)).get("/api/v1/users/me").await.status, 200);
    signal("-CONT");
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_came_back_is_asked_again() {
    let Some(mut fleet) = Fleet::open_with("http", |_| {
        vec![
            ("DOORWARD__PEERS__CIRCUIT__FAILURES".to_owned(), "2".to_owned()),
            ("DOORWARD__PEERS__CIRCUIT__OPEN_MS".to_owned(), "200".to_owned()),
        ]
    })
    .await
    else {
        return;
    };
    let root = fleet.administrator().await;
    let list =
        async |fleet: &Fleet| fleet.client(Module::Users, Some(&root)).get("/api/v1/users").await.status;
    fleet.kill(Module::Permissions);
    for _ in 0..5 {
        assert_eq!(list(&fleet).await, 503);
    }
    let open = metrics(&fleet, Module::Users).await;
    assert!(open.contains("doorward_peer_circuit{peer=\"permissions\"} 2"), "{open}");
    fleet.start(Module::Permissions);
    eventually("permissions is asked again", async || (list(&fleet).await == 200).then_some(())).await;
    let closed = metrics(&fleet, Module::Users).await;
    assert!(closed.contains("doorward_peer_circuit{peer=\"permissions\"} 0"), "{closed}");
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_key_is_refused_by_every_process_within_seconds() {
    let Some(fleet) = Fleet::open().await else { return };
    let root = fleet.administrator().await;
    assert_eq!(fleet.client(Module::Permissions, Some(&root)).get("/api/v1/roles").await.status, 200);
    let (good, told) = fleet.services[&Module::Auth].finish(&["keys", "rotate", "--compromised"]);
    assert!(good, "{told}");
    for module in Module::ALL {
        eventually(&format!("{module} refuses tokens of the withdrawn key"), async || {
            let answer = fleet.client(module, Some(&root)).get("/api/v1/audit-events").await;
            (answer.status == 401).then_some(())
        })
        .await;
    }
    let again = fleet.log_in("root@example.org", "correct horse battery staple").await;
    assert_eq!(fleet.client(Module::Permissions, Some(&again)).get("/api/v1/roles").await.status, 200);
    fleet.close().await;
}
