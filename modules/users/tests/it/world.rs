//! The module as the application would run it, with a fake auth that knows the accounts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::web::{Bytes, Data};
use actix_web::{App, test};
use contracts::auth::{
    Account, AccountRegistered, AccountState, Accounts, Auth, ChangeAccount, CheckSession, CreateAccount,
    FindAccount, ImportAccounts, ImportedAccounts, ListAccounts, MintLink, MintedLink, SessionStanding,
};
use contracts::{Caller, Error, Event, ExportPerson, PersonalData, Result, UserId};
use futures_util::{StreamExt as _, stream};
use platform::audit;
use platform::clock::Clock;
use platform::db::Database;
use platform::http::{Cursors, Fingerprints, RequestContext};
use platform::settings::MasterKey;
use serde_json::Value;
use testkit::gate::TestGate;
use users::{Service, Settings};
use utoipa_actix_web::AppExt as _;

pub(crate) struct World {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) gate: TestGate,
    pub(crate) service: Arc<Service>,
}

pub(crate) struct Person {
    pub(crate) account: Account,
    token: String,
}

/// Lets everything pass to auth, except for what a test makes fail.
#[derive(Clone)]
pub(crate) struct Between {
    auth: Arc<dyn Auth>,
    /// What was done over there, but the answer got lost: so many times from now.
    pub(crate) lost: Arc<AtomicUsize>,
    /// What is told of the next account that is looked for: as it was when somebody else changed or purged it.
    pub(crate) late: Arc<Mutex<Option<Account>>>,
}

impl Between {
    pub(crate) fn new(auth: Arc<dyn Auth>) -> Self {
        Self { auth, lost: Arc::default(), late: Arc::default() }
    }

    fn answer<T>(&self, answer: Result<T>) -> Result<T> {
        let lost =
            self.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if lost {
            Err(Error::unavailable("platform.peer_unavailable", "It does not answer."))
        } else {
            answer
        }
    }
}

#[async_trait::async_trait]
impl Auth for Between {
    async fn find_account(&self, caller: &Caller, ask: FindAccount) -> Result<Option<Account>> {
        let late = self.late.lock().unwrap().take();
        if late.is_some() { Ok(late) } else { self.auth.find_account(caller, ask).await }
    }

    async fn check_session(&self, caller: &Caller, ask: CheckSession) -> Result<SessionStanding> {
        self.auth.check_session(caller, ask).await
    }

    async fn publish_keys(
        &self,
        caller: &Caller,
        ask: contracts::auth::PublishKeys,
    ) -> Result<contracts::auth::PublishedKeys> {
        self.auth.publish_keys(caller, ask).await
    }

    async fn mint_link(&self, caller: &Caller, ask: MintLink) -> Result<MintedLink> {
        self.auth.mint_link(caller, ask).await
    }

    async fn create_account(&self, caller: &Caller, ask: CreateAccount) -> Result<Account> {
        if ask.invite && ask.state == AccountState::Disabled {
            let text = "Nobody is invited to an account that is disabled.";
            return Err(Error::invalid("platform.invalid_input", text).at("/invite", "not_allowed", text));
        }
        self.answer(self.auth.create_account(caller, ask).await)
    }

    async fn change_account(&self, caller: &Caller, ask: ChangeAccount) -> Result<Account> {
        self.answer(self.auth.change_account(caller, ask).await)
    }

    async fn import_accounts(&self, caller: &Caller, ask: ImportAccounts) -> Result<ImportedAccounts> {
        self.answer(self.auth.import_accounts(caller, ask).await)
    }

    async fn list_accounts(&self, caller: &Caller, ask: ListAccounts) -> Result<Accounts> {
        self.answer(self.auth.list_accounts(caller, ask).await)
    }

    async fn export_person(&self, caller: &Caller, ask: ExportPerson) -> Result<PersonalData> {
        self.auth.export_person(caller, ask).await
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Reply {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }

    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    pub(crate) fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect()
    }
}

impl World {
    pub(crate) fn new(db: Database) -> Self {
        Self::with(db, |auth| auth)
    }

    /// One in which answers of auth can get lost or come late.
    pub(crate) fn unsure(db: Database) -> (Self, Between) {
        let kept = Mutex::new(None);
        let world = Self::with(db, |auth| {
            let between = Between::new(auth);
            *kept.lock().unwrap() = Some(between.clone());
            Arc::new(between)
        });
        (world, kept.into_inner().unwrap().unwrap())
    }

    /// One in which somebody stands between this module and auth.
    pub(crate) fn with(db: Database, between: impl FnOnce(Arc<dyn Auth>) -> Arc<dyn Auth>) -> Self {
        let clock = Clock::manual("2026-12-01T12:00:00Z".parse().unwrap());
        let gate = TestGate::new(clock.clone());
        let settings = Settings { max_preference_namespaces: 3, ..Settings::default() };
        let cache = platform::cache::Caches::alone(&platform::cache::Settings::default());
        let parts = users::Parts {
            db: db.clone(),
            clock: clock.clone(),
            auth: between(gate.auth.clone()),
            permissions: gate.permissions.clone(),
            settings,
            master_key: MasterKey::generate().unwrap(),
        };
        let service = Arc::new(Service::new(parts, &cache));
        Self { db, clock, gate, service }
    }

    pub(crate) fn person(&self, email: &str) -> Person {
        let account = self.gate.auth.add_account(email);
        Person { token: self.gate.token_for(account.id), account }
    }

    /// An administrator.
    pub(crate) fn admin(&self) -> Person {
        let admin = self.person("root@example.org");
        for right in ["users:read", "users:write", "users:export"] {
            self.gate.allow(admin.account.id, right);
        }
        admin
    }

    pub(crate) async fn send(&self, by: &Person, request: test::TestRequest) -> Reply {
        let request = request.insert_header(("authorization", format!("Bearer {}", by.token)));
        self.call(request).await
    }

    /// A request of nobody.
    pub(crate) async fn call(&self, request: test::TestRequest) -> Reply {
        Self::read(self.begin(request, None).await).await
    }

    /// A request whose body breaks off after this much of it.
    pub(crate) async fn break_off(&self, by: &Person, request: test::TestRequest, body: &str) -> Reply {
        let request = request.insert_header(("authorization", format!("Bearer {}", by.token)));
        let pieces = [Ok(Bytes::from(body.to_owned())), Err(PayloadError::Incomplete(None))];
        let body = Payload::from(stream::iter(pieces).boxed_local());
        Self::read(self.begin(request, Some(body)).await).await
    }

    async fn read(answer: ServiceResponse<impl MessageBody<Error: std::fmt::Debug>>) -> Reply {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = test::read_body(answer).await;
        let text = String::from_utf8(body.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status, headers, body, text }
    }

    /// An answer of which nothing is read yet.
    pub(crate) async fn answer(
        &self,
        by: &Person,
        request: test::TestRequest,
    ) -> ServiceResponse<impl MessageBody<Error: std::fmt::Debug>> {
        let request = request.insert_header(("authorization", format!("Bearer {}", by.token)));
        self.begin(request, None).await
    }

    async fn begin(
        &self,
        request: test::TestRequest,
        body: Option<Payload>,
    ) -> ServiceResponse<impl MessageBody<Error: std::fmt::Debug>> {
        let app = App::new()
            .into_utoipa_app()
            .app_data(Data::from(Arc::clone(&self.service)))
            .app_data(Data::new(self.gate.gate()))
            .app_data(Data::new(Cursors::new(&[7; 32])))
            .app_data(Data::new(Fingerprints::new(&[7; 32])))
            .configure(users::routes)
            .into_app()
            .wrap(RequestContext);
        let app = test::init_service(app).await;
        let mut request = request.to_request();
        if let Some(body) = body {
            *request.payload() = body;
        }
        test::call_service(&app, request).await
    }

    pub(crate) async fn get(&self, by: &Person, path: &str) -> Reply {
        self.send(by, test::TestRequest::get().uri(path)).await
    }

    /// A request with a body and, if not empty, an `If-Match`.
    pub(crate) async fn write(
        &self,
        by: &Person,
        method: Method,
        path: &str,
        body: &Value,
        if_match: &str,
    ) -> Reply {
        let mut request = test::TestRequest::with_uri(path).method(method).set_json(body);
        if !if_match.is_empty() {
            request = request.insert_header(("if-match", if_match));
        }
        self.send(by, request).await
    }

    /// A request with a body of rows.
    pub(crate) async fn import(&self, by: &Person, query: &str, kind: &str, body: &str) -> Reply {
        let request = test::TestRequest::post().uri(&format!("/api/v1/users/imports{query}"));
        let request = request.insert_header(("content-type", kind)).set_payload(body.to_owned());
        self.send(by, request).await
    }

    /// Makes a user and returns what was answered.
    pub(crate) async fn make(&self, by: &Person, email: &str, name: &str) -> Value {
        let body = serde_json::json!({ "email": email, "display_name": name });
        self.write(by, Method::POST, "/api/v1/users", &body, "").await.expect(201).body
    }

    /// The addresses of all pages of a list.
    pub(crate) async fn listed(&self, by: &Person, query: &str) -> Vec<String> {
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let cursor_query = cursor.map(|it| format!("&cursor={it}")).unwrap_or_default();
            let page = self.get(by, &format!("/api/v1/users?{query}{cursor_query}")).await.expect(200);
            let items = page.body["items"].as_array().unwrap();
            found.extend(items.iter().map(|item| item["email"].as_str().unwrap().to_owned()));
            assert_eq!(page.header("link").is_empty(), page.body["next_cursor"].is_null());
            cursor = page.body["next_cursor"].as_str().map(ToOwned::to_owned);
            if cursor.is_none() {
                return found;
            }
        }
    }

    /// Lets the module hear of a registration.
    pub(crate) async fn hear(&self, event: &Event) {
        let all = users::subscribers(&self.service);
        for subscriber in all.iter().filter(|it| it.hears().contains(&event.event_type.as_str())) {
            subscriber.hear(event).await.unwrap();
        }
    }

    pub(crate) fn registered(&self, user: UserId, name: Option<&str>, locale: Option<&str>) -> Event {
        let fact = AccountRegistered {
            user,
            display_name: name.map(ToOwned::to_owned),
            locale: locale.map(ToOwned::to_owned),
        };
        Event::of(&fact, &Caller::module("auth"), self.clock.now()).unwrap()
    }

    /// What the audit trail says about somebody, oldest first.
    pub(crate) async fn trail(&self, user: UserId) -> Vec<audit::Record> {
        let filter = audit::Filter { subject_id: Some(user.to_string()), ..audit::Filter::default() };
        let mut c = self.db.read().await.unwrap();
        let mut all = audit::list(&mut c, &filter, None, 100).await.unwrap();
        all.reverse();
        all
    }

    /// The whole audit trail, newest first.
    pub(crate) async fn everything(&self) -> Vec<audit::Record> {
        audit::list(&mut self.db.read().await.unwrap(), &audit::Filter::default(), None, 500).await.unwrap()
    }
}
