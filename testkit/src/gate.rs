//! Who may pass, in tests: a gate with keys of its own, a fake auth that knows who is logged in, and people who hold
//! what a test allows them.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::permissions::Permissions;
use contracts::{Error, SessionId, UserId};
use platform::clock::Clock;
use platform::http::Gate;
use platform::tokens::{AccessClaims, Algorithm, KeySource, PublicKeys, Signer, Verifier, generate_key};

use crate::fakes::{FakeAuth, FakePermissions};

/// The issuer and the audience of every token in tests.
const ISSUER: &str = "https://id.example.org";

/// A gate, and what makes people pass it.
pub struct TestGate {
    /// Knows who is logged in.
    pub auth: Arc<FakeAuth>,
    /// Knows who may do what, unless a test decides otherwise.
    pub permissions: Arc<FakePermissions>,
    clock: Clock,
    signer: Arc<Signer>,
}

impl TestGate {
    /// A gate with fresh keys, on this clock.
    pub fn new(clock: Clock) -> Self {
        let key = generate_key(Algorithm::EdDsa).unwrap();
        let signer = Arc::new(Signer::from_pkcs8(Algorithm::EdDsa, &key).unwrap());
        Self { auth: Arc::default(), permissions: Arc::default(), clock, signer }
    }

    /// What the application puts in front of its handlers.
    pub fn gate(&self) -> Gate {
        self.gate_with(self.permissions.clone())
    }

    /// The same, where somebody else decides about rights.
    pub fn gate_with(&self, permissions: Arc<dyn Permissions>) -> Gate {
        let keys = Arc::new(Keys(Arc::clone(&self.signer)));
        let verifier = Arc::new(Verifier::new(ISSUER, ISSUER, keys, self.clock.clone()));
        Gate { verifier, auth: self.auth.clone(), permissions }
    }

    /// Gives a person a right such as `notifications:send`.
    pub fn allow(&self, user: UserId, right: &str) {
        self.permissions.allow(user, right);
    }

    /// Logs a person in: an access token that outlives every test.
    pub fn token_for(&self, user: UserId) -> String {
        self.token_of(user, self.auth.add_session(user))
    }

    /// An access token of a session.
    pub fn token_of(&self, user: UserId, session: SessionId) -> String {
        let now = self.clock.now().seconds();
        let claims = AccessClaims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            exp: now + 1_000_000_000,
            iat: now,
            jti: UserId::new().uuid(),
            sub: user,
            sid: session,
            client_id: "test".to_owned(),
            auth_time: now,
        };
        self.signer.sign_access(&claims).unwrap()
    }
}

struct Keys(Arc<Signer>);

#[async_trait]
impl KeySource for Keys {
    async fn load(&self) -> Result<PublicKeys, Error> {
        Ok(PublicKeys::new(vec![self.0.public_key().clone()]))
    }
}
