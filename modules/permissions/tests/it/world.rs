//! The module as the application would run it, with people in it: real decisions behind the gate, a fake auth, a
//! clock that the test moves, and a bus that the test runs.

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use actix_web::{App, test};
use async_trait::async_trait;
use contracts::permissions::{AssignRole, Evaluate, Permissions as _, SetStanding, Subject};
use contracts::{AssignmentId, Caller, Error, Event, Time, UserId};
use permissions::{Service, Settings};
use platform::audit;
use platform::bus::LocalBus;
use platform::bus::{Bus, Subscriber};
use platform::cache::{self, Caches};
use platform::clock::Clock;
use platform::db::Database;
use platform::http::{Cursors, Fingerprints, Gate, RequestContext};
use platform::outbox::Relay;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::gate::TestGate;
use utoipa_actix_web::AppExt as _;

/// Somebody who is logged in.
pub(crate) struct Person {
    pub(crate) id: UserId,
    token: String,
}

impl Person {
    pub(crate) fn subject(&self) -> Value {
        json!({ "type": "user", "id": self.id })
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// Goes on when it is this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }

    /// Goes on when it is a problem of this status and code.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{:#}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        self
    }

    /// Where the broken rules are.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text_at(&self, pointer: &str) -> String {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap().to_owned()
    }

    pub(crate) fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap().to_owned()
    }
}

/// A request on its way.
pub(crate) struct Ask<'w> {
    world: &'w World,
    request: test::TestRequest,
}

impl Ask<'_> {
    pub(crate) fn by(mut self, person: &Person) -> Self {
        self.request = self.request.insert_header(("authorization", format!("Bearer {}", person.token)));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.insert_header((name, value));
        self
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.request = self.request.set_json(body);
        self
    }

    pub(crate) fn raw(mut self, body: &str) -> Self {
        self.request =
            self.request.insert_header(("content-type", "application/json")).set_payload(body.to_owned());
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let world = self.world;
        let app = App::new()
            .into_utoipa_app()
            .app_data(Data::from(Arc::clone(&world.service)))
            .app_data(Data::new(world.gate.clone()))
            .app_data(Data::new(world.cursors.clone()))
            .app_data(Data::new(Fingerprints::new(&[7; 32])))
            .configure(permissions::routes)
            .into_app()
            .wrap(RequestContext);
        let app = test::init_service(app).await;
        let answer = test::call_service(&app, self.request.to_request()).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = test::read_body(answer).await;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Reply { status, headers, body }
    }
}

pub(crate) struct World {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) service: Arc<Service>,
    people: TestGate,
    gate: Gate,
    cursors: Cursors,
}

/// Caches that keep whatever is asked for twice.
pub(crate) fn warm() -> Caches {
    Caches::alone(&cache::Settings::default())
}

/// Caches that keep nothing.
pub(crate) fn cold() -> Caches {
    Caches::off()
}

impl World {
    pub(crate) fn new(db: Database) -> Self {
        Self::with_cache(db, &warm())
    }

    pub(crate) fn with_cache(db: Database, caches: &Caches) -> Self {
        let clock = Clock::manual("2026-12-01T12:00:00Z".parse().unwrap());
        let service = Arc::new(Service::new(db.clone(), clock.clone(), Settings::default(), caches));
        let people = TestGate::new(clock.clone());
        let gate = people.gate_with(service.clone());
        Self { db, clock, service, people, gate, cursors: Cursors::new(&[7; 32]) }
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> Ask<'_> {
        Ask { world: self, request: test::TestRequest::with_uri(path).method(method) }
    }

    pub(crate) fn get(&self, path: &str) -> Ask<'_> {
        self.ask(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Ask<'_> {
        self.ask(Method::POST, path).json(body)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Ask<'_> {
        self.ask(Method::PUT, path).json(body)
    }

    pub(crate) fn delete(&self, path: &str) -> Ask<'_> {
        self.ask(Method::DELETE, path)
    }

    /// Somebody who was given nothing.
    pub(crate) fn person(&self) -> Person {
        let id = UserId::new();
        Person { id, token: self.people.token_for(id) }
    }

    /// Somebody who can log in and holds `admin` everywhere and for ever.
    pub(crate) async fn administrator(&self) -> Person {
        let person = self.person();
        self.stand(&person, true).await.unwrap();
        self.assign(&person, "admin").await;
        person
    }

    /// Says as auth whether somebody can log in.
    pub(crate) async fn stand(&self, person: &Person, active: bool) -> Result<(), Error> {
        let ask = SetStanding { user: person.id, active };
        let standing = self.service.set_standing(&Caller::module("auth"), ask).await?;
        assert_eq!(standing.active, active);
        Ok(())
    }

    /// Gives a role as the product itself.
    pub(crate) async fn assign(&self, person: &Person, role: &str) -> AssignmentId {
        self.assign_until(person, role, None).await
    }

    pub(crate) async fn assign_until(
        &self,
        person: &Person,
        role: &str,
        expires_at: Option<Time>,
    ) -> AssignmentId {
        let ask =
            AssignRole { subject: Subject::user(person.id), role: role.into(), resource: None, expires_at };
        self.service.assign_role(&Caller::module("test"), ask).await.unwrap().assignment
    }

    /// Makes a role; `by` must be able to.
    pub(crate) async fn role(&self, by: &Person, name: &str, permissions: &[&str], inherits: &[&str]) {
        let body = json!({ "name": name, "permissions": permissions, "inherits": inherits });
        self.post("/api/v1/roles", &body).by(by).send().await.expect(201);
    }

    /// Makes a group; its id.
    pub(crate) async fn group(&self, by: &Person, name: &str) -> String {
        let body = json!({ "name": name });
        self.post("/api/v1/groups", &body).by(by).send().await.expect(201).text("id")
    }

    /// Puts a subject into a group.
    pub(crate) async fn join(&self, by: &Person, group: &str, member: &Value) -> Reply {
        let (kind, id) = (member["type"].as_str().unwrap(), member["id"].as_str().unwrap());
        self.ask(Method::PUT, &format!("/api/v1/groups/{group}/members/{kind}/{id}")).by(by).send().await
    }

    /// Takes a subject out of a group.
    pub(crate) async fn leave(&self, by: &Person, group: &str, member: &Value) -> Reply {
        let (kind, id) = (member["type"].as_str().unwrap(), member["id"].as_str().unwrap());
        self.delete(&format!("/api/v1/groups/{group}/members/{kind}/{id}")).by(by).send().await
    }

    /// Gives a group a role everywhere and for ever; the assignment's id.
    pub(crate) async fn endow(&self, by: &Person, group: &str, role: &str) -> String {
        let body = json!({ "subject": { "type": "group", "id": group }, "role": role });
        self.post("/api/v1/role-assignments", &body).by(by).send().await.expect(201).text("id")
    }

    /// Asks the module itself, as the others do.
    pub(crate) async fn may(&self, person: &Person, action: &str, kind: &str, id: Option<&str>) -> bool {
        let ask = Evaluate {
            subject: Subject::user(person.id),
            action: action.into(),
            resource_type: kind.into(),
            resource_id: id.map(Into::into),
            resource_properties: Map::new(),
        };
        self.service.evaluate(&Caller::module("test"), ask).await.unwrap().allowed
    }

    /// All events so far, oldest first; each is returned once.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let trap = Arc::new(Trap::default());
        let relay = Relay::new(self.db.clone(), trap.clone(), self.clock.clone(), Default::default());
        while relay.run_once().await.unwrap() > 0 {}
        trap.0.lock().unwrap().split_off(0)
    }

    /// Lets the module hear an event, as often as the bus may deliver it.
    pub(crate) async fn hear(&self, event: &Event) {
        for subscriber in permissions::subscribers(&self.service) {
            if subscriber.hears().contains(&event.event_type.as_str()) {
                subscriber.hear(event).await.unwrap();
            }
        }
    }

    /// Delivers everything to the subscribers, as the application does.
    pub(crate) async fn deliver(&self, subscribers: Vec<Arc<dyn Subscriber>>) {
        let (db, clock) = (self.db.clone(), self.clock.clone());
        let bus = Arc::new(LocalBus::new(db.clone(), subscribers, clock.clone(), Default::default()));
        let relay = Relay::new(db, bus.clone(), clock, Default::default());
        while relay.run_once().await.unwrap() > 0 {}
        while bus.run_once().await.unwrap() > 0 {}
    }

    /// The audit trail about one thing, oldest first.
    pub(crate) async fn trail(&self, of: &str) -> Vec<audit::Record> {
        let mut c = self.db.read().await.unwrap();
        let filter = audit::Filter { subject_id: Some(of.into()), ..audit::Filter::default() };
        let mut all = audit::list(&mut c, &filter, None, 100).await.unwrap();
        all.reverse();
        all
    }

    pub(crate) fn later(&self, seconds: u64) -> Time {
        self.clock.now().plus(Duration::from_secs(seconds))
    }
}

#[derive(Default)]
struct Trap(Mutex<Vec<Event>>);

#[async_trait]
impl Bus for Trap {
    async fn publish(&self, events: &[Event]) -> Result<(), Error> {
        self.0.lock().unwrap().extend_from_slice(events);
        Ok(())
    }
}
