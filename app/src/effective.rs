//! `doorward config show`: the settings as they count, where each came from, and no secret. The answer is TOML that can be
//! read again: a secret that is set stands in a comment.
//!
//! What is a secret follows from the types: a text that the settings don't show when they are printed isn't shown here.

use std::fmt::Write;

use platform::settings::{Loaded, Source, load, load_with_sources};
use serde_json::{Map, Value};

use crate::StartError;
use crate::settings::{DEFAULTS, Settings};

/// Stands in for a value, to see whether it is shown.
const CANARY: &str = "doorward-canary";

/// What the settings are read from.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// A file's path and text.
    pub(crate) file: Option<(&'a str, &'a str)>,
    /// The environment.
    pub(crate) environment: &'a [(String, String)],
}

/// The settings as TOML.
pub(crate) fn show(inputs: Inputs<'_>) -> Result<String, StartError> {
    let loaded = load_with_sources::<Settings>(DEFAULTS, inputs.file, inputs.environment, read_file);
    let loaded = loaded.map_err(|error| StartError(error.to_string()))?;
    let printed = format!("{:?}", loaded.settings);
    let mut page = Page { inputs, printed, loaded: &loaded, text: String::new() };
    page.text.push_str("# Behind each setting: where it comes from. Secrets that are set are not shown.\n");
    if let Value::Object(all) = &loaded.values {
        page.table("", all);
    }
    Ok(page.text)
}

fn read_file(path: &str) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

struct Page<'a> {
    inputs: Inputs<'a>,
    printed: String,
    loaded: &'a Loaded<Settings>,
    text: String,
}

impl Page<'_> {
    /// Values first, then the tables within.
    fn table(&mut self, path: &str, table: &Map<String, Value>) {
        let key_of = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let is_table = |value: &Value| value.as_object().is_some_and(|inner| !inner.is_empty());
        let plain = table.iter().filter(|(_, value)| !is_table(value));
        let lines: Vec<String> =
            plain.map(|(name, value)| self.setting(&key_of(name), name, value)).collect();
        if !path.is_empty() && !lines.is_empty() {
            // A table of which nothing is shown is none, when it is read again.
            let mark = if lines.iter().all(|line| line.starts_with('#')) { "# " } else { "" };
            let _ = write!(self.text, "\n{mark}[{path}]\n");
        }
        self.text.extend(lines);
        for (name, value) in table {
            if let Some(inner) = value.as_object().filter(|inner| !inner.is_empty()) {
                self.table(&key_of(name), inner);
            }
        }
    }

    fn setting(&self, key: &str, name: &str, value: &Value) -> String {
        let source = self.loaded.sources.get(key).unwrap_or(&Source::Defaults);
        let (mark, value) = match value {
            value if self.is_shown(key, value) => ("", toml(value)),
            _ => ("# ", "\"***\"".to_owned()),
        };
        format!("{mark}{name} = {value} # {source}\n")
    }

    fn is_shown(&self, key: &str, value: &Value) -> bool {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => items.iter().map(toml).collect::<Vec<_>>().join(","),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return true,
        };
        let path = self.loaded.settings.database.url.sqlite_path();
        if text.is_empty() || (key == "database.url" && path.is_some()) {
            return true;
        }
        let variable = format!("DOORWARD__{}", key.replace('.', "__").to_uppercase());
        let means_it = |name: &str| {
            let name = name.to_uppercase();
            name == variable
                || name == format!("{variable}_FILE")
                || (key == "profile" && name == "DOORWARD_PROFILE")
        };
        let mut environment = self.inputs.environment.to_vec();
        environment.retain(|(name, _)| !means_it(name));
        environment.push((variable.clone(), CANARY.to_owned()));
        match load::<Settings>(DEFAULTS, self.inputs.file, &environment, read_file) {
            Ok(settings) => format!("{settings:?}").contains(CANARY),
            // It takes no free text, such as an address or a level: those print what they are.
            Err(_) => self.printed.to_lowercase().contains(&text.to_lowercase()),
        }
    }
}

fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name} = {}", toml(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(file: &str, environment: &[(&str, &str)]) -> String {
        let environment: Vec<_> =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        show(Inputs { file: Some(("my.toml", file)), environment: &environment }).unwrap()
    }

    #[test]
    fn every_setting_is_told_with_its_source_and_no_secret() {
        let file =
            "[server.public]\naddress = \"127.0.0.1:1\"\n[smtp]\nurl = \"smtps://me:hunter2@mail.test\"";
        let environment = [
            ("DOORWARD_PROFILE", "production"),
            ("DOORWARD__SECRETS__MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("DOORWARD__DATABASE__URL", "postgres://doorward:hunter3@db/doorward"),
            ("DOORWARD__REDIS__URL", "rediss://doorward:hunter4@cache"),
            ("DOORWARD__LOG__FILTER", "info,platform=debug"),
            ("DOORWARD__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8"),
        ];
        let text = shown(file, &environment);
        for secret in ["hunter2", "hunter3", "hunter4", "AAECAwQF"] {
            assert!(!text.contains(secret), "{secret} is shown:\n{text}");
        }
        for line in [
            "profile = \"production\" # environment variable DOORWARD_PROFILE",
            "address = \"127.0.0.1:1\" # file my.toml",
            "# url = \"***\" # file my.toml",
            "# master_key = \"***\" # environment variable DOORWARD__SECRETS__MASTER_KEY",
            "filter = \"info,platform=debug\" # environment variable DOORWARD__LOG__FILTER",
            "format = \"text\" # the defaults",
            "trusted_proxies = [\"10.0.0.0/8\", \"fd00::/8\"] # environment variable DOORWARD__SERVER__TRUSTED_PROXIES",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again_and_says_the_same() {
        let environment = [("DOORWARD__SECRETS__MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")];
        let first = shown("[auth.links]\nsetup_hours = 2\n[notifications]\nretry_factor = 3", &environment);
        let again = shown(&first, &environment);
        let values = |text: &str| {
            let lines =
                text.lines().map(|line| line.rsplit_once(" # ").map_or(line, |(value, _)| value).to_owned());
            lines.collect::<Vec<_>>()
        };
        assert_eq!(values(&first), values(&again));
        assert!(first.contains("setup_hours = 2 # file my.toml"), "{first}");
    }
}
