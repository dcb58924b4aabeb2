//! Every setting in one struct, and the only place that reads the environment.
//!
//! Each part is owned by its crate; here they are put together, read (defaults, then file, then environment), and
//! checked as a whole, so that a bad configuration stops the start with a sentence for everything that is wrong.

mod production;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use contracts::Module;
use platform::http::{ForwardedHeader, Proxies};
use platform::settings::{MasterKey, Secret};
use serde::Deserialize;
use url::Url;

use crate::effective::{self, Inputs};
use crate::health::within_reach;
use crate::limits::LimitSettings;
use crate::tls::TlsSettings;
use crate::{StartError, data};

/// The defaults: complete, so that what is not in them is not a setting.
pub(crate) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// All settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) profile: Profile,
    pub(crate) data_dir: PathBuf,
    pub(crate) public_url: String,
    /// By name; see [`Settings::here`].
    pub(crate) modules: Vec<String>,
    pub(crate) peers: platform::peers::Settings,
    pub(crate) server: ServerSettings,
    pub(crate) database: platform::db::Settings,
    pub(crate) limits: LimitSettings,
    pub(crate) secrets: SecretSettings,
    pub(crate) log: platform::telemetry::Settings,
    pub(crate) cache: platform::cache::Settings,
    pub(crate) redis: platform::redis::Settings,
    pub(crate) outbox: platform::outbox::Settings,
    pub(crate) bus: platform::bus::Settings,
    pub(crate) rabbitmq: platform::bus::rabbit::Settings,
    pub(crate) retention: RetentionSettings,
    pub(crate) auth: auth::Settings,
    pub(crate) users: users::Settings,
    pub(crate) permissions: permissions::Settings,
    pub(crate) notifications: notifications::Settings,
    pub(crate) smtp: notifications::Smtp,
    /// The names of settings in which a sample was left standing.
    #[serde(skip)]
    samples: Vec<String>,
}

/// What kind of place this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Profile {
    /// Somebody's own machine: secrets are made, messages are shown.
    Development,
    /// For real.
    Production,
}

impl Profile {
    pub(crate) fn is_development(self) -> bool {
        self == Self::Development
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_development() { "development" } else { "production" })
    }
}

/// The listeners.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerSettings {
    pub(crate) public: ListenerSettings,
    pub(crate) management: ManagementSettings,
    pub(crate) drain_seconds: u64,
    pub(crate) grace_seconds: u64,
    pub(crate) trusted_proxies: Vec<String>,
    pub(crate) forwarded_header: ForwardedHeader,
    pub(crate) header_timeout_ms: u64,
    pub(crate) body_timeout_ms: u64,
}

impl ServerSettings {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(1..=300).contains(&self.grace_seconds) {
            problems.push("server.grace_seconds must be from 1 to 300.".to_owned());
        }
        for (name, value) in
            [("header_timeout_ms", self.header_timeout_ms), ("body_timeout_ms", self.body_timeout_ms)]
        {
            if !(100..=600_000).contains(&value) {
                problems.push(format!("server.{name} must be from 100 to 600000."));
            }
        }
        if let Err(network) = self.proxies() {
            problems.push(format!(
                "server.trusted_proxies holds {network:?}, which is no network such as 10.0.0.0/8 or fd00::1, or is \
                 everybody."
            ));
        }
        problems
    }

    /// The proxies whose word counts; or the text that names none.
    pub(crate) fn proxies(&self) -> Result<Proxies, String> {
        Proxies::parse(self.trusted_proxies.iter().map(String::as_str), self.forwarded_header)
    }
}

/// One listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerSettings {
    pub(crate) address: SocketAddr,
}

/// The listener that no user reaches.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManagementSettings {
    pub(crate) address: SocketAddr,
    pub(crate) tls: TlsSettings,
}

/// What only the operator knows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretSettings {
    pub(crate) master_key: Secret<String>,
}

/// How long things are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionSettings {
    pub(crate) events_days: u32,
    pub(crate) audit_days: u32,
}

impl RetentionSettings {
    /// Events that are forgotten too soon take effect again when they come again.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(1..=3_650).contains(&self.events_days) {
            problems.push("retention.events_days must be from 1 to 3650.".to_owned());
        }
        if self.audit_days > 36_500 {
            problems.push("retention.audit_days must be from 0 to 36500.".to_owned());
        }
        problems
    }
}

impl Settings {
    /// Reads the settings: the defaults, then the file, then the environment.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, StartError> {
        Self::sketch(file)?.checked()
    }

    /// The same without looking whether they are fit for use: for what is asked while they are being written.
    pub(crate) fn sketch(file: Option<&Path>) -> Result<Self, StartError> {
        let file = file.map(named).transpose()?;
        Self::join(file.as_ref().map(|(path, text)| (path.as_str(), text.as_str())), &environment())
    }

    /// The settings as TOML, with where they come from, and without secrets.
    pub(crate) fn show(file: Option<&Path>) -> Result<String, StartError> {
        let file = file.map(named).transpose()?;
        let file = file.as_ref().map(|(path, text)| (path.as_str(), text.as_str()));
        effective::show(Inputs { file, environment: &environment() })
    }

    fn join(file: Option<(&str, &str)>, environment: &[(String, String)]) -> Result<Self, StartError> {
        let read_file = |path: &str| std::fs::read_to_string(path);
        let loaded = platform::settings::load_with_sources::<Self>(DEFAULTS, file, environment, read_file);
        let loaded = loaded.map_err(|error| StartError(error.to_string()))?;
        let mut settings = Self { samples: production::samples(&loaded.values), ..loaded.settings };
        // Outside of development somebody has to say it: a variable that was forgotten would begin a new installation.
        if settings.profile.is_development() && settings.database.url.expose().is_empty() {
            let file = settings.data_dir.join("doorward.db");
            settings.database.url = format!("sqlite:{}", file.display()).as_str().into();
        }
        Ok(settings)
    }

    fn checked(self) -> Result<Self, StartError> {
        let problems = self.problems();
        if problems.is_empty() { Ok(self) } else { Err(StartError(problems.join("\n"))) }
    }

    /// Everything that is wrong, a sentence each.
    fn problems(&self) -> Vec<String> {
        let development = self.profile.is_development();
        let mut problems = Vec::new();
        let sends_mail = self.here().contains(&Module::Notifications);
        if !development {
            problems.extend(production::problems(self, sends_mail));
        }
        if !self.public_url.is_empty() && parse_public_url(&self.public_url).is_none() {
            problems.push("public_url must be http(s)://HOST, with no user, query or fragment.".to_owned());
        }
        let key = self.secrets.master_key.expose();
        if let Some(error) = MasterKey::parse(key).err().filter(|_| !key.is_empty()) {
            problems.push(format!("secrets.master_key can't be used: {error}"));
        }
        problems.extend(self.problems_of_modules());
        problems.extend(self.server.problems());
        problems.extend(self.server.management.tls.problems());
        problems.extend(self.database.problems());
        problems.extend(self.limits.problems());
        problems.extend(self.log.problems());
        problems.extend(self.outbox.problems());
        problems.extend(self.bus.problems());
        problems.extend(self.rabbitmq.problems(self.outbox.deadline_ms));
        problems.extend(self.retention.problems());
        problems.extend(self.cache.problems());
        problems.extend(self.redis.problems());
        problems.extend(self.auth.problems());
        problems.extend(self.users.problems());
        problems.extend(self.permissions.problems());
        problems.extend(self.notifications.problems());
        if sends_mail {
            problems.extend(self.smtp.problems(development));
        }
        problems
    }

    /// What is wrong with what is here and what is elsewhere.
    fn problems_of_modules(&self) -> Vec<String> {
        let unknown = self.modules.iter().filter(|name| Module::named(name).is_none());
        let mut problems: Vec<String> = unknown
            .map(|name| {
                format!("`modules` names {name:?}: there are auth, users, permissions and notifications.")
            })
            .collect();
        if self.modules.is_empty() {
            problems.push(
                "`modules` is empty: name at least one of auth, users, permissions and notifications."
                    .to_owned(),
            );
        }
        if problems.is_empty() {
            problems.extend(self.peers.problems(&self.here()));
        }
        if !self.has_every_module() {
            if !self.rabbitmq.is_set() {
                problems.push(
                    "rabbitmq.url is not set, and not every module is in `modules`: set it to the broker that carries \
                     events between the services, the same for each."
                        .to_owned(),
                );
            }
            if self.secrets.master_key.expose().is_empty() {
                problems.push(
                    "secrets.master_key is not set, and not every module is in `modules`: set it to the same for every \
                     service (`openssl rand -base64 32`)."
                        .to_owned(),
                );
            }
            if self.public_url.is_empty() {
                problems.push(
                    "public_url is not set, and not every module is in `modules`: set it to the same for every service, \
                     the address of the reverse proxy in front of them."
                        .to_owned(),
                );
            }
        }
        problems
    }

    /// The modules that live in this process, each once.
    pub(crate) fn here(&self) -> Vec<Module> {
        let named = |module: &Module| self.modules.iter().any(|name| name == module.as_str());
        Module::ALL.into_iter().filter(named).collect()
    }

    /// Whether nothing lives elsewhere.
    pub(crate) fn has_every_module(&self) -> bool {
        self.here().len() == Module::ALL.len()
    }

    /// Where people reach Doorward; in development the public listener, when nothing else is said.
    pub(crate) fn public_url(&self, listener: SocketAddr) -> Result<Url, StartError> {
        let text = match self.public_url.as_str() {
            "" => format!("http://{}", within_reach(listener)),
            said => said.to_owned(),
        };
        parse_public_url(&text).ok_or_else(|| StartError(format!("{text} can't be used as public_url.")))
    }

    /// The key that other keys come from; in development made and kept when none is set.
    pub(crate) fn master_key(&self) -> Result<MasterKey, StartError> {
        if self.secrets.master_key.expose().is_empty() {
            return data::master_key(&self.data_dir);
        }
        MasterKey::parse(self.secrets.master_key.expose()).map_err(|error| StartError(error.to_string()))
    }
}

fn parse_public_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let good = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    good.then_some(url)
}

/// A file's path and text.
fn named(path: &Path) -> Result<(String, String), StartError> {
    let text = std::fs::read_to_string(path);
    text.map(|text| (path.display().to_string(), text))
        .map_err(|error| StartError::because(&format!("The file {} can't be read", path.display()), error))
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> Vec<(String, String)> {
    let texts =
        std::env::vars_os().map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(file: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let environment: Vec<_> =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let joined = Settings::join(Some(("my.toml", file)), &environment).and_then(Settings::checked);
        joined.map_err(|error| error.to_string())
    }

    #[test]
    fn the_file_of_defaults_says_what_the_crates_say() {
        let settings = join("", &[]).unwrap();
        assert_eq!(settings.auth, auth::Settings::default());
        assert_eq!(settings.users, users::Settings::default());
        assert_eq!(settings.permissions, permissions::Settings::default());
        assert_eq!(settings.cache, platform::cache::Settings::default());
        assert_eq!(settings.redis, platform::redis::Settings::default());
        assert_eq!(settings.log, platform::telemetry::Settings::default());
        let same = |file: String, code: String| assert_eq!(file, code);
        same(format!("{:?}", settings.outbox), format!("{:?}", platform::outbox::Settings::default()));
        same(format!("{:?}", settings.peers), format!("{:?}", platform::peers::Settings::default()));
        same(format!("{:?}", settings.bus), format!("{:?}", platform::bus::Settings::default()));
        let rabbitmq = platform::bus::rabbit::Settings::default();
        same(format!("{:?}", settings.rabbitmq), format!("{rabbitmq:?}"));
        same(format!("{:?}", settings.notifications), format!("{:?}", notifications::Settings::default()));
    }

    #[test]
    fn the_files_beside_it_hold_known_settings_only() {
        join(include_str!("../../config/development.toml"), &[]).unwrap();
        let told = join(include_str!("../../config/production.toml"), &[]).unwrap_err();
        for setting in ["public_url", "secrets.master_key", "database.url", "smtp.url"] {
            assert!(told.contains(setting), "{told}");
        }
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let file = "[server.public]\naddress = \"127.0.0.1:1\"";
        let settings = join(file, &[("DOORWARD__SERVER__PUBLIC__ADDRESS", "127.0.0.1:2")]).unwrap();
        assert_eq!(settings.server.public.address.port(), 2);
        assert_eq!(join(file, &[]).unwrap().server.public.address.port(), 1);
        assert_eq!(join("", &[("DOORWARD_PROFILE", "development")]).unwrap().profile, Profile::Development);
    }

    #[test]
    fn what_is_no_setting_stops_the_start_with_a_hint() {
        let told = join("", &[("DOORWARD__SERVER__PUBLIC__ADRESS", "127.0.0.1:2")]).unwrap_err();
        assert!(told.contains("server.public.address"), "{told}");
        let told = join("[auth.hash]\nmemory = 1", &[]).unwrap_err();
        assert!(told.contains("auth.hash.memory") && told.contains("my.toml"), "{told}");
        assert!(
            join("", &[("DOORWARD__DATABASE__MAX_CONNECTIONS", "many")])
                .unwrap_err()
                .contains("whole number")
        );
    }

    #[test]
    fn production_starts_with_what_only_its_operator_knows() {
        let key = MasterKey::generate().unwrap().to_base64();
        let environment = [
            ("DOORWARD_PROFILE", "production"),
            ("DOORWARD__PUBLIC_URL", "https://id.example.org"),
            ("DOORWARD__SECRETS__MASTER_KEY", key.as_str()),
            ("DOORWARD__DATABASE__URL", "sqlite:/data/doorward.db"),
            ("DOORWARD__SMTP__URL", "smtps://user:word@mail.internal"),
            ("DOORWARD__SMTP__FROM", "mail@example.org"),
        ];
        let settings = join("", &environment).unwrap();
        assert!(!format!("{settings:?}").contains(key.as_str()), "the key shows itself");
        for missing in 1..environment.len() {
            let mut some = environment.to_vec();
            let (name, _) = some.remove(missing);
            let setting = name.trim_start_matches("DOORWARD__").replace("__", ".").to_lowercase();
            assert!(join("", &some).unwrap_err().contains(&setting), "{setting} is not asked for");
        }
        // Only who sends mail needs a mail server.
        let mut auth = environment[..4].to_vec();
        auth.push(("DOORWARD__MODULES", "auth"));
        let told = join("", &auth).unwrap_err();
        assert!(told.contains("peers.users") && !told.contains("smtp"), "{told}");
        let mut sample = environment.to_vec();
        sample[2].1 = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        assert!(join("", &sample).unwrap_err().contains("secrets.master_key"));
        for (place, odd, setting) in [
            (1, "javascript:alert(1)", "public_url"),
            (1, "http://id.example.org", "public_url must begin with https"),
            (4, "smtps://USER:PASSWORD@mail.example.org", "smtp.url is still a sample"),
        ] {
            let mut some = environment.to_vec();
            some[place].1 = odd;
            let told = join("", &some).unwrap_err();
            assert!(told.contains(setting) && !told.contains(odd), "{told}");
        }
        let mut local = environment.to_vec();
        local[1].1 = "http://localhost:8080";
        join("", &local).unwrap();
    }

    #[test]
    fn what_would_deliver_nothing_or_forget_too_soon_stops_the_start() {
        for (key, value) in [
            ("OUTBOX__BATCH", "0"),
            ("OUTBOX__LEASE_MS", "10000"),
            ("BUS__MAX_ATTEMPTS", "0"),
            ("BUS__CONCURRENCY", "0"),
            ("BUS__LEASE_MS", "10000"),
            ("RETENTION__EVENTS_DAYS", "0"),
            ("RETENTION__AUDIT_DAYS", "40000"),
            ("PERMISSIONS__SWEEP_INTERVAL_SECONDS", "0"),
            ("LOG__FILTER", "info,platform=loud"),
        ] {
            let setting = key.replace("__", ".").to_lowercase();
            let told = join("", &[(&format!("DOORWARD__{key}"), value)]).unwrap_err();
            assert!(told.contains(&setting) && told.lines().count() == 1, "{key}: {told}");
        }
        join("", &[("DOORWARD__RETENTION__AUDIT_DAYS", "0")]).unwrap();
    }

    #[test]
    fn links_lead_to_a_listener_for_every_address_by_one_of_them() {
        let settings = join("", &[]).unwrap();
        let link = |listener: &str| settings.public_url(listener.parse().unwrap()).unwrap().to_string();
        assert_eq!(link("0.0.0.0:8080"), "http://127.0.0.1:8080/");
        assert_eq!(link("[::]:8080"), "http://[::1]:8080/");
        assert_eq!(link("10.0.0.1:8080"), "http://10.0.0.1:8080/");
    }
}
