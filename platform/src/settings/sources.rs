//! Where a setting came from, and what can be wrong with it, in sentences for the person who has to correct it. No
//! sentence repeats a value: it may be a secret.

use std::fmt;

/// Where a setting came from. Later ones win over earlier ones, in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The built-in defaults.
    Defaults,
    /// A TOML file, by its path.
    File(String),
    /// An environment variable, by its name.
    Variable(String),
    /// A file that an environment variable names.
    SecretFile {
        /// The variable's name.
        variable: String,
        /// The file's path.
        path: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("the defaults"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::SecretFile { variable, path } => write!(f, "file {path} (environment variable {variable})"),
        }
    }
}

/// What is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A document is not TOML.
    #[error("{source_name} is not TOML: {reason}")]
    Syntax {
        /// Which document.
        source_name: Source,
        /// What the parser says, with the line.
        reason: String,
    },
    /// There is no such setting.
    #[error("there is no setting `{key}` ({source_name}){}", hint(.suggestion.as_deref()))]
    Unknown {
        /// As it was written.
        key: String,
        /// Where.
        source_name: Source,
        /// The setting that may have been meant.
        suggestion: Option<String>,
    },
    /// The value breaks a rule.
    #[error("the setting `{key}` {rule} ({source_name})")]
    Invalid {
        /// Which setting.
        key: String,
        /// Where its value came from.
        source_name: Source,
        /// The rule, as the rest of a sentence that begins with the setting.
        rule: String,
    },
    /// A setting is given twice in the environment, and neither wins.
    #[error("the setting `{key}` is given twice: {first} and {second}")]
    Twice {
        /// Which setting.
        key: String,
        /// One of the two.
        first: Source,
        /// The other one.
        second: Source,
    },
    /// A file that the environment names can't be read.
    #[error("the setting `{key}` can't be read from {source_name}: {reason}")]
    Unreadable {
        /// Which setting.
        key: String,
        /// Which file.
        source_name: Source,
        /// What the system says.
        reason: String,
    },
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default()
}
