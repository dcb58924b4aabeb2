//! Defaults, then a file, then the environment; each may change a setting, and none may invent one.
//!
//! The defaults document is complete: a key that is not in it is a mistake and is refused with a hint, and the type
//! of a default is the type of the setting. Only lists can be given in the environment as one text, comma separated.

use std::collections::BTreeMap;

use config::{Config, ConfigError, File, FileFormat};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::sources::{SettingsError, Source};
use crate::http::in_plain_words;

/// Variables begin with this; between sections stand two underscores, because names have single ones.
const PREFIX: &str = "DOORWARD__";

/// The one setting with a short name as well.
const PROFILE: &str = "DOORWARD_PROFILE";

/// Settings, and where each came from that is not a default.
#[derive(Clone)]
pub struct Loaded<T> {
    /// The settings.
    pub settings: T,
    /// By key, such as `server.public.address`.
    pub sources: BTreeMap<String, Source>,
    /// Every setting as it was written, secrets included: tables within tables.
    pub values: serde_json::Value,
}

/// Joins the settings.
///
/// # Errors
/// The first mistake found: [`SettingsError`].
pub fn load<T: DeserializeOwned>(
    defaults: &str,
    file: Option<(&str, &str)>,
    environment: &[(String, String)],
    read_file: impl Fn(&str) -> std::io::Result<String>,
) -> Result<T, SettingsError> {
    load_with_sources(defaults, file, environment, read_file).map(|loaded| loaded.settings)
}

/// Joins the settings and tells where they came from. `file` is a path and its text; `read_file` reads what a
/// variable `DOORWARD__…_FILE` names.
///
/// # Errors
/// The first mistake found: [`SettingsError`].
pub fn load_with_sources<T: DeserializeOwned>(
    defaults: &str,
    file: Option<(&str, &str)>,
    environment: &[(String, String)],
    read_file: impl Fn(&str) -> std::io::Result<String>,
) -> Result<Loaded<T>, SettingsError> {
    let known = leaves(&parse(defaults, &Source::Defaults)?);
    let mut sources = BTreeMap::new();
    let mut builder = Config::builder().add_source(File::from_str(defaults, FileFormat::Toml));
    if let Some((path, text)) = file {
        let source = Source::File(path.to_owned());
        for (key, value) in leaves(&parse(text, &source)?) {
            if is_empty_section(&known, &key, &value) {
                continue;
            }
            check(&known, &key, &value, &source)?;
            sources.insert(key, source.clone());
        }
        builder = builder.add_source(File::from_str(text, FileFormat::Toml));
    }
    for (key, (source, text)) in from_environment(&known, environment, read_file)? {
        let value = typed(&known, &key, &text, &source)?;
        let set = builder.set_override(&key, value).map_err(|error| refused(&key, &source, &error))?;
        builder = set;
        sources.insert(key, source);
    }
    // By way of a plain value, because this crate's own errors repeat what they refuse.
    let joined: Result<serde_json::Value, ConfigError> = builder.build().and_then(Config::try_deserialize);
    let joined = joined.map_err(|error| refused("", &Source::Defaults, &error))?;
    let settings = serde_path_to_error::deserialize(&joined).map_err(|error| {
        let key = error.path().to_string();
        let source = sources.get(&key).unwrap_or(&Source::Defaults);
        invalid(&key, source, rule_in(&error.inner().to_string()))
    })?;
    Ok(Loaded { settings, sources, values: joined })
}

fn parse(text: &str, source: &Source) -> Result<Table, SettingsError> {
    text.parse().map_err(|error: toml::de::Error| {
        // The error's own display quotes the line, which may hold a secret.
        let line =
            error.span().map_or(1, |span| text.get(..span.start).unwrap_or(text).lines().count().max(1));
        SettingsError::Syntax {
            source_name: source.clone(),
            reason: format!("line {line}: {}", error.message()),
        }
    })
}

/// All values by key. A list is one value.
fn leaves(table: &Table) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) if !inner.is_empty() => {
                found.extend(leaves(inner).into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            value => {
                found.insert(name.clone(), value.clone());
            }
        }
    }
    found
}

/// A section in which nothing is set, as when all its lines are commented out: the defaults are meant.
fn is_empty_section(known: &BTreeMap<String, Value>, key: &str, value: &Value) -> bool {
    let within = |known: &String| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    matches!(value, Value::Table(inner) if inner.is_empty()) && known.keys().any(within)
}

type Texts = BTreeMap<String, (Source, String)>;

/// What the environment says, by key, still as text.
fn from_environment(
    known: &BTreeMap<String, Value>,
    environment: &[(String, String)],
    read_file: impl Fn(&str) -> std::io::Result<String>,
) -> Result<Texts, SettingsError> {
    let mut texts = Texts::new();
    for (variable, value) in environment {
        let Some(key) = key_of(known, variable)? else { continue };
        let (key, found) = match key.strip_suffix("_file").filter(|_| !known.contains_key(&key)) {
            Some(plain) if known.contains_key(plain) => {
                (plain.to_owned(), read(plain, variable, value, &read_file)?)
            }
            _ => (key, (Source::Variable(variable.clone()), value.clone())),
        };
        if !known.contains_key(&key) {
            return Err(unknown(known, &key, &found.0));
        }
        if let Some((first, _)) = texts.get(&key) {
            return Err(SettingsError::Twice { key, first: first.clone(), second: found.0 });
        }
        texts.insert(key, found);
    }
    Ok(texts)
}

/// The setting a variable means; none when it is not one of ours. A name that only lacks the second underscores is
/// a mistake; anything else with a single one is left alone, because Kubernetes makes such names for its services.
fn key_of(known: &BTreeMap<String, Value>, variable: &str) -> Result<Option<String>, SettingsError> {
    let upper = variable.to_ascii_uppercase();
    if upper == PROFILE {
        return Ok(Some("profile".to_owned()));
    }
    if let Some(rest) = upper.strip_prefix(PREFIX) {
        return Ok(Some(rest.split("__").map(str::to_ascii_lowercase).collect::<Vec<_>>().join(".")));
    }
    let meant = upper.strip_prefix("DOORWARD_").map(str::to_ascii_lowercase);
    match meant.and_then(|meant| known.keys().find(|key| key.replace('.', "_") == meant)) {
        None => Ok(None),
        Some(key) => Err(SettingsError::Unknown {
            key: variable.to_owned(),
            source_name: Source::Variable(variable.to_owned()),
            suggestion: Some(format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())),
        }),
    }
}

fn read(
    key: &str,
    variable: &str,
    path: &str,
    read_file: impl Fn(&str) -> std::io::Result<String>,
) -> Result<(Source, String), SettingsError> {
    let source = Source::SecretFile { variable: variable.to_owned(), path: path.to_owned() };
    match read_file(path) {
        Ok(text) => Ok((source, text.trim().to_owned())),
        Err(error) => Err(SettingsError::Unreadable {
            key: key.to_owned(),
            source_name: source,
            reason: error.kind().to_string(),
        }),
    }
}

/// A value from a file has the type of its default; a whole number will do where a fraction may stand.
fn check(
    known: &BTreeMap<String, Value>,
    key: &str,
    value: &Value,
    source: &Source,
) -> Result<(), SettingsError> {
    let default = known.get(key).ok_or_else(|| unknown(known, key, source))?;
    let fits = default.same_type(value) || (default.is_float() && value.is_integer());
    if fits { Ok(()) } else { Err(invalid(key, source, rule_of(default))) }
}

/// A text from the environment, with the type of its default.
fn typed(
    known: &BTreeMap<String, Value>,
    key: &str,
    text: &str,
    source: &Source,
) -> Result<config::Value, SettingsError> {
    use config::ValueKind as Kind;
    let default = known.get(key).ok_or_else(|| unknown(known, key, source))?;
    let kind = match default {
        Value::Integer(_) => text.parse().ok().map(Kind::I64),
        Value::Float(_) => text.parse().ok().map(Kind::Float),
        Value::Boolean(_) => text.parse().ok().map(Kind::Boolean),
        Value::Array(_) => Some(list(text)),
        Value::Table(_) => None,
        Value::String(_) | Value::Datetime(_) => Some(Kind::String(text.to_owned())),
    };
    kind.map(|kind| config::Value::new(None, kind)).ok_or_else(|| invalid(key, source, rule_of(default)))
}

fn list(text: &str) -> config::ValueKind {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    config::ValueKind::Array(items.map(config::Value::from).collect())
}

const fn rule_of(default: &Value) -> &'static str {
    match default {
        Value::String(_) => "must be a text",
        Value::Integer(_) => "must be a whole number",
        Value::Float(_) => "must be a number",
        Value::Boolean(_) => "must be true or false",
        Value::Datetime(_) => "must be a date",
        Value::Array(_) => "must be a list",
        Value::Table(_) => "must be a table, in a file",
    }
}

fn invalid(key: &str, source: &Source, rule: impl Into<String>) -> SettingsError {
    SettingsError::Invalid { key: key.to_owned(), source_name: source.clone(), rule: rule.into() }
}

/// The rule in what the struct says of a value, without the value.
fn rule_in(text: &str) -> String {
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("must be {}", in_plain_words(expected)),
        None => format!("is not good: {text}"),
    }
}

/// A key that the joining itself does not take; its own words may repeat a value.
fn refused(key: &str, source: &Source, _: &ConfigError) -> SettingsError {
    invalid(key, source, "does not fit the other settings")
}

fn unknown(known: &BTreeMap<String, Value>, key: &str, source: &Source) -> SettingsError {
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
    let likeness = |candidate: &str| {
        let whole = strsim::normalized_damerau_levenshtein(candidate, key);
        if last(candidate) == last(key) { whole.max(0.7) } else { whole }
    };
    let best = known.keys().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let suggestion = best.filter(|best| likeness(best) >= 0.6).cloned();
    SettingsError::Unknown { key: key.to_owned(), source_name: source.clone(), suggestion }
}
