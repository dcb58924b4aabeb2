//! Every setting in one struct, and the only place that reads the environment.
//!
//! Each part is owned by its crate; here they are put together, read (defaults, then file, then environment), and
//! checked as a whole, so that a bad configuration stops the start with a sentence for everything that is wrong.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use platform::settings::{MasterKey, Secret};
use serde::Deserialize;
use url::Url;

use crate::{StartError, data};

/// The defaults: complete, so that what is not in them is not a setting.
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// All settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) profile: Profile,
    pub(crate) data_dir: PathBuf,
    pub(crate) public_url: String,
    pub(crate) server: ServerSettings,
    pub(crate) database: platform::db::Settings,
    pub(crate) secrets: SecretSettings,
    pub(crate) log: platform::telemetry::Settings,
    pub(crate) cache: platform::cache::Settings,
    pub(crate) outbox: platform::outbox::Settings,
    pub(crate) bus: platform::bus::local::Settings,
    pub(crate) retention: RetentionSettings,
    pub(crate) auth: auth::Settings,
    pub(crate) users: users::Settings,
    pub(crate) permissions: permissions::Settings,
    pub(crate) notifications: notifications::Settings,
    pub(crate) smtp: notifications::Smtp,
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
    pub(crate) management: ListenerSettings,
    pub(crate) drain_seconds: u64,
    pub(crate) grace_seconds: u64,
}

/// One listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerSettings {
    pub(crate) address: SocketAddr,
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
}

impl Settings {
    /// Reads the settings: the defaults, then the file, then the environment.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, StartError> {
        let file =
            file.map(|path| Ok::<_, StartError>((path.display().to_string(), read(path)?))).transpose()?;
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        let environment: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::join(file.as_ref().map(|(path, text)| (path.as_str(), text.as_str())), &environment)
    }

    fn join(file: Option<(&str, &str)>, environment: &[(String, String)]) -> Result<Self, StartError> {
        let read_file = |path: &str| std::fs::read_to_string(path);
        let mut settings: Self = platform::settings::load(DEFAULTS, file, environment, read_file)
            .map_err(|error| StartError(error.to_string()))?;
        if settings.database.url.expose().is_empty() {
            let file = settings.data_dir.join("doorward.db");
            settings.database.url = format!("sqlite:{}", file.display()).as_str().into();
        }
        let problems = settings.problems();
        if problems.is_empty() { Ok(settings) } else { Err(StartError(problems.join("\n"))) }
    }

    /// Everything that is wrong, a sentence each.
    fn problems(&self) -> Vec<String> {
        let development = self.profile.is_development();
        let mut problems = Vec::new();
        if !development && self.public_url.is_empty() {
            problems.push(
                "public_url is not set: set it to the address where people reach Doorward, such as \
                 https://id.example.org."
                    .to_owned(),
            );
        } else if !self.public_url.is_empty() && parse_public_url(&self.public_url).is_none() {
            problems.push("public_url must be http(s)://HOST, with no user, query or fragment.".to_owned());
        }
        if self.secrets.master_key.expose().is_empty() {
            if !development {
                problems.push(
                    "secrets.master_key is not set: set it to 32 random bytes in base64, the same for every replica \
                     (`openssl rand -base64 32`)."
                        .to_owned(),
                );
            }
        } else if let Err(error) = MasterKey::parse(self.secrets.master_key.expose()) {
            problems.push(format!("secrets.master_key can't be used: {error}"));
        }
        if self.server.grace_seconds == 0 || self.server.grace_seconds > 300 {
            problems.push("server.grace_seconds must be from 1 to 300.".to_owned());
        }
        problems.extend(self.auth.problems());
        problems.extend(self.users.problems());
        problems.extend(self.notifications.problems());
        problems.extend(self.smtp.problems(development));
        problems
    }

    /// Where people reach Doorward; in development the public listener, when nothing else is said.
    pub(crate) fn public_url(&self, listener: SocketAddr) -> Result<Url, StartError> {
        let text =
            if self.public_url.is_empty() { format!("http://{listener}") } else { self.public_url.clone() };
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

fn read(path: &Path) -> Result<String, StartError> {
    std::fs::read_to_string(path)
        .map_err(|error| StartError::because(&format!("The file {} can't be read", path.display()), error))
}
