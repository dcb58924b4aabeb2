//! What an operator says about peers.

use contracts::Module;
use serde::Deserialize;
use url::{Host, Url};

use crate::settings::Secret;
use crate::tokens::{PublicKey, ServiceKey, read_service_key};

/// Where modules live that are not here, and how they are asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The management listener of the process that has auth, such as `http://auth.internal:9090`; empty when it is here.
    pub auth: String,
    /// The same of users.
    pub users: String,
    /// The same of permissions.
    pub permissions: String,
    /// The same of notifications.
    pub notifications: String,
    /// The private key of this service, which says who asks others and who tells events: 32 random bytes in base64.
    pub key: Secret<String>,
    /// The public keys of the services.
    pub keys: Keys,
    /// Certificates for addresses that begin with `https`.
    pub tls: Tls,
    /// How long an ask may take with all that belongs to it, in milliseconds: 50 to 60000.
    pub deadline_ms: u64,
    /// The same for asks that work through many things or hash passwords: 1000 to 600000.
    pub long_deadline_ms: u64,
    /// When a peer is left alone.
    pub circuit: Circuit,
}

/// The public key of the service that has a module; modules that live together have the same.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// Of the service that has auth.
    pub auth: String,
    /// Of the service that has users.
    pub users: String,
    /// Of the service that has permissions.
    pub permissions: String,
    /// Of the service that has notifications.
    pub notifications: String,
}

/// Files with certificates, in PEM.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The authorities that peers' certificates come from; empty means the public ones.
    pub ca_file: String,
    /// The certificate that this service shows, with those between it and the authority.
    pub certificate_file: String,
    /// Its private key.
    pub key_file: String,
}

/// When a peer is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Circuit {
    /// After so many asks in a row that got no answer: 1 to 1000.
    pub failures: u32,
    /// For so many milliseconds; then one ask tries: 100 to 600000.
    pub open_ms: u64,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { failures: 5, open_ms: 1_000 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth: String::new(),
            users: String::new(),
            permissions: String::new(),
            notifications: String::new(),
            key: Secret::new(String::new()),
            keys: Keys::default(),
            tls: Tls::default(),
            deadline_ms: 2_000,
            long_deadline_ms: 60_000,
            circuit: Circuit::default(),
        }
    }
}

impl Settings {
    /// Where a module is; empty when nothing is said.
    #[must_use]
    pub fn address(&self, module: Module) -> &str {
        let address = match module {
            Module::Auth => &self.auth,
            Module::Users => &self.users,
            Module::Permissions => &self.permissions,
            Module::Notifications => &self.notifications,
        };
        address.trim_end_matches('/')
    }

    fn key_text(&self, module: Module) -> &str {
        match module {
            Module::Auth => &self.keys.auth,
            Module::Users => &self.keys.users,
            Module::Permissions => &self.keys.permissions,
            Module::Notifications => &self.keys.notifications,
        }
    }

    /// The public keys of the services that have the modules which are not here.
    #[must_use]
    pub fn public_keys(&self, here: &[Module]) -> Vec<(Module, PublicKey)> {
        let elsewhere = Module::ALL.into_iter().filter(|module| !here.contains(module));
        elsewhere.filter_map(|module| Some((module, read_service_key(self.key_text(module))?))).collect()
    }

    /// The key of this service, when it has one, and every public key that is set: with these events are sealed.
    #[must_use]
    pub fn seal_keys(&self) -> (Option<ServiceKey>, Vec<(Module, PublicKey)>) {
        let own = ServiceKey::parse(self.key.expose()).ok();
        let key = |module| Some((module, read_service_key(self.key_text(module))?));
        (own, Module::ALL.into_iter().filter_map(key).collect())
    }

    /// The peers of which nothing proves that it is they who answer: asked in the clear, and on another machine.
    #[must_use]
    pub fn unproven(&self) -> Vec<Module> {
        let is_elsewhere = |url: Url| match url.host() {
            Some(Host::Domain(name)) => name != "localhost",
            Some(Host::Ipv4(address)) => !address.is_loopback(),
            Some(Host::Ipv6(address)) => !address.is_loopback(),
            None => false,
        };
        let in_the_clear = |module: &Module| {
            let url = Url::parse(self.address(*module)).ok();
            url.filter(|url| url.scheme() == "http").is_some_and(is_elsewhere)
        };
        Module::ALL.into_iter().filter(in_the_clear).collect()
    }

    /// What is wrong, a sentence each, for a process that has these modules.
    #[must_use]
    pub fn problems(&self, here: &[Module]) -> Vec<String> {
        let mut problems = Vec::new();
        for module in Module::ALL {
            problems.extend(self.problem_of_address(module, here.contains(&module)));
        }
        if here.len() < Module::ALL.len() || !self.key.expose().is_empty() {
            problems.extend(self.problems_of_keys(here));
        }
        problems.extend(self.problems_of_tls());
        for (name, value, range) in [
            ("deadline_ms", self.deadline_ms, 50..=60_000),
            ("long_deadline_ms", self.long_deadline_ms, 1_000..=600_000),
            ("circuit.failures", u64::from(self.circuit.failures), 1..=1_000),
            ("circuit.open_ms", self.circuit.open_ms, 100..=600_000),
        ] {
            if !range.contains(&value) {
                problems.push(format!("peers.{name} must be from {} to {}.", range.start(), range.end()));
            }
        }
        problems
    }

    fn problem_of_address(&self, module: Module, here: bool) -> Option<String> {
        let address = self.address(module);
        match (here, address.is_empty()) {
            (true, true) => None,
            (true, false) => Some(format!(
                "peers.{module} is set, but `modules` has {module}, so it runs in this process: take one of the two away."
            )),
            (false, true) => Some(format!(
                "{module} is not in `modules`, and peers.{module} is not set: put it into `modules` to run it in this \
                 process, or set peers.{module} to the management listener of the process that has it, such as \
                 http://{module}.internal:9090."
            )),
            (false, false) if is_address(address) => None,
            (false, false) => {
                Some(format!("peers.{module} must be http(s)://HOST:PORT, with no user, path or query."))
            }
        }
    }

    fn problems_of_keys(&self, here: &[Module]) -> Vec<String> {
        let mut problems = Vec::new();
        let own = match ServiceKey::parse(self.key.expose()) {
            Ok(key) => Some(key.public()),
            Err(_) if self.key.expose().is_empty() => {
                problems.push(
                    "peers.key is not set, and not every module is in `modules`: set it to 32 random bytes in base64, \
                     others for each service (`openssl rand -base64 32`)."
                        .to_owned(),
                );
                None
            }
            Err(error) => {
                problems
                    .push(format!("peers.key can't be used: {}", error.to_string().replace("master ", "")));
                None
            }
        };
        for module in Module::ALL.into_iter().filter(|module| !here.contains(module)) {
            let text = self.key_text(module);
            if read_service_key(text).is_none() {
                problems.push(format!(
                    "peers.keys.{module} must be the public key of the service that has {module}: `doorward keys \
                     service` prints it there."
                ));
            } else if own.as_deref() == Some(text.trim()) {
                problems.push(format!(
                    "peers.keys.{module} is the key of this service itself: every service needs a peers.key of its own."
                ));
            }
        }
        problems
    }

    fn problems_of_tls(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let Tls { ca_file, certificate_file, key_file } = &self.tls;
        if certificate_file.is_empty() != key_file.is_empty() {
            problems
                .push("peers.tls.certificate_file and peers.tls.key_file go together: set both.".to_owned());
        }
        let any = ![ca_file, certificate_file, key_file].iter().all(|file| file.is_empty());
        let plain = |module: &Module| self.address(*module).starts_with("http://");
        if let Some(module) = Module::ALL.iter().find(|module| any && plain(module)) {
            problems.push(format!(
                "peers.tls is set, but peers.{module} begins with http://, where no certificate is looked at: write \
                 https://, or take peers.tls away."
            ));
        }
        problems
    }
}

fn is_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    })
}
