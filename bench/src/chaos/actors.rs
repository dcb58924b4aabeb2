//! The clients: each writes without pause, notes what was acknowledged, and asks again when it got no answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::ledger::{Entry, Ledger};
use crate::http::{Answer, Api};
use crate::people::Person;

/// How many people the actors need.
pub(super) const PEOPLE: usize = 7;

/// What the clients saw beside acknowledgements.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) unanswered: usize,
    pub(super) refused: usize,
    /// The first of those, each in a sentence.
    pub(super) failed: Vec<String>,
    /// Answers that must not be, each in a sentence.
    pub(super) wrong: Vec<String>,
}

#[derive(Clone)]
struct World {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    unanswered: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
    wrong: Arc<Mutex<Vec<String>>>,
}

pub(super) struct Actors {
    world: World,
    tasks: JoinSet<()>,
}

impl Actors {
    pub(super) fn start(
        runtime: &Runtime,
        address: SocketAddr,
        ledger: Arc<Ledger>,
        root: Person,
        people: &[Person],
    ) -> Self {
        let world = World {
            address,
            ledger,
            stop: Arc::default(),
            unanswered: Arc::default(),
            refused: Arc::default(),
            failed: Arc::default(),
            wrong: Arc::default(),
        };
        let mut tasks = JoinSet::new();
        let on = runtime.handle();
        tasks.spawn_on(registers(world.clone()), on);
        for (number, person) in people.iter().take(2).enumerate() {
            tasks.spawn_on(changes_profile(world.clone(), person.clone()), on);
            tasks.spawn_on(changes_preferences(world.clone(), person.clone(), number), on);
        }
        tasks.spawn_on(assigns(world.clone(), root.clone(), people[2].clone()), on);
        tasks.spawn_on(notifies(world.clone(), root, people[3].clone()), on);
        tasks.spawn_on(logs_in_and_out(world.clone(), people[4].clone()), on);
        tasks.spawn_on(refreshes(world.clone(), people[5].clone()), on);
        tasks.spawn_on(reads(world.clone(), people[6].clone()), on);
        Self { world, tasks }
    }

    pub(super) async fn stop(self) -> Seen {
        self.world.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        Seen {
            unanswered: self.world.unanswered.load(Ordering::Relaxed),
            refused: self.world.refused.load(Ordering::Relaxed),
            failed: self.world.failed.lock().unwrap().clone(),
            wrong: self.world.wrong.lock().unwrap().clone(),
        }
    }
}

impl World {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn client(&self, person: Option<&Person>) -> Client {
        let api = Api::new(self.address, person.map(|person| person.access_token.as_str()));
        Client { world: self.clone(), api }
    }

    /// A request that brought nothing: whoever sent it comes again.
    fn failed(&self, count: &AtomicUsize, what: impl FnOnce() -> String) {
        count.fetch_add(1, Ordering::Relaxed);
        let mut failed = self.failed.lock().unwrap();
        if failed.len() < 50 {
            failed.push(what());
        }
    }

    fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }
}

struct Client {
    world: World,
    api: Api,
}

impl Client {
    /// Asks once. None when there was no answer, or one that says to come back: then it is not known what happened.
    async fn once(
        &mut self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Option<Answer> {
        let headers: Vec<_> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
        match self.api.send(method, path, &headers, body).await {
            Err(error) => {
                self.world.failed(&self.world.unanswered, || format!("{method} {path}: {error}"));
                if error.kind() == std::io::ErrorKind::TimedOut {
                    self.world.wrong(format!("{method} {path} hung"));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                None
            }
            // A proxy whose server went away in the middle knows no more than its client.
            Ok(answer) if matches!(answer.status, 502..=504) => {
                let told = || format!("{method} {path}: {} {}", answer.status, answer.body);
                let ours = answer.status == 503;
                self.world.failed(if ours { &self.world.refused } else { &self.world.unanswered }, told);
                tokio::time::sleep(Duration::from_millis(20)).await;
                None
            }
            Ok(answer) => Some(answer),
        }
    }

    /// Asks until there is an answer, for what may be asked twice.
    async fn until(&mut self, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Answer {
        loop {
            if let Some(answer) = self.once(method, path, key, body).await {
                return answer;
            }
        }
    }

    /// Whether the answer is the one that acknowledges; any other is noted as wrong.
    fn acknowledges(&self, what: &str, answer: &Answer, status: u16) -> bool {
        if answer.status != status {
            self.world.wrong(format!("{what} was answered {} {}", answer.status, answer.body));
        }
        answer.status == status
    }
}

/// Hashing takes most of the processor; the others want some of it.
const BREATH: Duration = Duration::from_millis(15);

async fn registers(world: World) {
    let mut client = world.client(None);
    for number in 0.. {
        if !world.goes_on() {
            return;
        }
        let email = format!("stranger{number}@example.org");
        let body = json!({ "email": email, "password": "the same for every one of them" });
        let answer = client.once("POST", "/api/v1/auth/registrations", None, Some(&body)).await;
        if let Some(answer) = answer
            && client.acknowledges("a registration", &answer, 202)
        {
            world.ledger.note(Entry::Registered { email });
        }
        tokio::time::sleep(BREATH).await;
    }
}

async fn changes_profile(world: World, person: Person) {
    let mut client = world.client(Some(&person));
    for number in 1.. {
        if !world.goes_on() {
            return;
        }
        let body = json!({ "attributes": { "number": number } });
        if let Some(answer) = client.once("PATCH", "/api/v1/users/me", None, Some(&body)).await
            && client.acknowledges("a change of a profile", &answer, 200)
        {
            world.ledger.note(Entry::Profile { user: person.id.clone(), number });
        }
    }
}

async fn changes_preferences(world: World, person: Person, which: usize) {
    let mut client = world.client(Some(&person));
    let namespace = format!("chaos{which}");
    let path = format!("/api/v1/users/me/preferences/{namespace}");
    for number in 1.. {
        if !world.goes_on() {
            return;
        }
        let body = json!({ "number": number });
        if let Some(answer) = client.once("PUT", &path, None, Some(&body)).await {
            if answer.status == 200 || answer.status == 201 {
                let (user, namespace) = (person.id.clone(), namespace.clone());
                world.ledger.note(Entry::Preference { user, namespace, number });
            } else {
                client.acknowledges("a preference", &answer, 200);
            }
        }
    }
}

/// With a key it may ask again: the answer must be the same, and the effect happen once. Every third is taken back.
async fn assigns(world: World, root: Person, person: Person) {
    let mut client = world.client(Some(&root));
    for number in 1.. {
        if !world.goes_on() {
            return;
        }
        let key = format!("assignment-{number}");
        let body = json!({
            "subject": { "type": "user", "id": person.id },
            "role": "member",
            "resource": { "type": "document", "id": number.to_string() },
        });
        let answer = client.until("POST", "/api/v1/role-assignments", Some(&key), Some(&body)).await;
        if !client.acknowledges("a role assignment", &answer, 201) {
            continue;
        }
        let id = answer.text("id");
        world.ledger.note(Entry::Assigned { key: key.clone(), id: id.clone(), number });
        if number % 7 == 0 {
            let again = client.until("POST", "/api/v1/role-assignments", Some(&key), Some(&body)).await;
            if again.status != 201 || again.text("id") != id {
                world.wrong(format!("the key {key} brought {} first and {:?} later", id, again.body));
            }
        }
        if number % 3 == 0 {
            let path = format!("/api/v1/role-assignments/{id}");
            // Whoever asks again after a lost answer finds nothing any more.
            let answer = client.until("DELETE", &path, None, None).await;
            if answer.status == 204 || answer.status == 404 {
                world.ledger.note(Entry::Unassigned { id });
            } else {
                client.acknowledges("taking a role back", &answer, 204);
            }
        }
    }
}

async fn notifies(world: World, root: Person, person: Person) {
    let mut client = world.client(Some(&root));
    for number in 1.. {
        if !world.goes_on() {
            return;
        }
        let key = format!("notification-{number}");
        let body = json!({
            "to": { "user_id": person.id },
            "template": "announcement",
            "data": { "subject": format!("Number {number}"), "text": "Something happened." },
        });
        let answer = client.until("POST", "/api/v1/notifications", Some(&key), Some(&body)).await;
        if client.acknowledges("a notification", &answer, 202) {
            world.ledger.note(Entry::Notified { key, id: answer.text("id"), number });
        }
        tokio::time::sleep(BREATH * 2).await;
    }
}

/// Logs in, and ends the login it just made.
async fn logs_in_and_out(world: World, person: Person) {
    let mut client = world.client(None);
    while world.goes_on() {
        client.api.token = None;
        let body = json!({ "email": person.email, "password": person.password });
        let Some(login) = client.once("POST", "/api/v1/auth/logins", None, Some(&body)).await else {
            continue;
        };
        if !client.acknowledges("a login", &login, 200) {
            tokio::time::sleep(BREATH).await;
            continue;
        }
        let session = login.text("session_id");
        world.ledger.note(Entry::LoggedIn { session: session.clone(), user: person.id.clone() });
        let access_token = login.text("access_token");
        client.api.token = Some(access_token.clone());
        // Whoever asks again after a lost answer is nobody any more.
        let answer = client.until("DELETE", "/api/v1/auth/sessions/current", None, None).await;
        if answer.status == 204 || answer.status == 401 {
            let refresh_token = login.text("refresh_token");
            world.ledger.note(Entry::Revoked { session, access_token, refresh_token });
        } else {
            client.acknowledges("ending a session", &answer, 204);
        }
        let after = client.until("GET", "/api/v1/users/me", None, None).await;
        if after.status != 401 {
            world.wrong(format!("an ended session was answered {}", after.status));
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// Exchanges token after token. A token whose answer was lost is presented again, well within the window for that.
async fn refreshes(world: World, person: Person) {
    let mut client = world.client(None);
    let (mut person, mut lost, mut open) = (person, std::time::Instant::now(), false);
    // Not before it knows what became of the last one.
    while world.goes_on() || open {
        let used = person.refresh_token.clone();
        let body = json!({ "refresh_token": used });
        let begun = std::time::Instant::now();
        let answer = client.once("POST", "/api/v1/auth/tokens", None, Some(&body)).await;
        open = answer.is_none();
        let Some(answer) = answer else { continue };
        if answer.status == 200 {
            let next = answer.text("refresh_token");
            let session = answer.text("session_id");
            world.ledger.note(Entry::Refreshed { session, used, next: next.clone() });
            person.refresh_token = next;
            lost = begun;
        } else if answer.status == 401 && lost.elapsed() > Duration::from_secs(4) {
            // The outage was longer than the window: a new login, as a person would.
            person = log_in_again(&world, &person).await;
            lost = std::time::Instant::now();
        } else {
            client.acknowledges("a refresh", &answer, 200);
            person = log_in_again(&world, &person).await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Looks at what each module has.
async fn reads(world: World, person: Person) {
    let mut client = world.client(Some(&person));
    let paths =
        ["/api/v1/auth/sessions", "/api/v1/users/me", "/api/v1/users/me/permissions", "/api/v1/inbox"];
    while world.goes_on() {
        for path in paths {
            let answer = client.until("GET", path, None, None).await;
            client.acknowledges(path, &answer, 200);
            tokio::time::sleep(BREATH).await;
        }
    }
}

async fn log_in_again(world: &World, person: &Person) -> Person {
    let mut client = world.client(None);
    let body = json!({ "email": person.email, "password": person.password });
    let login = client.until("POST", "/api/v1/auth/logins", None, Some(&body)).await;
    if client.acknowledges("a login", &login, 200) {
        let (session, refresh_token) = (login.text("session_id"), login.text("refresh_token"));
        world.ledger.note(Entry::LoggedIn { session, user: person.id.clone() });
        return Person { refresh_token, ..person.clone() };
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    person.clone()
}
