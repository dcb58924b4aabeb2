//! The module as the application would run it, with a fake auth that knows the accounts.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use actix_web::{App, test};
use contracts::auth::{Account, AccountRegistered};
use contracts::{Caller, Event, UserId};
use platform::audit;
use platform::clock::Clock;
use platform::db::Database;
use platform::http::RequestContext;
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

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
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
        let clock = Clock::manual("2026-12-01T12:00:00Z".parse().unwrap());
        let gate = TestGate::new(clock.clone());
        let settings = Settings { max_preference_namespaces: 3 };
        let service = Arc::new(Service::new(db.clone(), clock.clone(), gate.auth.clone(), settings));
        Self { db, clock, gate, service }
    }

    pub(crate) fn person(&self, email: &str) -> Person {
        let account = self.gate.auth.add_account(email);
        Person { token: self.gate.token_for(account.id), account }
    }

    pub(crate) async fn send(&self, by: &Person, request: test::TestRequest) -> Reply {
        let app = App::new()
            .into_utoipa_app()
            .app_data(Data::from(Arc::clone(&self.service)))
            .app_data(Data::new(self.gate.gate()))
            .configure(users::routes)
            .into_app()
            .wrap(RequestContext);
        let app = test::init_service(app).await;
        let request = request.insert_header(("authorization", format!("Bearer {}", by.token)));
        let answer = test::call_service(&app, request.to_request()).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = test::read_body(answer).await;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Reply { status, headers, body }
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

    /// Lets the module hear of a registration.
    pub(crate) async fn hear(&self, event: &Event) {
        for subscriber in users::subscribers(&self.service) {
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
}
