//! What a test of this module needs around it: people, a clock that stands still, a service, and ways to ask it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use actix_web::{App, web};
use async_trait::async_trait;
use contracts::notifications::{Notifications, QueuedNotification, Recipient, SendNotification};
use contracts::{Caller, EmailAddress, NotificationId, Time, UserId};
use notifications::{Channel, Failure, Letter, Outlets, Parts, Service, Settings, Smtp};
use platform::clock::Clock;
use platform::db::Database;
use platform::http::{Cursors, Fingerprints, RequestContext};
use platform::redis::Redis;
use platform::settings::MasterKey;
use serde_json::{Map, Value, json};
use testkit::fakes::{FakeAuth, FakeUsers};
use testkit::gate::TestGate;
use testkit::mail_trap::MailTrap;
use tokio_util::sync::CancellationToken;
use utoipa_actix_web::AppExt;

pub(crate) struct World {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) auth: Arc<FakeAuth>,
    pub(crate) users: Arc<FakeUsers>,
    pub(crate) gate: TestGate,
    pub(crate) settings: Settings,
    pub(crate) smtp: Smtp,
    pub(crate) mailbox: bool,
    pub(crate) notes: Option<PathBuf>,
    pub(crate) redis: Option<Redis>,
    pub(crate) master_key: MasterKey,
}

impl World {
    /// With a mailbox and no mail server.
    pub(crate) fn new(db: Database) -> Self {
        let clock = Clock::manual(Time::from_seconds(1_767_225_600));
        Self {
            db,
            gate: TestGate::new(clock.clone()),
            clock,
            auth: Arc::default(),
            users: Arc::default(),
            settings: Settings { poll_interval_ms: 10, ..Settings::default() },
            smtp: Smtp::default(),
            mailbox: true,
            notes: None,
            redis: None,
            master_key: MasterKey::generate().unwrap(),
        }
    }

    /// With a mail server and no mailbox.
    pub(crate) fn mailing(db: Database, trap: &MailTrap) -> Self {
        let smtp = Smtp {
            url: trap.url().as_str().into(),
            from: "Doorward <mail@doorward.example>".to_owned(),
            ..Smtp::default()
        };
        Self { smtp, mailbox: false, ..Self::new(db) }
    }

    pub(crate) fn parts(&self) -> Parts {
        Parts {
            db: self.db.clone(),
            clock: self.clock.clone(),
            auth: self.auth.clone(),
            users: self.users.clone(),
            settings: self.settings.clone(),
            smtp: self.smtp.clone(),
            master_key: self.master_key.clone(),
            public_url: "https://id.example.org".parse().unwrap(),
            mailbox: self.mailbox,
            notes: self.notes.clone(),
            redis: self.redis.clone(),
        }
    }

    pub(crate) fn service(&self) -> Arc<Service> {
        Arc::new(Service::new(self.parts()).unwrap())
    }

    pub(crate) fn service_with(&self, channel: impl Channel + 'static) -> Arc<Service> {
        self.service_over(Outlets { email: vec![Arc::new(channel)], sms: Vec::new() })
    }

    pub(crate) fn service_over(&self, outlets: Outlets) -> Arc<Service> {
        Arc::new(Service::with_outlets(self.parts(), outlets).unwrap())
    }

    /// Sends an announcement as an administrator, with these members in place of the usual ones.
    pub(crate) async fn send(&self, service: &Arc<Service>, changes: &Value) -> String {
        let mut body = json!({ "template": "announcement", "data": data("News") });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = self.ask(service, Method::POST, "/api/v1/notifications", Some(body)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// What became of a message on its first channel, by alphabet.
    pub(crate) async fn delivery(&self, service: &Arc<Service>, id: &str) -> Value {
        self.deliveries(service, id).await[0].clone()
    }

    /// What became of a message on all its channels, by alphabet.
    pub(crate) async fn deliveries(&self, service: &Arc<Service>, id: &str) -> Vec<Value> {
        let answer = self.ask(service, Method::GET, &format!("/api/v1/notifications/{id}"), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.body["deliveries"].as_array().unwrap().clone()
    }

    /// State and reason on the first channel.
    pub(crate) async fn fate(&self, service: &Arc<Service>, id: &str) -> (String, String) {
        let delivery = self.delivery(service, id).await;
        let text = |name: &str| delivery[name].as_str().unwrap_or_default().to_owned();
        (text("state"), text("reason"))
    }

    /// Tells the module a fact, as the bus does.
    pub(crate) async fn hear<F: contracts::Fact>(&self, service: &Arc<Service>, fact: &F) {
        let event = contracts::Event::of(fact, &Caller::module("auth"), self.clock.now()).unwrap();
        notifications::subscribers(service)[0].hear(&event).await.unwrap();
    }

    /// The header of this person, logged in.
    pub(crate) fn bearer(&self, user: UserId) -> (&'static str, String) {
        ("authorization", format!("Bearer {}", self.gate.token_for(user)))
    }

    /// Asks over HTTP as a person.
    pub(crate) async fn ask_as(
        &self,
        service: &Arc<Service>,
        user: UserId,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let request = TestRequest::with_uri(path).method(method).insert_header(self.bearer(user));
        let request = match body {
            Some(body) => request.set_json(body),
            None => request,
        };
        self.call(service, request).await
    }

    /// Asks over HTTP as an administrator.
    pub(crate) async fn ask(
        &self,
        service: &Arc<Service>,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let request = TestRequest::with_uri(path).method(method).insert_header(self.administrator());
        let request = match body {
            Some(body) => request.set_json(body),
            None => request,
        };
        self.call(service, request).await
    }

    /// The header of somebody who may do everything here.
    pub(crate) fn administrator(&self) -> (&'static str, String) {
        let user = UserId::new();
        self.gate.allow(user, "notifications:send");
        self.gate.allow(user, "notifications:send-security");
        self.gate.allow(user, "notifications:read");
        ("authorization", format!("Bearer {}", self.gate.token_for(user)))
    }

    pub(crate) async fn call(&self, service: &Arc<Service>, request: TestRequest) -> Answer {
        let app = App::new()
            .into_utoipa_app()
            .app_data(web::Data::from(Arc::clone(service)))
            .app_data(web::Data::new(self.gate.gate()))
            .app_data(web::Data::new(Cursors::new(&[7; 32])))
            .app_data(web::Data::new(Fingerprints::new(&[7; 32])))
            .configure(notifications::routes)
            .into_app()
            .configure(notifications::dev_routes)
            .wrap(RequestContext);
        let app = actix_web::test::init_service(app).await;
        Answer::read(actix_web::test::call_service(&app, request.to_request()).await).await
    }

    /// What became of a message: its state, and of each try the outcome.
    pub(crate) async fn tries(&self, service: &Arc<Service>, id: NotificationId) -> (String, Vec<String>) {
        let path = format!("/api/v1/notifications/{id}");
        let answer = self.ask(service, Method::GET, &path, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let attempts = answer.body["deliveries"][0]["attempts"].as_array().unwrap();
        let outcome = |attempt: &Value| attempt["outcome"].as_str().unwrap_or("open").to_owned();
        (answer.body["state"].as_str().unwrap().to_owned(), attempts.iter().map(outcome).collect())
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: actix_web::http::header::HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    async fn read(response: ServiceResponse) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = String::from_utf8(actix_web::test::read_body(response).await.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, headers, text, body }
    }

    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) fn data(subject: &str) -> Map<String, Value> {
    json!({ "subject": subject, "text": "Hello there." }).as_object().unwrap().clone()
}

/// Queues an announcement to an address.
pub(crate) async fn announce(service: &Service, email: &str, subject: &str) -> NotificationId {
    let ask = SendNotification {
        to: Recipient::Email(EmailAddress::parse(email).unwrap()),
        template: "announcement".to_owned(),
        data: data(subject),
        channels: None,
        category: "general".to_owned(),
        deduplication_key: None,
    };
    let QueuedNotification { notification } = service.send(&Caller::module("test"), ask).await.unwrap();
    notification
}

/// Tries everything that is due until nothing is.
pub(crate) async fn deliver_all(service: &Service) {
    while service.deliver_due().await.unwrap() > 0 {}
}

/// Lets workers run while something else happens.
pub(crate) async fn while_working<T>(services: &[Arc<Service>], wanted: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let workers = services.iter().map(|service| Arc::clone(service).work(stop.clone()));
    let all = futures_util::future::join_all(workers);
    let wanted = async {
        let value = tokio::time::timeout(Duration::from_secs(60), wanted).await.expect("it never happened");
        stop.cancel();
        value
    };
    tokio::join!(all, wanted).1
}

type Manner = dyn Fn(&Letter) -> Result<(), Failure> + Send + Sync;

/// A way out that a test decides about; it remembers every letter it was handed.
#[derive(Clone)]
pub(crate) struct Hand {
    taken: Arc<Mutex<Vec<Letter>>>,
    manner: Arc<Manner>,
}

impl Hand {
    pub(crate) fn new(manner: impl Fn(&Letter) -> Result<(), Failure> + Send + Sync + 'static) -> Self {
        Self { taken: Arc::default(), manner: Arc::new(manner) }
    }

    /// The letters that it took.
    pub(crate) fn taken(&self) -> Vec<Letter> {
        self.taken.lock().unwrap().clone()
    }
}

#[async_trait]
impl Channel for Hand {
    async fn send(&self, letter: &Letter) -> Result<Option<String>, Failure> {
        (self.manner)(letter)?;
        self.taken.lock().unwrap().push(letter.clone());
        Ok(None)
    }
}
