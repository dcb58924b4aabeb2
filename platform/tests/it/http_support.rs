//! A small application that stands behind the whole front room, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::to_bytes;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{App, web};
use contracts::{Error, SessionId, Time, UserId};
use platform::clock::Clock;
use platform::http::{Fingerprints, Gate, RequestContext, fallback};
use platform::tokens::{AccessClaims, Algorithm, KeySource, PublicKeys, Signer, Verifier, generate_key};
use serde_json::Value;
use testkit::fakes::{FakeAuth, FakePermissions};

pub const ISSUER: &str = "https://id.example.test";

/// Everything a gate needs, in the hands of a test.
pub struct Stage {
    pub clock: Clock,
    pub signer: Signer,
    pub auth: Arc<FakeAuth>,
    pub permissions: Arc<FakePermissions>,
    pub gate: web::Data<Gate>,
}

/// A source that always has the same keys.
pub struct Fixed(pub PublicKeys);

#[async_trait::async_trait]
impl KeySource for Fixed {
    async fn load(&self) -> Result<PublicKeys, Error> {
        Ok(self.0.clone())
    }
}

impl Stage {
    pub fn new() -> Self {
        let clock = Clock::manual(Time::from_seconds(1_800_000_000));
        let signer = new_signer(Algorithm::EdDsa);
        let keys = PublicKeys::new(vec![signer.public_key().clone()]);
        let verifier = Arc::new(Verifier::new(ISSUER, ISSUER, Arc::new(Fixed(keys)), clock.clone()));
        let (auth, permissions) = (Arc::<FakeAuth>::default(), Arc::<FakePermissions>::default());
        let gate = Gate { verifier, auth: auth.clone(), permissions: permissions.clone() };
        Self { clock, signer, auth, permissions, gate: web::Data::new(gate) }
    }

    /// Logs somebody new in.
    pub fn log_in(&self) -> (UserId, SessionId, String) {
        let user = UserId::new();
        let session = self.auth.add_session(user);
        let claims = claims(self.clock.now(), user, session);
        (user, session, self.signer.sign_access(&claims).unwrap())
    }
}

pub fn new_signer(algorithm: Algorithm) -> Signer {
    Signer::from_pkcs8(algorithm, &generate_key(algorithm).unwrap()).unwrap()
}

pub fn claims(now: Time, user: UserId, session: SessionId) -> AccessClaims {
    AccessClaims {
        iss: ISSUER.to_owned(),
        aud: ISSUER.to_owned(),
        exp: now.plus(Duration::from_secs(600)).seconds(),
        iat: now.seconds(),
        jti: uuid::Uuid::now_v7(),
        sub: user,
        sid: session,
        client_id: "doorward".to_owned(),
        auth_time: now.seconds(),
    }
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The status, the code and the pointers of a problem.
    pub fn problem(&self) -> (u16, String, Vec<(String, String)>) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        assert_eq!(body["request_id"], self.header("x-request-id"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let errors = errors.iter().map(|error| (text(&error["pointer"]), text(&error["code"])));
        (self.status.as_u16(), text(&body["code"]), errors.collect())
    }
}

/// Sends one request to an application of these routes.
pub async fn send(
    stage: &Stage,
    routes: impl FnOnce(&mut web::ServiceConfig),
    request: TestRequest,
) -> Answer {
    let app = App::new()
        .wrap(RequestContext)
        .app_data(stage.gate.clone())
        .app_data(web::Data::new(Fingerprints::new(&[7; 32])))
        .configure(routes)
        .default_service(web::to(fallback));
    let app = init_service(app).await;
    match try_call_service(&app, request.to_request()).await {
        Ok(response) => read(response).await,
        // Outside of a test the server does this.
        Err(error) => {
            let response = error.as_response_error().error_response();
            let (status, headers) = (response.status(), response.headers().clone());
            Answer { status, headers, text: text(&to_bytes(response.into_body()).await.unwrap()) }
        }
    }
}

async fn read(response: ServiceResponse) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, text: text(&to_bytes(response.into_body()).await.unwrap()) }
}

fn text(bytes: &web::Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
