//! The module as the application would run it: its own gate, fake permissions, a clock that the test moves, and a bus
//! that keeps what it is given.

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use actix_web::{App, test};
use async_trait::async_trait;
use auth::{Dependencies, Service, Settings};
use contracts::auth::{Auth as _, MintLink};
use contracts::{Caller, Error, Event, OneTimeRequestId, UserId};
use platform::audit;
use platform::bus::{Bus, LocalBus};
use platform::cache;
use platform::clock::Clock;
use platform::db::Database;
use platform::forgotten::Forgetter;
use platform::http::{Gate, RequestContext};
use platform::outbox::Relay;
use platform::settings::MasterKey;
use platform::tokens::Verifier;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::fakes::FakePermissions;
use tokio_util::sync::CancellationToken;
use utoipa_actix_web::AppExt as _;

pub(crate) const PUBLIC_URL: &str = "https://id.example.test";
pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const OTHER_PASSWORD: &str = "wrong horse battery staple";

pub(crate) const REGISTRATIONS: &str = "/api/v1/auth/registrations";
pub(crate) const VERIFICATIONS: &str = "/api/v1/auth/verifications";
pub(crate) const RESEND: &str = "/api/v1/auth/verifications/resend";
pub(crate) const INVITATIONS: &str = "/api/v1/auth/invitations/accept";
pub(crate) const LOGINS: &str = "/api/v1/auth/logins";
pub(crate) const TOKENS: &str = "/api/v1/auth/tokens";
pub(crate) const SESSIONS: &str = "/api/v1/auth/sessions";
pub(crate) const SETUP: &str = "/api/v1/setup";
pub(crate) const RESETS: &str = "/api/v1/auth/password-resets";
pub(crate) const CONFIRM: &str = "/api/v1/auth/password-resets/confirm";
pub(crate) const PASSWORD_PATH: &str = "/api/v1/auth/password";
pub(crate) const REPORTS: &str = "/api/v1/auth/session-reports";

/// Somebody's tokens.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) session: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
    /// From the request's arrival to the beginning of its answer.
    pub(crate) took: Duration,
}

impl Reply {
    /// Goes on when it is this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Goes on when it is a problem of this status and code.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        self
    }

    /// The broken rules, each as pointer and code.
    pub(crate) fn rules(&self) -> Vec<(&str, &str)> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|it| (it["pointer"].as_str().unwrap(), it["code"].as_str().unwrap())).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn word(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.text)).to_owned()
    }

    pub(crate) fn tokens(&self) -> Tokens {
        Tokens {
            access: self.word("access_token"),
            refresh: self.word("refresh_token"),
            session: self.word("session_id"),
        }
    }

    /// What an attacker could compare: everything but the ids of the request.
    pub(crate) fn seen(&self) -> (u16, Value, Vec<(String, String)>) {
        let mut body = self.body.clone();
        if let Some(body) = body.as_object_mut() {
            body.remove("request_id");
        }
        let headers = self.headers.iter().filter(|(name, _)| name.as_str() != "x-request-id");
        let mut headers: Vec<_> =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        headers.sort();
        (self.status, body, headers)
    }
}

/// A request on its way.
pub(crate) struct Ask<'w> {
    world: &'w World,
    request: test::TestRequest,
}

impl Ask<'_> {
    pub(crate) fn by(self, tokens: &Tokens) -> Self {
        self.header("authorization", &format!("Bearer {}", tokens.access))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.insert_header((name, value));
        self
    }

    pub(crate) fn from(mut self, address: &str) -> Self {
        self.request = self.request.peer_addr(SocketAddr::new(address.parse().unwrap(), 4711));
        self
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.request = self.request.set_json(body);
        self
    }

    pub(crate) fn raw(mut self, body: impl Into<String>) -> Self {
        self.request =
            self.request.insert_header(("content-type", "application/json")).set_payload(body.into());
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let world = self.world;
        let app = App::new()
            .into_utoipa_app()
            .app_data(Data::from(Arc::clone(&world.service)))
            .app_data(Data::new(world.gate.clone()))
            .configure(auth::routes)
            .into_app()
            .wrap(RequestContext);
        let app = test::init_service(app).await;
        let request = self.request.to_request();
        let started = Instant::now();
        let answer = test::call_service(&app, request).await;
        let took = started.elapsed();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = String::from_utf8(test::read_body(answer).await.to_vec()).unwrap();
        Reply { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text, took }
    }
}

pub(crate) struct World {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) service: Arc<Service>,
    pub(crate) permissions: Arc<FakePermissions>,
    gate: Gate,
}

impl World {
    pub(crate) async fn new(db: Database) -> Self {
        Self::with(db, |_| {}).await
    }

    pub(crate) async fn with(db: Database, change: impl FnOnce(&mut Settings)) -> Self {
        let master_key = MasterKey::generate().unwrap();
        Self::with_key(db, master_key, change).await
    }

    pub(crate) async fn with_key(
        db: Database,
        master_key: MasterKey,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let clock = Clock::manual("2026-12-01T12:00:00Z".parse().unwrap());
        let permissions = Arc::new(FakePermissions::default());
        permissions.add_role("admin");
        let mut settings = Settings::testing();
        change(&mut settings);
        let dependencies = Dependencies {
            db: db.clone(),
            clock: clock.clone(),
            settings,
            public_url: PUBLIC_URL.parse().unwrap(),
            master_key,
            permissions: permissions.clone(),
            caches: cache::Caches::alone(&cache::Settings::default()),
        };
        let service = Arc::new(Service::new(dependencies).await.unwrap());
        let (issuer, audience) = (service.issuer().to_owned(), service.audience().to_owned());
        let verifier = Arc::new(Verifier::new(issuer, audience, service.clone(), clock.clone()));
        let gate = Gate { verifier, auth: service.clone(), permissions: permissions.clone() };
        Self { db, clock, service, permissions, gate }
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> Ask<'_> {
        let ask = Ask { world: self, request: test::TestRequest::with_uri(path).method(method) };
        ask.from("198.51.100.7").header("user-agent", "test")
    }

    pub(crate) fn get(&self, path: &str) -> Ask<'_> {
        self.ask(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Ask<'_> {
        self.ask(Method::POST, path).json(body)
    }

    pub(crate) fn delete(&self, path: &str) -> Ask<'_> {
        self.ask(Method::DELETE, path)
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) async fn register(&self, email: &str, password: &str) -> Reply {
        self.post(REGISTRATIONS, &json!({ "email": email, "password": password })).send().await
    }

    pub(crate) async fn verify(&self, token: &str) -> Reply {
        self.post(VERIFICATIONS, &json!({ "token": token })).send().await
    }

    pub(crate) async fn accept(&self, token: &str, password: &str) -> Reply {
        self.post(INVITATIONS, &json!({ "token": token, "password": password })).send().await
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Reply {
        self.post(LOGINS, &json!({ "email": email, "password": password })).send().await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Reply {
        self.post(TOKENS, &json!({ "refresh_token": token })).send().await
    }

    /// Somebody who registered and proved the address; tells the id.
    pub(crate) async fn member(&self, email: &str) -> UserId {
        self.register(email, PASSWORD).await.expect(202);
        let (user, request) = self.requested().await.pop().unwrap();
        self.verify(&self.token_of(request).await).await.expect(204);
        user
    }

    /// Somebody who is logged in.
    pub(crate) async fn logged_in(&self, email: &str) -> Tokens {
        self.member(email).await;
        self.log_in(email, PASSWORD).await.expect(200).tokens()
    }

    /// The verifications that were asked for since the last look: for whom, and the request.
    pub(crate) async fn requested(&self) -> Vec<(UserId, OneTimeRequestId)> {
        let events = self.events().await;
        let facts = events.iter().filter(|event| event.is::<contracts::auth::VerificationRequested>());
        facts
            .map(|event| event.read::<contracts::auth::VerificationRequested>().unwrap())
            .map(|fact| (fact.user, fact.request))
            .collect()
    }

    /// The secret of a link, as the sender of messages gets it.
    pub(crate) async fn token_of(&self, request: OneTimeRequestId) -> String {
        let link = self.service.mint_link(&Caller::module("test"), MintLink { request }).await.unwrap();
        token_in(&link.url)
    }

    /// The token of a fresh set-up link.
    pub(crate) async fn setup_token(&self) -> String {
        token_in(self.service.setup_link().await.unwrap().unwrap().reveal())
    }

    pub(crate) async fn ask_reset(&self, email: &str) -> Reply {
        self.post(RESETS, &json!({ "email": email })).send().await
    }

    pub(crate) async fn reset(&self, token: &str, password: &str) -> Reply {
        self.post(CONFIRM, &json!({ "token": token, "new_password": password })).send().await
    }

    pub(crate) async fn report(&self, token: &str) -> Reply {
        self.post(REPORTS, &json!({ "token": token })).send().await
    }

    /// Changes the password of whoever has these tokens.
    pub(crate) async fn change_password(&self, tokens: &Tokens, from: &str, to: &str) -> Reply {
        let body = json!({ "current_password": from, "new_password": to });
        self.ask(Method::PUT, PASSWORD_PATH).json(&body).by(tokens).send().await
    }

    /// The token of a fresh password reset, as the owner of the address gets it.
    pub(crate) async fn reset_token(&self, email: &str) -> String {
        self.events().await;
        self.ask_reset(email).await.expect(202);
        let facts = self.facts::<contracts::auth::PasswordResetRequested>().await;
        self.token_of(facts.last().unwrap().request).await
    }

    /// What was told of one kind since the last look.
    pub(crate) async fn facts<F: contracts::Fact + serde::de::DeserializeOwned>(&self) -> Vec<F> {
        let events = self.events().await;
        events.iter().filter(|event| event.is::<F>()).map(|event| event.read().unwrap()).collect()
    }

    /// Logs in from somewhere with something.
    pub(crate) async fn log_in_from(&self, address: &str, agent: &str, email: &str) -> Reply {
        let body = json!({ "email": email, "password": PASSWORD });
        self.post(LOGINS, &body).from(address).header("user-agent", agent).send().await
    }

    /// Whether a login still opens doors.
    pub(crate) async fn is_in(&self, tokens: &Tokens) -> bool {
        match self.get(SESSIONS).by(tokens).send().await.status {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }

    /// All events so far, oldest first; each is returned once.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let trap = Arc::new(Trap::default());
        let relay = Relay::new(self.db.clone(), trap.clone(), self.clock.clone(), Default::default());
        while relay.run_once().await.unwrap() > 0 {}
        let mut events = trap.0.lock().unwrap().split_off(0);
        events.sort_by_key(|event| event.id);
        events
    }

    /// Brings every event that is on its way to this module's own subscribers.
    pub(crate) async fn deliver(&self) {
        let (db, clock) = (self.db.clone(), self.clock.clone());
        let subscribers = auth::subscribers(&self.service);
        let bus = Arc::new(LocalBus::new(db.clone(), subscribers, clock.clone(), Default::default()));
        let relay = Relay::new(db, bus.clone(), clock, Default::default());
        while relay.run_once().await.unwrap() + bus.run_once().await.unwrap() > 0 {}
    }

    /// Forgets what the platform still keeps of people who were purged.
    pub(crate) async fn forget(&self) {
        let forgetter = Forgetter::new(self.db.clone(), self.clock.clone());
        while forgetter.run_once(&CancellationToken::new()).await.unwrap() > 0 {}
    }

    /// The types of all events so far.
    pub(crate) async fn told(&self) -> Vec<String> {
        self.events().await.into_iter().map(|event| event.event_type).collect()
    }

    /// The actions of the audit trail, oldest first.
    pub(crate) async fn trail(&self) -> Vec<audit::Record> {
        let mut c = self.db.read().await.unwrap();
        let mut all = audit::list(&mut c, &audit::Filter::default(), None, 500).await.unwrap();
        all.reverse();
        all
    }
}

/// The secret in a link.
pub(crate) fn token_in(url: &str) -> String {
    url.split_once("#token=").unwrap().1.to_owned()
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
