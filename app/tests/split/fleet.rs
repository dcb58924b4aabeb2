//! Four running services that know each other, each with a database of its own.

use std::collections::BTreeMap;

use contracts::{Caller, Module};
use serde_json::{Value, json};
use testkit::brokers::TestBroker;

use crate::client::{Answer, Client, Person};
use crate::house::{House, Shape, token_in};
use crate::plan::{Extra, Plan, leave};

/// Starts one process with these settings.
pub async fn open(extra: &[(String, String)]) -> House {
    let extra: Vec<(&str, &str)> = extra.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    House::open(Shape::Embedded, &extra).await.unwrap()
}

/// Four services.
pub struct Fleet {
    pub plan: Plan,
    pub services: BTreeMap<Module, House>,
    /// The one that was killed.
    pub gone: Option<Module>,
    broker: TestBroker,
}

impl Fleet {
    /// None when there is no broker; why is printed.
    pub async fn open() -> Option<Self> {
        Self::open_with("http", |_| Vec::new()).await
    }

    /// With more settings for each.
    pub async fn open_with(scheme: &'static str, more: impl Fn(Module) -> Extra) -> Option<Self> {
        let broker = TestBroker::shared().await?;
        let plan = Plan { scheme, ..Plan::new(broker.url(), broker.prefix()) };
        let mut services = BTreeMap::new();
        for module in Module::ALL {
            let mut extra = plan.settings(module);
            extra.extend(more(module));
            services.insert(module, open(&extra).await);
        }
        Some(Self { plan, services, gone: None, broker })
    }

    /// Ends a service at once.
    pub fn kill(&mut self, module: Module) {
        self.services.get_mut(&module).unwrap().kill();
        self.gone = Some(module);
    }

    /// Starts it again.
    pub fn start(&mut self, module: Module) {
        self.services.get_mut(&module).unwrap().start();
        self.gone = None;
    }

    /// A client of one service, as nobody or as somebody.
    pub fn client(&self, module: Module, person: Option<&Person>) -> Client {
        let mut client = self.services[&module].client();
        client.access_token = person.and_then(|person| person.client.access_token.clone());
        client
    }

    /// Makes the first administrator by the link that the service with auth printed.
    pub async fn administrator(&self) -> Person {
        let token = token_in(&self.services[&Module::Auth].setup_link.clone().expect("a set-up link"));
        let (email, password) = ("root@example.org", "correct horse battery staple");
        let body = json!({ "token": token, "email": email, "password": password });
        let answer = self.client(Module::Auth, None).post("/api/v1/setup", &body).await;
        assert_eq!(answer.status, 201, "{:?}", answer.body);
        self.log_in(email, password).await
    }

    /// Logs somebody in, and asks users who it is.
    pub async fn log_in(&self, email: &str, password: &str) -> Person {
        let body = json!({ "email": email, "password": password });
        let answer = self.client(Module::Auth, None).post("/api/v1/auth/logins", &body).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
        let mut client = self.client(Module::Users, None);
        client.access_token = Some(text("access_token"));
        let me = client.get("/api/v1/users/me").await;
        assert_eq!(me.status, 200, "{:?}", me.body);
        Person {
            id: me.body["id"].as_str().unwrap().to_owned(),
            email: email.to_owned(),
            password: password.to_owned(),
            session: text("session_id"),
            refresh_token: text("refresh_token"),
            client,
        }
    }

    /// An ask to a service's internal routes, with what a forger wants.
    pub async fn ask(
        &self,
        module: Module,
        path: &str,
        body: &Value,
        headers: &[(&'static str, String)],
    ) -> Answer {
        let client = Client::new(&self.services[&module].management);
        let mut ask = crate::client::Ask::new(reqwest::Method::POST, path).body(body);
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        client.send(&ask).await
    }

    /// Every service ends as it should, and no log holds a panic.
    pub async fn close(self) {
        self.services.into_values().for_each(House::close);
        leave(self.broker).await;
    }
}

/// On whose behalf, as a header.
pub fn on_behalf_of(name: &str) -> (&'static str, String) {
    ("doorward-caller", serde_json::to_string(&Caller::module(name)).unwrap())
}
