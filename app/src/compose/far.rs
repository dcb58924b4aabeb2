//! The modules that live elsewhere: how they are asked, who of them may ask here, and auth's published keys, when auth is
//! one of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::Data;
use async_trait::async_trait;
use contracts::auth::{Auth, PublishKeys, PublishedKeys};
use contracts::trail::{RemoteTrail, Trail};
use contracts::wire::Line;
use contracts::{Caller, Error, Module};
use platform::clock::Clock;
use platform::http::Admission;
use platform::peers::Lines;
use platform::settings::MasterKey;
use platform::tokens::{Identity, KeySource, PublicKeys, ServiceKey, Services};
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;

/// How often to look whether auth publishes other keys: a withdrawn one is refused within about this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The lines to what lives elsewhere.
#[derive(Clone, Default)]
pub(super) struct Far {
    lines: Lines,
    /// Who may ask here; none where every module is.
    pub(super) admission: Option<Data<Admission>>,
}

impl Far {
    pub(super) fn new(settings: &Settings, master_key: &MasterKey, clock: &Clock) -> Result<Self, Error> {
        let here = settings.here();
        let Some(first) = here.first().filter(|_| here.len() < Module::ALL.len()) else {
            return Ok(Self::default());
        };
        let key = ServiceKey::parse(settings.peers.key.expose()).map_err(Error::internal)?;
        let identity = Arc::new(Identity::new(*first, key, master_key, clock.clone()));
        let keys = settings.peers.public_keys(&here);
        for peer in settings.peers.unproven() {
            tracing::warn!(
                %peer,
                "A peer is asked over http:// on another machine: nothing proves that it is the one that answers. Use \
                 https:// and peers.tls."
            );
        }
        Ok(Self {
            lines: Lines::new(&settings.peers, &identity)?,
            admission: Some(Data::new(Admission {
                services: Services::new(here, keys, master_key, clock.clone()),
                certificate: settings.server.management.tls.asks_for_certificates(),
            })),
        })
    }

    pub(super) fn to(&self, module: Module) -> Result<Arc<dyn Line>, Error> {
        self.lines.to(module)
    }

    /// The parts of the audit trail that are elsewhere.
    pub(super) fn trails(&self) -> Vec<Arc<dyn Trail>> {
        self.lines.places().map(|line| Arc::new(RemoteTrail(line)) as Arc<dyn Trail>).collect()
    }
}

/// The keys of an auth that lives elsewhere.
pub(super) struct FarKeys {
    auth: Arc<dyn Auth>,
    /// What this process takes tokens of, and for whom.
    expected: (String, String),
    seen: Mutex<Option<PublicKeys>>,
    revision: AtomicU64,
}

impl FarKeys {
    pub(super) fn new(auth: Arc<dyn Auth>, expected: (String, String)) -> Self {
        Self { auth, expected, seen: Mutex::default(), revision: AtomicU64::new(0) }
    }

    /// Looks again and again whether the keys are others, so that those who verify hear of it.
    pub(super) async fn watch(&self, stop: CancellationToken) {
        while tokio::time::timeout(LOOK_EVERY, stop.cancelled()).await.is_err() {
            // While auth is away the last good keys stay good, and the line has told of it.
            if let Ok(keys) = self.load().await {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.as_ref() != Some(&keys) {
                    self.revision.fetch_add(1, Ordering::SeqCst);
                    *seen = Some(keys);
                }
            }
        }
    }
}

#[async_trait]
impl KeySource for FarKeys {
    async fn load(&self) -> Result<PublicKeys, Error> {
        let PublishedKeys { issuer, audience, jwks } =
            self.auth.publish_keys(&Caller::module("platform"), PublishKeys::default()).await?;
        if (&issuer, &audience) != (&self.expected.0, &self.expected.1) {
            tracing::error!(
                issuer,
                audience,
                "Auth makes tokens that are refused here: public_url and auth.tokens.audience must be the same for every service."
            );
        }
        serde_json::from_value(jwks).map_err(Error::internal)
    }

    fn revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }
}
